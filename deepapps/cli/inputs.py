"""What the INPUTS of `predict` name: texts, images, folders, tables, files of lines, stdin."""

import os
import sys

from deepapps.data.folders import files_below
from deepapps.data.images.class_folder import ENDINGS
from deepapps.data.images.tables import FILE_NAMES
from deepapps.data.lines import BadLines, read_lines
from deepapps.data.tables import (
    TABLE_ENDINGS,
    TableSettings,
    column_index,
    kind_of,
    read_even_table,
    with_header,
)
from deepapps.data.text_files import TEXT_NAMES

TABLES = {*TABLE_ENDINGS} - {".txt"}  # that holds a text a line


def read_inputs(items, kind, settings, columns=()):
    """Yields the raw inputs that items of a command line name, as strings.

    Args:
        items: Each is an input itself; or `-` for the lines of stdin, a table (.csv, .tsv, .jsonl,
            .parquet), for images a folder, for texts a .txt of one text a line.
        kind: The `input_kind` of the task.
        settings: The settings of the task, which may name the columns of tables.
        columns: The columns to read, by name or number from 1: one, or two for pairs. Default to
            what `settings` name, then to names in common use, then to the only column.
    Raises: ValueError for what cannot be read, with its line.
    """
    for item in items:
        path = os.path.expanduser(item)
        ending = kind_of(path) if os.path.isfile(path) else None
        if item == "-" and sys.stdin is None:
            raise ValueError("stdin is closed: name the inputs.")
        elif item == "-":
            yield from _lines(sys.stdin.buffer, "stdin", kind)
        elif kind == "image" and os.path.isdir(path):
            yield from _images_below(path)
        elif kind and ending in TABLES:
            yield from _cells(path, kind, settings, columns)
        elif kind in ("text", "pair") and ending == ".txt":
            bad = BadLines(path, skip=False)
            lines = read_lines(path, bad, getattr(settings, "encoding", None), empty=True)
            yield from (line for _, line in lines)
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
    found = [path for path in files_below(folder) if path.lower().endswith(ENDINGS)]
    if not found:
        raise ValueError(f"{folder}: holds no images ({', '.join(ENDINGS)}).")
    return found


def _cells(path, kind, settings, columns):
    """The cells of a column of a table; of two columns with a tab between, for pairs.

    The names of image files are relative to the folder of the table, or to the present one.
    """
    bad, usual = BadLines(path, skip=False), FILE_NAMES if kind == "image" else TEXT_NAMES
    form = settings if isinstance(settings, TableSettings) else TableSettings()
    table = read_even_table(path, form, bad)
    if not table.rows:
        return
    wanted = dict(enumerate(columns or _stored_columns(kind, settings)))
    table = with_header(table, form.header, wanted, usual)
    places = [column_index(table, kind, name) for kind, name in wanted.items()]
    places = places or _usual_places(table, usual)[: 1 if kind == "image" else None]
    width, count = len(table.names or table.rows[0][1]), 2 if kind == "pair" else 1
    places = places or list(range(width))
    if len(places) != count:
        flags = " ".join(["--column NAME"] * count)
        found = ", ".join(table.called(index) for index in range(width))
        raise ValueError(f"{path}: does not say what to read: give {flags}. Found: {found}")
    for _, cells in table.rows:
        cell = "\t".join(str(cells[place]) for place in places)
        beside = os.path.join(os.path.dirname(path), cell)
        yield beside if kind == "image" and cell and os.path.exists(beside) else cell


def _usual_places(table, usual):
    """The columns with names in common use, the most usual first."""
    names = [name.lower() for name in table.names or ()]
    return [names.index(name) for name in usual if name in names]


def _stored_columns(kind, settings):
    """The columns that the settings of the training name."""
    keys = {"text": ["text_column"], "pair": ["text_column", "second_text_column"], "image": []}
    keys = ["source_column"] if hasattr(settings, "source_column") else keys[kind]
    names = [name for key in keys if (name := getattr(settings, key, None))]
    return names if len(names) == len(keys) else []
