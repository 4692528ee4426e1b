"""A metric for short and for long examples."""

import numpy as np


def parts_by_length(lengths, measure, parts=5):
    """A figure for short and for long examples.

    Args:
        lengths: Integers `(N,)`.
        measure: Function from the examples of a part, boolean `(N,)`, to their figure.
        parts: Parts of about the same number of examples. Equal lengths stay together, so there may
            be fewer.
    Returns: a list of `[shortest, longest, examples, figure]`.
    """
    lengths = np.asarray(lengths)
    ends = np.unique(np.quantile(lengths, np.linspace(0, 1, parts + 1)[1:], method="higher"))
    part = np.searchsorted(ends, lengths)
    groups = [group for group in (part == number for number in range(len(ends))) if group.any()]
    return [
        [int(lengths[group].min()), int(lengths[group].max()), int(group.sum()), measure(group)]
        for group in groups
    ]
