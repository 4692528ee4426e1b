"""Counts of examples as text, for what is said of the data before training."""


def part_counts(splits):
    """How many examples `Splits` hold together, and `train 3,980  validation 509  test 511`."""
    counts = {part: len(source) for part, source in splits.sources.items()}
    return sum(counts.values()), "  ".join(f"{part} {count:,}" for part, count in counts.items())


def cut_line(where, part, ragged, max_length, unit):
    """A line that says how many sequences of a part are cut, in a list; an empty one where none
    are.
    """
    if not ragged.cut:
        return []
    count = f"{ragged.cut:,} of {ragged.lengths.size:,}"
    return [f"{where} ({part}): {count} are cut to {max_length} {unit}; --max-length sets it."]


def class_counts(names, counts):
    """`daisy 506, tulips 640`; of many classes the smallest and the largest."""
    pairs = list(zip(counts, names, strict=True))
    if len(pairs) > 20:
        pairs = [min(pairs), max(pairs)]
    middle = ", " if len(pairs) == len(names) else " to "
    return middle.join(f"{name} {count:,}" for count, name in pairs)
