"""Tables of examples: .tsv, .csv, .txt with tabs, .jsonl (each also .gz) and .parquet."""

import collections
import csv
import dataclasses
import itertools
import json
import os
import pathlib
import re

from deepapps.data.lines import BadLines, read_lines
from deepapps.files import check_regular, check_unpacked
from deepapps.settings import Settings, setting

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ABSENT = object()  # the cell of a row that lacks a key
SAMPLE = 500  # lines that tell the delimiter


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings(Settings):
    """Data, and how files of text are read."""

    data: str | None = setting(None, "Training examples.")
    validation: str | None = setting(
        None, "Validation examples; default: 10 % of the training examples."
    )
    test: str | None = setting(
        None, "Test examples; default: those that come with the data, else 10 %."
    )
    encoding: str | None = setting(
        None, "Encoding of text files; default: UTF-8, or UTF-16 by its byte order mark."
    )
    delimiter: str | None = setting(
        None, "What separates the columns of a .csv: , ; | or tab; default: found."
    )
    header: bool | None = setting(
        None, "Whether line 1 of a table names its columns; default: found."
    )
    skip_bad_lines: bool = setting(False, "Leave lines that cannot be used out, and say how many.")


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
        where: The file.
        names: The names of the columns. None: there are none, or line 1 may hold them.
        rows: `(line number, list of cells)` of each row.
        notes: What was found out about the file beside its columns, in words.
        delimiter: What separates the columns; None where nothing does.
    """

    where: str
    names: list | None
    rows: list
    notes: tuple = ()
    delimiter: str | None = None

    def column(self, index):
        """The cells of one column."""
        return [cells[index] for _, cells in self.rows]

    def records(self, places, bad):
        """Yields the line number and the cells of each row, `{kind: cell}`, at `{kind: index}`."""
        for number, cells in self.rows:
            missing = [index for index in places.values() if cells[index] is ABSENT]
            if missing:
                bad.add(number, f"has no key {self.names[missing[0]]!r}.")
            else:
                yield number, {kind: cells[index] for kind, index in places.items()}

    def named(self):
        """The table whose first row names the columns."""
        names = [str(cell).strip() for cell in self.rows[0][1]]
        notes = (*self.notes, "header found")
        return dataclasses.replace(self, names=names, rows=self.rows[1:], notes=notes)

    def called(self, index):
        """How a column is called in a message."""
        return f"`{self.names[index]}`" if self.names else f"{index + 1}"

    def understood(self, places):
        """What was understood of the table, in words; `places` are `{kind: index}`."""
        columns = [
            f"{kind.replace('_', ' ')} from column {self.called(index)}"
            for kind, index in places.items()
        ]
        return ", ".join([*columns, *self.notes, *([] if self.names else ["no header"])])


def kind_of(path):
    """The ending of a file's name in lower case, without .gz: `.tsv`."""
    return pathlib.PurePath(path.lower().removesuffix(".gz")).suffix


def is_table(path):
    """Whether a name is that of a table."""
    return kind_of(path) in TABLE_ENDINGS


def chosen_columns(**columns):
    """The columns that a user named, `{kind: name or number}`, of those that may be None."""
    return {kind: column for kind, column in columns.items() if column is not None}


def read_table(path, settings, bad, limit=None):
    """Reads a table whose rows may be of unequal length.

    Args:
        path: A file with one of `TABLE_ENDINGS`.
        settings: `TableSettings`.
        bad: `BadLines`, told of the lines that cannot be used.
        limit: Read so many lines alone. None: all.
    Returns: `Table`.
    """
    if kind_of(path) == ".parquet":
        return _parquet(path)
    lines = itertools.islice(read_lines(path, bad, settings.encoding), limit)
    return READERS[kind_of(path)](path, settings, bad, lines)


def read_even_table(path, settings, bad, limit=None):
    """The same, without the rows that have not as many cells as the first."""
    table = read_table(path, settings, bad, limit)
    width = len(table.names or table.rows[0][1]) if table.names or table.rows else 0
    rows = []
    for number, cells in table.rows:
        if len(cells) == width:
            rows.append((number, cells))
        else:
            bad.add(number, f"has {len(cells)} columns, and the first line {width}.")
    return dataclasses.replace(table, rows=rows)


def with_header(table, header, chosen, usual):
    """Takes the header off a table, where it surely has one.

    Args:
        table: `Table`.
        header: Whether line 1 is a header; None: found out.
        chosen: The columns that the user named, `{kind: name or number}`.
        usual: Names in lower case that columns of such tables commonly have.
    Returns: the table with `names`; without them where line 1 is no header, or may be none.
    Raises: ValueError where a column is named and line 1 is none, or looks like an example.
    """
    names = {kind: name for kind, name in chosen.items() if not _is_number(name)}
    if table.names or not table.rows:
        return table
    if header is None and names:
        _check_header(table, names)
    if header is not False:
        _check_once(table, usual)
    if header or (header is None and names):
        return table.named()
    if names:
        kind, name = next(iter(names.items()))
        raise ValueError(
            f"{table.where}: has no header, so it has no column {name!r} ({_flag(kind)}): columns "
            "are numbered from 1."
        )
    return table.named() if header is None and _has_usual_name(table, usual) else table


def column_index(table, kind, value):
    """The index of a column of a kind (`text`) given by its name, or by its number from 1.

    Raises: ValueError when there is no such column.
    """
    names = table.names or table.rows[0][1]
    if table.names and table.names.count(value) > 1:
        raise ValueError(
            f"{table.where}: several columns are called {value!r}: give its number, from 1, with "
            f"{_flag(kind)}."
        )
    if table.names and value in table.names:
        return table.names.index(value)
    if _is_number(value) and 1 <= int(value) <= len(names):
        return int(value) - 1
    found = ", ".join(table.names) if table.names else f"the columns 1 to {len(names)}"
    raise ValueError(f"{table.where}: has no column {value!r} ({_flag(kind)}). Found: {found}")


def is_numeric(cell):
    """Whether a cell holds a number."""
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _flag(kind):
    """The flag that names a column of a kind; columns of no kind, by number, share one."""
    return "--column" if isinstance(kind, int) else f"--{kind.replace('_', '-')}-column"


def _is_number(name):
    """Whether a column is given by its number."""
    return name.isascii() and name.isdecimal()


def _check_header(table, names):
    """Raises ValueError where the names that the user gave are those of an example."""
    first = [str(cell).strip() for cell in table.rows[0][1]]
    for kind, name in names.items():
        if name not in first:
            raise ValueError(
                f"{table.where}: has no column {name!r} ({_flag(kind)}). Found: {', '.join(first)}"
            )
    again = [cell for index, cell in enumerate(first) if cell and cell in _body(table, index)]
    if again:
        raise ValueError(
            f"{table.where}: line 1 looks like an example, not like the names of columns: "
            f"{again[0]!r} comes again below it. Give columns by number, from 1, or --header."
        )


def _check_once(table, usual):
    """Raises ValueError where line 1 names columns and comes again, as in files joined together."""
    (_, first), *rest = table.rows
    if sum(str(cell).strip().lower() in usual for cell in first) < 2:
        return
    again = [number for number, cells in rest if cells == first]
    if again:
        raise ValueError(
            f"{table.where}: line 1 names columns and comes again in line {again[0]}, as in files "
            "joined together: take it out there, or --no-header."
        )


def _has_usual_name(table, usual):
    first = [str(cell).strip() for cell in table.rows[0][1]]
    return any(
        cell.lower() in usual and cell not in _body(table, index)
        for index, cell in enumerate(first)
    )


def _body(table, index):
    """The cells of a column below line 1, stripped; rows that are too short have none."""
    return {str(cells[index]).strip() for _, cells in table.rows[1:] if index < len(cells)}


def _tsv(path, settings, bad, lines):
    lines = list(lines)
    quoted = _is_quoted(lines)
    rows = list(_rows(lines, bad, "\t", csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE))
    return Table(path, None, rows, ("quotes taken off",) if quoted else (), "\t")


def _is_quoted(lines):
    """Whether a table with tabs is quoted as a .csv is: all cells that begin with a quote end with
    one, and quotes within are doubled.
    """
    cells = [cell for _, line in lines for cell in line.split("\t") if cell.startswith('"')]
    doubled = any('""' in cell[1:-1] for cell in cells)
    return doubled and all(re.fullmatch(r'"(?:[^"]|"")*"', cell) for cell in cells)


def _csv(path, settings, bad, lines):
    lines = list(lines)
    said = re.fullmatch(r'"?sep=(.)"?[,;]*', lines[0][1].strip("\ufeff ")) if lines else None
    lines = lines[bool(said) :]  # Excel's line 1
    delimiter = settings.delimiter or (said[1] if said else _delimiter(path, lines))
    rows = list(_rows(lines, bad, delimiter, csv.QUOTE_MINIMAL))
    separator = f"separated by {DELIMITERS.get(delimiter, delimiter)}"
    return Table(path, None, rows, () if delimiter == "," else (separator,), delimiter)


def _rows(lines, bad, delimiter, quoting):
    """Yields the rows that numbered lines hold, each with the number of its first line; a row may
    span many.
    """
    csv.field_size_limit(2**31 - 1)
    start = 0
    while start < len(lines):
        rest = itertools.islice(lines, start, None)
        texts, begin = (text + "\n" for _, text in rest), start
        reader = csv.reader(texts, strict=True, delimiter=delimiter, quoting=quoting)
        try:
            for row in reader:
                yield lines[start][0], row
                start = begin + reader.line_num
        except csv.Error as error:
            # a quote that is never closed takes all that follows: only its line is bad
            bad.add(lines[start][0], f"{error}.")
            start += 1


def _delimiter(path, lines):
    """What separates the columns: what splits nearly all of the first lines into equally many.

    Raises: ValueError where two do.
    """
    shares = {delimiter: _even_share(lines[:SAMPLE], delimiter) for delimiter in DELIMITERS}
    best = max(shares.values())
    fitting = [delimiter for delimiter, share in shares.items() if share == best]
    if best and len(fitting) > 1:
        both = " and ".join(DELIMITERS[delimiter] for delimiter in fitting[:2])
        raise ValueError(
            f"{path}: both {both} split the lines into equally many columns: name the right one "
            f"with --delimiter, such as --delimiter '{fitting[0]}'."
        )
    return fitting[0] if best else ","


def _even_share(lines, delimiter):
    """The share of rows that have the commonest number of columns; 0 where that is one."""
    rows = _rows(lines, BadLines("", skip=True), delimiter, csv.QUOTE_MINIMAL)
    widths = collections.Counter(len(row) for _, row in rows)
    (width, count), *_ = widths.most_common(1) or [(1, 0)]
    return count / widths.total() if width > 1 else 0.0


def _json_lines(path, settings, bad, lines):
    """The objects of a file of JSON lines; the columns are the keys of all of them."""
    records = []
    for number, line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            bad.add(number, f"is not JSON ({error}).")
            continue
        if isinstance(value, dict):
            records.append((number, value))
        else:
            bad.add(number, "is no JSON object.")
    names = list(dict.fromkeys(key for _, record in records for key in record))
    rows = [(number, [record.get(key, ABSENT) for key in names]) for number, record in records]
    return Table(path, names, rows)


def _parquet(path):
    """The rows of a .parquet file; numbers of classes become their names where it holds them, as
    the files of Hugging Face's data sets do.
    """
    from pyarrow import ArrowException, parquet  # takes long to start

    check_regular(path)
    try:
        stored = parquet.ParquetFile(path)
        groups = map(stored.metadata.row_group, range(stored.num_row_groups))
        check_unpacked(path, sum(group.total_byte_size for group in groups), os.path.getsize(path))
        table = stored.read()
    except (OSError, ArrowException) as error:
        raise ValueError(f"{path}: cannot be read as .parquet ({error}).") from None
    classes = _class_names(table.schema.metadata)
    columns = [
        _named_classes(table[name].to_pylist(), classes.get(name)) for name in table.column_names
    ]
    rows = map(list, zip(*columns, strict=True))
    return Table(path, table.column_names, list(enumerate(rows, start=1)))


def _class_names(metadata):
    """The names of the classes of each column that has them, by Hugging Face's metadata."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature["names"] for name, feature in features.items() if "names" in feature}
    except (KeyError, TypeError, ValueError):
        return {}


def _named_classes(cells, names):
    if not names:
        return cells
    return [names[cell] if cell is not None and 0 <= cell < len(names) else cell for cell in cells]


READERS = {".tsv": _tsv, ".csv": _csv, ".txt": _tsv, ".jsonl": _json_lines}
TABLE_ENDINGS = (*READERS, ".parquet")
