"""Files of labelled texts: .tsv, .csv, .jsonl and label-first .txt, each plain or .gz."""

import collections
import csv
import dataclasses
import itertools
import json
import logging
import pathlib
import zlib

from deepapps.data.examples import Examples
from deepapps.files import lines_of, open_data

ENDS = (".tsv", ".csv", ".jsonl", ".txt")
TEXT_NAMES = (
    "text",
    "sentence",
    "review",
    "question",
    "content",
    "comment",
    "tweet",
    "title",
    "name",
    "message",
)
LABEL_NAMES = ("label", "labels", "class", "category", "target", "sentiment", "tag", "tags", "y")

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns or keys of a file to read, by name; None finds them.

    Attributes:
        text, label: The text and its label.
        second_text: The second text of a pair. None: the examples are single texts.
        multi_label: Whether an example has any number of labels, separated by commas or in a JSON
            list.
    """

    text: str | None = None
    label: str | None = None
    second_text: str | None = None
    multi_label: bool = False


def is_text_file(path):
    """Whether a name is that of a file read here."""
    return path.removesuffix(".gz").endswith(ENDS)


def read_texts(path, columns=None, skip_bad_lines=False):
    """Reads a file of labelled texts in UTF-8.

    Args:
        path: A .tsv, .csv, .jsonl or .txt file; also with .gz behind. A .txt has the label first on
            each line, then a space.
        columns: `Columns`; for those not named: of a file with a header, or of JSON, the names in
            common use; of one without a header, the column of fewer different values is the label.
        skip_bad_lines: Count and report the lines that cannot be used, in place of an error.
    Returns: `Examples`.
    Raises: ValueError, with file and line, for a line that cannot be used.
    """
    columns, bad = columns or Columns(), BadLines(path, skip_bad_lines)
    kind = pathlib.PurePath(path.removesuffix(".gz")).suffix
    records = _READERS[kind](path, read_lines(path, bad), columns, bad)
    examples = [
        (number, *found)
        for number, record in records
        if (found := _example(record, number, columns, bad))
    ]
    bad.report()
    if not examples:
        raise ValueError(f"{path}: holds no labelled text.")
    lines, texts, labels = zip(*examples, strict=True)
    return Examples(path, list(texts), list(labels), list(lines))


class BadLines:
    """What to do with a line that cannot be used: raise ValueError, or count it."""

    def __init__(self, where, skip):
        self.where, self.skip, self.count, self.first = where, skip, 0, None

    def add(self, number, fault):
        problem = f"line {number}: {fault}"
        if not self.skip:
            raise ValueError(f"{self.where}: {problem} (--skip-bad-lines leaves such lines out)")
        self.count, self.first = self.count + 1, self.first or problem

    def report(self):
        if self.count:
            number = (
                "1 line left out:"
                if self.count == 1
                else f"{self.count} lines left out; the first:"
            )
            _logger.warning("%s: %s %s", self.where, number, self.first)


def read_lines(path, bad, empty=False):
    """The lines that are UTF-8 without NUL bytes, with their numbers; empty ones only if they
    are asked for.
    """
    try:
        with open_data(path) as file:
            for number, line in lines_of(file, path):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    bad.add(number, f"is not UTF-8 (byte 0x{line[error.start]:02x}).")
                    continue
                if "\0" in text:
                    bad.add(number, "holds a NUL byte.")
                elif empty or text.strip():
                    yield number, text
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from None


def _table(path, lines, columns, bad, **dialect):
    """The rows of a .tsv or .csv as `{"text": ..., "label": ...}`."""
    rows, first = [], None
    for number, row in _rows(list(lines), bad, dialect):
        first = first or len(row)
        if len(row) == first:
            rows.append((number, row))
        else:
            bad.add(number, f"has {len(row)} columns, and the first line {first}.")
    if not rows:
        return []
    places, body = _find_columns(path, [row for _, row in rows], columns)
    return [(number, {key: row[at] for key, at in places.items()}) for number, row in rows[body:]]


def _rows(lines, bad, dialect):
    """The rows that numbered lines hold, each with the number of its first line; a row may span
    many.
    """
    csv.field_size_limit(2**31 - 1)
    start = 0
    while start < len(lines):
        rest = itertools.islice(lines, start, None)
        reader, begin = csv.reader((text + "\n" for _, text in rest), strict=True, **dialect), start
        try:
            for row in reader:
                yield lines[start][0], row
                start = begin + reader.line_num
        except csv.Error as error:
            # a quote that is never closed takes all that follows: only its line is bad
            bad.add(lines[start][0], f"{error}.")
            start += 1


def _tsv(path, lines, columns, bad):
    return _table(path, lines, columns, bad, delimiter="\t", quoting=csv.QUOTE_NONE)


def _csv(path, lines, columns, bad):
    return _table(path, lines, columns, bad)


def _json_lines(path, lines, columns, bad):
    """The objects of a .jsonl as `{"text": ..., "label": ...}`."""
    names = None
    for number, line in lines:
        try:
            value = json.loads(line)
        except ValueError as error:
            bad.add(number, f"is not JSON ({error}).")
            continue
        if not isinstance(value, dict):
            bad.add(number, "is no JSON object.")
            continue
        names = names or _named(f"{path}: line {number}", list(value), columns)
        missing = [name for name in names.values() if name not in value]
        if missing:
            bad.add(number, f"has no key {missing[0]!r}.")
            continue
        yield number, {key: value[name] for key, name in names.items()}


def _label_first(path, lines, columns, bad):
    """The lines `LABEL text` of a .txt."""
    if columns.text or columns.label or columns.second_text:
        raise ValueError(
            f"{path}: a .txt has no columns: each line is a label, a space and a text."
        )
    for number, line in lines:
        label, _, text = line.strip().partition(" ")
        yield number, {"label": label, "text": text}


_READERS = {".tsv": _tsv, ".csv": _csv, ".jsonl": _json_lines, ".txt": _label_first}


def _find_columns(path, rows, columns):
    """The places of the columns, `{"text": 0, "label": 1}`, and the row that the body begins
    with.
    """
    header = [cell.strip() for cell in rows[0]]
    given = [name for name in (columns.text, columns.label, columns.second_text) if name]
    known = {cell.lower() for cell in header} & {*LABEL_NAMES, *TEXT_NAMES}
    if given or len(known) > 1 or (known and len(rows) > 1 and _label_like(rows[1:]) is None):
        names = _named(path, header, columns)
        return {key: header.index(name) for key, name in names.items()}, 1
    if len(header) != 2:
        raise ValueError(
            f"{path}: has {len(header)} columns, and no header names text and label: name them "
            "with --text-column and --label-column."
        )
    label = _label_like(rows)
    counts = collections.Counter(row[label] for row in rows)
    if len(counts) > 2 and [value for value, count in counts.items() if count == 1] == [
        rows[0][label]
    ]:
        raise ValueError(
            f"{path}: line 1 looks like a header: its label {rows[0][label]!r} is the only one "
            "that never comes again. Name the columns with --text-column and --label-column."
        )
    return {"text": 1 - label, "label": label}, 0


def _label_like(rows):
    """Of two columns, the one with fewer different values; the second where they tie."""
    if len(rows[0]) != 2:
        return None
    first, second = (len({row[at] for row in rows}) for at in (0, 1))
    return 0 if first < second else 1


def _named(where, names, columns):
    """The names of the columns or keys to read, `{"text": ..., "label": ...}`, among those there
    are.
    """
    found = {
        "text": columns.text
        or _only(where, "text", names, TEXT_NAMES, columns.second_text, columns.label),
        "label": columns.label
        or _only(where, "label", names, LABEL_NAMES, columns.text, columns.second_text),
    }
    if columns.second_text:
        found["second_text"] = columns.second_text
    for key, name in found.items():
        if name not in names:
            flag = f"--{key.replace('_', '-')}-column"
            raise ValueError(f"{where}: has no column {name!r} ({flag}). Found: {', '.join(names)}")
    if len(set(found.values())) < len(found):
        raise ValueError(
            f"{where}: text and label must be different columns. Received: "
            f"{', '.join(found.values())}"
        )
    return found


def _only(where, kind, names, usual, *taken):
    """The one name in common use; where there is none, the one that is left."""
    free = [name for name in names if name not in taken]
    found = [name for name in free if name.lower() in usual] or (free if len(free) == 1 else [])
    if len(found) == 1:
        return found[0]
    fault = f"the columns {' and '.join(found)} may all be" if found else "no column has a name of"
    raise ValueError(
        f"{where}: {fault} the {kind}: name it with --{kind}-column. Found: {', '.join(names)}"
    )


def _example(record, number, columns, bad):
    """`(text or pair of texts, label or labels)` of a record; None where it cannot be used."""
    texts = [record[key] for key in ("text", "second_text") if key in record]
    label = _labels(record["label"]) if columns.multi_label else _label(record["label"])
    if not all(isinstance(text, str) for text in texts):
        bad.add(number, "the text is no text.")
    elif not all(text.strip() for text in texts):
        bad.add(number, "the text is empty.")
    elif label is None or label == "":
        bad.add(
            number, "the label is missing." if label == "" else f"the label is {record['label']!r}."
        )
    else:
        return tuple(texts) if len(texts) > 1 else texts[0], label
    return None


def _label(value):
    """A label as a string, None where it can be none."""
    if isinstance(value, str | int) or value is None:
        return "" if value is None else str(value).strip()
    return None


def _labels(value):
    """Any number of labels as a tuple of strings, None where they can be none."""
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list):
        return None
    labels = [_label(item) for item in values]
    return None if None in labels else tuple(sorted({label for label in labels if label}))
