"""What the INPUTS of `predict` name: texts, images, folders, tables, files of lines, stdin."""

import csv
import os
import sys

from deepapps.data.images.class_folder import ENDINGS
from deepapps.data.sequences.text_files import TEXT_NAMES

_IMAGE_NAMES = ("image", "path", "file", "filename", "file_name", "image_path")
_DELIMITERS = {".csv": ",;\t", ".tsv": "\t"}  # of these the one that the header has most of


def read_inputs(items, kind, settings, columns=()):
    """Yields the raw inputs that items of a command line name, as strings.

    Args:
        items: Each is an input itself; or `-` for the lines of stdin, a .csv or .tsv, for images a
            folder, for texts a .txt of one text a line.
        kind: The `input_kind` of the task.
        settings: The settings of the task, which may name the columns of tables.
        columns: Names of the columns to read: one, or two for pairs. Default to what `settings`
            name, then to names in common use, then to the only column.
    Raises: ValueError for what cannot be read, with its line.
    """
    for item in items:
        path = os.path.expanduser(item)
        ending = os.path.splitext(path)[1].lower()
        if item == "-" and sys.stdin is None:
            raise ValueError("stdin is closed: name the inputs.")
        elif item == "-":
            yield from _lines(sys.stdin.buffer, "stdin", kind)
        elif kind == "image" and os.path.isdir(path):
            yield from _images_below(path)
        elif kind and ending in _DELIMITERS and os.path.isfile(path):
            yield from _cells(path, _DELIMITERS[ending], kind, _wanted(kind, settings, columns))
        elif kind in ("text", "pair") and ending == ".txt" and os.path.isfile(path):
            with _opened(path) as file:
                yield from _lines(file, path, kind)
        else:
            yield item


def _lines(file, where, kind):
    """The lines of a binary file, without their ends."""
    for number, line in enumerate(file, start=1):
        yield _text(line, f"{where}, line {number}", kind).rstrip("\r\n")


def _text(line, where, kind):
    """The text of bytes. Names of image files may be of any bytes, as the system has them."""
    if kind == "image":
        return os.fsdecode(line)
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: is not UTF-8 (byte 0x{line[error.start]:02x}). Convert it, as with "
            "`iconv -f WINDOWS-1252 -t UTF-8`."
        ) from None


def _images_below(folder):
    """The image files below a folder, in the order of their names."""
    found = False
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(ENDINGS):
                found = True
                yield os.path.join(place, name)
    if not found:
        raise ValueError(f"{folder}: holds no images ({', '.join(ENDINGS)}).")


def _cells(path, delimiters, kind, wanted):
    """The cells of a column of a table; of two columns with a tab between, for pairs.

    The names of image files are relative to the folder of the table, or to the present one.
    """
    with _opened(path) as file:
        lines = (
            _text(line, f"{path}, line {number}", "") for number, line in enumerate(file, start=1)
        )
        first = next(lines, "")
        delimiter = max(delimiters, key=first.count)
        header = next(csv.reader([first], delimiter=delimiter), [])
        places = [header.index(name) for name in _columns(path, header, kind, wanted)]
        for number, row in _rows(path, lines, delimiter):
            if row and len(row) <= max(places):
                raise ValueError(
                    f"{path}, line {number}: has {len(row)} columns, and the first line "
                    f"{len(header)}."
                )
            cell = "\t".join(row[place] for place in places) if row else ""
            beside = os.path.join(os.path.dirname(path), cell)
            yield beside if kind == "image" and cell and os.path.exists(beside) else cell


def _rows(path, lines, delimiter):
    """The rows of the lines behind the header, each with the number of its last line."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num + 1, row
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num + 1}: {error}.") from None


def _wanted(kind, settings, columns):
    """The columns that are asked for by name: by flags, or by the settings of the training."""
    names = ("text_column", "second_text_column") if kind != "image" else ()
    stored = [name for key in names if (name := getattr(settings, key, None))]
    return list(columns) or (stored if len(stored) == (2 if kind == "pair" else 1) else [])


def _columns(path, header, kind, wanted):
    usual = _IMAGE_NAMES if kind == "image" else TEXT_NAMES
    found = wanted or [name for name in header if name.strip().lower() in usual]
    found = found or (header if len(header) == 1 else [])
    count = 2 if kind == "pair" else 1
    missing = [name for name in found if name not in header]
    if len(found) != count or missing:
        fault = f"has no column {missing[0]!r}" if missing else "does not say what to read"
        flags = " ".join(["--column NAME"] * count)
        raise ValueError(f"{path}: {fault}: give {flags}. Found: {', '.join(header)}")
    return found


def _opened(path):
    try:
        return open(path, "rb")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}).") from None
