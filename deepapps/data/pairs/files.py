"""Files of sentence pairs: tables, and two files with a sentence a line; each plain or .gz."""

import dataclasses
import functools
import logging
import re

from babel import Locale

from deepapps.data.examples import Examples
from deepapps.data.lines import BadLines, read_lines
from deepapps.data.sequences.names import LANGUAGES
from deepapps.data.tables import (
    chosen_columns,
    column_index,
    is_numeric,
    kind_of,
    read_table,
    with_header,
)

SOURCE_NAMES = (
    "source",
    "src",
    "input",
    "text",
    "document",
    "article",
    "dialogue",
    "sentence",
    "question",
)
TARGET_NAMES = (
    "target",
    "tgt",
    "trg",
    "output",
    "translation",
    "summary",
    "highlights",
    "headline",
    "synopsis",
    "answer",
)
FEW_ROWS = 20  # rows in which one sentence may come again and again
SHORT = 3  # most words in the name of a column

_logger = logging.getLogger(__name__)


def read_pairs(path, settings):
    """Reads a table of source and target.

    Args:
        path: A .tsv, .txt, .csv, .jsonl or .parquet file, also with .gz behind.
        settings: `TranslatorSettings`. Without `source_column` and `target_column` the columns are
            found: by the names in common use or the languages, else the first two that hold
            sentences; numbers are none where there are more than two columns.
    Returns: `Examples` of pairs, without labels; its note says which columns were taken.
    Raises: ValueError, with file and line, for a line without two texts.
    """
    bad, rows = BadLines(path, settings.skip_bad_lines), []
    table = _two_cells(read_table(path, settings, bad), bad)
    if not table.rows:
        return _examples(path, rows, "", bad)
    table, places = _find_columns(table, settings)
    _warn_of_others(table, places)
    for number, cells in table.rows:
        if max(places.values()) >= len(cells):
            bad.add(number, f"has {len(cells)} columns only.")
            continue
        pair = tuple(cells[places[kind]] for kind in ("source", "target"))
        if not all(isinstance(text, str) for text in pair):
            bad.add(number, "source and target must be texts.")
        elif not all(text.strip() for text in pair):
            bad.add(number, f"the {'target' if pair[0].strip() else 'source'} is empty.")
        else:
            rows.append((number, tuple(text.strip() for text in pair)))
    return _examples(path, rows, table.understood(places), bad)


def read_parallel(source, target, settings):
    """Reads two files whose lines translate each other; lines that are empty in both are passed
    over.

    Args and Returns: as `read_pairs`.
    Raises: ValueError, with both counts, for files of unequal length; with file and line, for a
        line that is empty in one file alone.
    """
    where = f"{source}:{target}"
    faults = [BadLines(path, settings.skip_bad_lines) for path in (source, target)]
    sides = [
        dict(read_lines(path, bad, settings.encoding, empty=True))
        for path, bad in zip((source, target), faults, strict=True)
    ]
    lengths = [max(side, default=0) for side in sides]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"{where}: must have as many lines on both sides. Received: {lengths[0]} and "
            f"{lengths[1]} lines"
        )
    rows = []
    for number in sorted(sides[0].keys() & sides[1].keys()):
        pair = tuple(side[number].strip() for side in sides)
        if all(pair):
            rows.append((number, pair))
        elif any(pair):
            faults[bool(pair[0])].add(number, "is empty, and the line of the other file is not.")
    return _examples(where, rows, "", *faults)


def _two_cells(table, bad):
    """The table without the rows that have one cell."""
    rows = []
    for number, cells in table.rows:
        if len(cells) > 1:
            rows.append((number, cells))
        else:
            separator = "tab" if kind_of(table.where) in (".tsv", ".txt") else "delimiter"
            bad.add(number, f"has no {separator} between source and target.")
    return dataclasses.replace(table, rows=rows)


def _find_columns(table, settings):
    """The table without its header, and the places of the columns, `{"source": 0, "target": 1}`."""
    chosen = chosen_columns(source=settings.source_column, target=settings.target_column)
    table = with_header(table, settings.header, chosen, ())
    places = _places(table, chosen, settings)
    if not table.names and settings.header is None and _has_header(table, places):
        table = table.named()
        places = _places(table, chosen, settings)
    if places["source"] == places["target"]:
        raise ValueError(
            f"{table.where}: source and target must be different columns. Received: column "
            f"{table.called(places['source'])} for both"
        )
    return table, places


def _has_header(table, places):
    """Whether line 1 is a header: both columns are called by a language or a usual name, or a
    column of numbers begins with a word.
    """
    first = table.rows[0][1]
    if len(table.rows) < 2:
        return False
    sides = [str(first[place]).strip() for place in places.values()]
    return all(map(_names_a_side, sides)) or any(
        not is_numeric(first[index]) and all(map(is_numeric, table.column(index)[1:]))
        for index in range(_width(table))
    )


def _places(table, chosen, settings):
    """The places of source and target: of the columns that the user named, of languages and usual
    names, else of the columns that hold sentences.
    """
    places = {kind: column_index(table, kind, column) for kind, column in chosen.items()}
    languages = {"source": settings.source_language, "target": settings.target_language}
    for kind, usual in (("source", SOURCE_NAMES), ("target", TARGET_NAMES)):
        found = _called(table, {languages[kind]} if languages[kind] else ())
        found = found or _called(table, usual)
        if kind not in places and len(found) == 1 and found[0] not in places.values():
            places[kind] = found[0]
    missing = [kind for kind in languages if kind not in places]
    free = [index for index in _sentence_columns(table) if index not in places.values()]
    if len(free) < len(missing) or (missing and table.names and len(free) > len(missing)):
        found = ", ".join(table.called(index) for index in range(_width(table)))
        raise ValueError(
            f"{table.where}: which columns are source and target? Name them with --source-column "
            f"and --target-column. Found: {found}"
        )
    places |= dict(zip(missing, free, strict=False))
    if missing and len(table.rows) > FEW_ROWS and _all_numbers(table, places):
        raise ValueError(
            f"{table.where}: columns {' and '.join(map(table.called, places.values()))} hold "
            "numbers, as links between sentences: name the columns of texts, or these, with "
            "--source-column and --target-column."
        )
    return {kind: places[kind] for kind in languages}


def _all_numbers(table, places):
    """Whether both sides hold numbers alone, but for what may be a header."""
    sides = [table.column(place)[1:] for place in places.values()]
    return all(is_numeric(cell) for side in sides for cell in side)


def _called(table, names):
    return [index for index, name in enumerate(table.names or ()) if name.lower() in names]


def _width(table):
    """How many columns all rows have."""
    return len(table.names) if table.names else min(len(cells) for _, cells in table.rows)


def _sentence_columns(table):
    """The columns that may hold sentences; of more than two, numbers and one value are none."""
    columns = list(range(_width(table)))
    # line 1 may be a header
    texts = [index for index in columns if _holds_sentences(table.column(index)[1:])]
    return texts if len(columns) > 2 and len(texts) > 1 else columns


def _warn_of_others(table, places):
    """Says which columns were passed over as numbers, or as one value."""
    columns = range(min(_width(table), max(places.values())))
    others = [index for index in columns if not _holds_sentences(table.column(index))]
    others = [table.called(index) for index in others if index not in places.values()]
    if others:
        _logger.warning(
            "columns %s of %s hold numbers or one value and are passed over; --source-column and "
            "--target-column name others.",
            ", ".join(others),
            table.where,
        )


def _holds_sentences(cells):
    different = {cell for cell in cells if cell not in ("", None)}
    constant = len(different) < 2 and len(cells) > FEW_ROWS
    return not constant and not all(map(is_numeric, different))


def _names_a_side(cell):
    """Whether a cell names a column, such as `source`, `de` or `English sentences`."""
    words = re.findall(r"\w+", cell.lower())
    usual = {*SOURCE_NAMES, *TARGET_NAMES, *_language_names()}
    code = len(words) == 1 and words[0] in Locale("en").languages
    return code or (len(words) <= SHORT and bool(usual & {*words}))


@functools.cache
def _language_names():
    """The names of languages in lower case, in English and in themselves."""
    english = Locale("en").languages.values()
    own = (Locale(code).get_language_name(code) for code in LANGUAGES)
    return {name.lower() for name in (*english, *own) if name}


def _examples(where, rows, note, *faults):
    for bad in faults:
        bad.report()
    if not rows:
        raise ValueError(f"{where}: holds no pair of sentences.")
    lines, pairs = zip(*rows, strict=True)
    return Examples(where, list(pairs), [None] * len(pairs), list(lines), note)
