"""Files of labelled texts: tables, and .txt files with the label first; each plain or .gz."""

import dataclasses
import itertools
import math
import re

from deepapps.data.examples import Examples
from deepapps.data.lines import BadLines, read_lines
from deepapps.data.tables import (
    DELIMITERS,
    TableSettings,
    chosen_columns,
    column_index,
    is_numeric,
    kind_of,
    read_even_table,
    with_header,
)

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
MARK = "__label__"  # begins a label in fastText's files
SAMPLE = 1000  # lines that tell whether a .txt has columns


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns or keys of a file to read, by name or by number from 1; None finds them.

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

    def chosen(self):
        """The columns that the user named, `{kind: name or number}`."""
        return chosen_columns(text=self.text, second_text=self.second_text, label=self.label)


def read_texts(path, columns=None, settings=None):
    """Reads a file of labelled texts.

    Args:
        path: A .tsv, .csv, .jsonl, .parquet or .txt file; also with .gz behind. A .txt whose lines
            have tabs is read as a .tsv; any other has the label first on each line, then a space,
            as TREC has, or labels that begin with `__label__`, as fastText has.
        columns: `Columns`. Those not named are found: by the names in common use; in a file of two
            columns without a header, the column of fewer different values is the label.
        settings: `TableSettings`. None: its defaults.
    Returns: `Examples`; its note says what was understood.
    Raises: ValueError, with file and line, for a line that cannot be used, or where two readings
        of the file are possible.
    """
    columns, settings = columns or Columns(), settings or TableSettings()
    bad = BadLines(path, settings.skip_bad_lines)
    if kind_of(path) == ".txt" and not _has_tabs(path, settings):
        records, note = _label_first(path, settings, columns, bad), "label first on each line"
    else:
        table, places = _find_columns(
            read_even_table(path, settings, bad), columns, settings.header
        )
        records, note = table.records(places, bad), table.understood(places)
    examples = [
        (number, *found)
        for number, record in records
        if (found := _example(record, number, columns, bad))
    ]
    bad.report()
    if not examples:
        raise ValueError(f"{path}: holds no labelled text.")
    lines, texts, labels = zip(*examples, strict=True)
    return Examples(path, list(texts), list(labels), list(lines), note)


def _has_tabs(path, settings):
    """Whether a .txt is a table: its first lines hold tabs.

    Raises: ValueError where only part of them do.
    """
    lines = read_lines(path, BadLines(path, skip=True), settings.encoding)
    tabs = ["\t" in line for _, line in itertools.islice(lines, SAMPLE)]
    share = sum(tabs) / max(1, len(tabs))
    if 0.1 < share < 0.9:
        raise ValueError(
            f"{path}: {sum(tabs)} of its first {len(tabs)} lines hold a tab, the others none: with "
            "tabs between label and text it must be in all lines, else in none."
        )
    return share >= 0.9


def _label_first(path, settings, columns, bad):
    """Yields the lines `LABEL text`, or `__label__LABEL __label__LABEL text`, of a .txt."""
    if columns.chosen():
        raise ValueError(
            f"{path}: a .txt has no columns: each line is a label, a space and a text."
        )
    lines = list(read_lines(path, bad, settings.encoding))
    _check_no_columns(path, lines[:SAMPLE])
    for number, line in lines:
        if not line.lstrip().startswith(MARK):
            label, _, text = line.strip().partition(" ")
            yield number, {"label": label, "text": text}
            continue
        marked = re.match(rf"\s*((?:{MARK}\S+[\s,]*)+)", line)
        labels = re.split(r"[\s,]+", marked[1].strip(" ,\t")) if marked else [""]
        if len(labels) > 1 and not columns.multi_label:
            fault = f"has {len(labels)} labels, {' and '.join(labels[:2])}"
            bad.add(number, f"{fault}: --multi-label learns them all.")
            continue
        text = line[marked.end() :] if marked else ""
        yield number, {"label": labels if columns.multi_label else labels[0], "text": text}


def _check_no_columns(path, lines):
    """Raises ValueError for the lines of a .txt that are a table: nearly all hold as many commas,
    semicolons or bars, and the first or the last cell repeats.
    """
    for delimiter, name in DELIMITERS.items():
        rows = [line.split(delimiter) for _, line in lines if not line.lstrip().startswith(MARK)]
        width = len(rows[-1]) if rows else 1
        even = sum(len(row) == width for row in rows) > 0.9 * len(rows)
        few = any(len({row[at].strip() for row in rows}) <= len(rows) / 2 for at in (0, -1))
        if width > 1 and even and few:
            raise ValueError(
                f"{path}: its lines have {width} columns, separated by {name}: call it .csv, which "
                "has columns; in a .txt a label and a space begin each line."
            )


def _find_columns(table, columns, header):
    """The table without its header, and the places of the columns, `{"text": 0, "label": 1}`."""
    table = with_header(table, header, columns.chosen(), {*LABEL_NAMES, *TEXT_NAMES})
    if not table.rows:
        return table, {}
    width = len(table.names or table.rows[0][1])
    if width < 2:
        raise ValueError(
            f"{table.where}: has one column only. A .tsv has tabs between text and label; a .csv "
            "commas, semicolons, tabs or bars (--delimiter)."
        )
    places = _places(table, columns, width)
    if len(set(places.values())) < len(places):
        names = ", ".join(table.called(place) for place in places.values())
        raise ValueError(
            f"{table.where}: text and label must be different columns. Received: {names}"
        )
    if not table.names and header is None and _looks_like_header(table, places["label"]):
        table = table.named()
    return table, places


def _places(table, columns, width):
    """The places of the columns: of those that the user named, of the names in common use, else of
    what is left where that is clear.
    """
    chosen = columns.chosen()
    places = {kind: column_index(table, kind, name) for kind, name in chosen.items()}
    for kind, usual in (("text", TEXT_NAMES), ("label", LABEL_NAMES)):
        found = _usual(table, kind, usual, {*places.values()}) if kind not in places else None
        if found is not None:
            places[kind] = found
    missing = [kind for kind in ("label", "text") if kind not in places]
    free = [index for index in range(width) if index not in places.values()]
    if len(missing) == 2:
        # fewer different values; of equally many, the later column
        free.sort(key=lambda index: (len({*map(str, table.column(index))}), -index))
    if missing and len(free) != len(missing):
        raise ValueError(_unclear(table, missing, width))
    places |= dict(zip(missing, free, strict=False))
    if "text" in missing and table.names and all(map(is_numeric, table.column(places["text"]))):
        raise ValueError(_unclear(table, ["text"], width))
    return {kind: places[kind] for kind in ("text", "second_text", "label") if kind in places}


def _usual(table, kind, usual, taken):
    """The place of the one column with a name in common use, None where there is none."""
    names = [(index, str(name)) for index, name in enumerate(table.names or ())]
    found = [(at, name) for at, name in names if name.lower() in usual and at not in taken]
    if len(found) > 1:
        both = " and ".join(name for _, name in found)
        raise ValueError(
            f"{table.where}: the columns {both} may all be the {kind}: name it with "
            f"--{kind}-column, or by number from 1. Found: {', '.join(map(str, table.names))}"
        )
    return found[0][0] if found else None


def _unclear(table, missing, width):
    flags = " and ".join(f"--{kind}-column" for kind in reversed(missing))
    if table.names:
        return (
            f"{table.where}: no column has a name of the {' and the '.join(reversed(missing))}: "
            f"name it with {flags}. Found: {', '.join(map(str, table.names))}"
        )
    return (
        f"{table.where}: has {width} columns, and no header names text and label: name them with "
        f"{flags}, by number from 1 ({flags.split()[-1]} 2), or add a header line."
    )


def _looks_like_header(table, label):
    """Whether line 1 of a table is surely a header, by its column of labels.

    Raises: ValueError where it may be one, or an example of a class that occurs once.
    """
    first, *body = (str(cell).strip() for cell in table.column(label))
    if first in body or not body:
        return False
    if all(map(is_numeric, body)) and not is_numeric(first):
        return True
    if len(set(body)) > len(body) / 2 or len(set(body)) < 2:
        return False
    raise ValueError(
        f"{table.where}: line 1 looks like a header: its label {first!r} never comes again. "
        "--header takes it as one, --no-header as an example."
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
    """A label as a string, None where it can be none; 1.0 is 1, as pandas writes whole numbers."""
    if isinstance(value, float):
        value = None if math.isnan(value) else int(value) if value.is_integer() else value
    if isinstance(value, str | int | float) or value is None:
        return "" if value is None else str(value).strip()
    return None


def _labels(value):
    """Any number of labels as a tuple of strings, None where they can be none."""
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list):
        return None
    labels = [_label(item) for item in values]
    return None if None in labels else tuple(sorted({label for label in labels if label}))
