"""Files of sentence pairs: tab-separated ones, and two files with a sentence a line; each plain
or .gz.
"""

from deepapps.data.examples import Examples
from deepapps.data.sequences.text_files import BadLines, read_lines

ENDS = (".tsv", ".txt", ".tsv.gz", ".txt.gz")


def read_pairs(path, skip_bad_lines=False):
    """Reads a tab-separated file of source and target in UTF-8; further columns are ignored.

    Args:
        path: A .tsv or .txt file, also with .gz behind, as the exports of Tatoeba are.
        skip_bad_lines: Count and report the lines that cannot be used, in place of an error.
    Returns: `Examples` of pairs, without labels.
    Raises: ValueError, with file and line, for a line without two texts.
    """
    bad, rows = BadLines(path, skip_bad_lines), []
    for number, line in read_lines(path, bad):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < 2:
            bad.add(number, "has no tab between source and target.")
        elif not all(cells[:2]):
            bad.add(number, f"the {'target' if cells[0] else 'source'} is empty.")
        else:
            rows.append((number, (cells[0], cells[1])))
    return _examples(path, rows, bad)


def read_parallel(source, target, skip_bad_lines=False):
    """Reads two files whose lines translate each other; lines that are empty in both are passed
    over.

    Args and Returns: as `read_pairs`.
    Raises: ValueError, with both counts, for files of unequal length; with file and line, for a
        line that is empty in one file alone.
    """
    where = f"{source}:{target}"
    faults = [BadLines(path, skip_bad_lines) for path in (source, target)]
    sides = [
        dict(read_lines(path, bad, empty=True))
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
    return _examples(where, rows, *faults)


def _examples(where, rows, *faults):
    for bad in faults:
        bad.report()
    if not rows:
        raise ValueError(f"{where}: holds no pair of sentences.")
    lines, pairs = zip(*rows, strict=True)
    return Examples(where, list(pairs), [None] * len(pairs), list(lines))
