"""The one rule for order, shards and resume.

An epoch is a list of rows of indices, drawn from `(seed, epoch)` alone. Global batch g is row g.
Each worker takes its contiguous share of the row, and each replica its slice of that. A resume
starts at row g. The last row is filled up with repeated examples of weight 0, so shapes stay static
and no replica is empty.
"""

import numpy as np

from deepapps.data.ragged import bucket_widths

REPLICAS = 8  # a batch of pairs that `batch_tokens` bounds holds at least this many pairs


def index_batches(size, batch_size, seed=None, epoch=0):
    """The rows of one epoch.

    Args:
        size: Number of examples.
        batch_size: Width `B` of a row.
        seed: Seed of the order. None keeps the order of the source.
        epoch: Number of the epoch, which together with the seed gives the order.
    Returns: `(rows, valid)`, both `(steps, B)`: int32 indices, and float32 1 or, for the examples
        that only fill up the last row, 0.
    """
    order = (
        np.arange(size) if seed is None else np.random.default_rng([seed, epoch]).permutation(size)
    )
    filled = -(-size // batch_size) * batch_size
    rows = np.resize(order, filled).astype("int32").reshape(-1, batch_size)
    valid = (np.arange(filled) < size).astype("float32").reshape(-1, batch_size)
    return rows, valid


def share_of(rows, share):
    """The columns of rows `(steps, B)` that are a worker's, `(steps, B / workers)`."""
    index, count = share
    width = rows.shape[1] // count
    return rows[:, index * width : (index + 1) * width]


def bucketed_batches(sizes, batch_size, seed=None, epoch=0):
    """The rows of one epoch, each of examples of like size, in random order.

    Args:
        sizes: Steps of each example, `(N,)`.
        batch_size: Width `B` of a row.
        seed: Seed of the order. None puts the rows in the order of their sizes.
        epoch: Number of the epoch, which together with the seed gives the order.
    Returns: `(rows, valid, widths)`: int32 indices `(rows, B)`; float32 1 or, for the examples that
        only fill up one row, 0; the steps that each row is padded to, `(rows,)`.
    """
    size, rounded = len(sizes), bucket_widths(sizes)
    generator = None if seed is None else np.random.default_rng([seed, epoch])
    order = np.arange(size) if seed is None else generator.permutation(size)
    order = order[np.argsort(rounded[order], kind="stable")]
    filled = -(-size // batch_size) * batch_size
    last = order[-(size % batch_size) :] if size % batch_size else order
    rows = (
        np.concatenate([order, np.resize(last, filled - size)])
        .astype("int32")
        .reshape(-1, batch_size)
    )
    valid = (np.arange(filled) < size).astype("float32").reshape(-1, batch_size)
    if seed is not None:
        shuffled = generator.permutation(len(rows))
        rows, valid = rows[shuffled], valid[shuffled]
    return rows, valid, rounded[rows].max(axis=1)


def pair_batches(sizes, batch_size, batch_tokens=None, seed=None, epoch=0):
    """The rows of one epoch of pairs, each of pairs of like sizes, in random order.

    Args:
        sizes: Steps of both sides of each pair, `(N, 2)`.
        batch_size: Most pairs `B` of a row.
        batch_tokens: Most steps of a row on its longer side, padding included; but a row has
            `REPLICAS` pairs, so that none of as many replicas is left empty. None: no bound.
        seed, epoch: As in `bucketed_batches`.
    Returns: `(rows, valid, widths)`: int32 indices `(rows, B)`, -1 where a row has fewer, spread so
        that contiguous parts of a row hold as many each, or one more; float32 1 or, for the pairs
        that only fill up the last row, 0; the steps that both sides of each row are padded to,
        `(rows, 2)`. Every epoch has as many rows.
    """
    size, rounded = len(sizes), bucket_widths(sizes)
    generator = None if seed is None else np.random.default_rng([seed, epoch])
    order = np.arange(size) if seed is None else generator.permutation(size)
    longer = rounded.max(axis=1)
    order = order[np.lexsort((rounded[order, 0], rounded[order, 1], longer[order]))]
    room = np.full(size, batch_size) if batch_tokens is None else batch_tokens // longer[order]
    room = np.clip(room, min(REPLICAS, batch_size), batch_size)
    starts = _row_starts(room)
    filled = starts[-1] + int(room[-1])  # the last row is filled up
    order = np.concatenate([order, np.resize(order[starts[-1] :], filled - size)])
    shape = len(starts), batch_size
    rows, valid = np.full(shape, -1, "int32"), np.zeros(shape, "float32")
    for row, (start, end) in enumerate(zip(starts, [*starts[1:], filled], strict=True)):
        places = np.arange(end - start) * batch_size // (end - start)
        rows[row, places], valid[row, places] = order[start:end], np.arange(start, end) < size
    widths = rounded[np.where(rows < 0, rows.max(axis=1, keepdims=True), rows)].max(axis=1)
    shuffled = np.arange(len(rows)) if seed is None else generator.permutation(len(rows))
    return rows[shuffled], valid[shuffled], widths[shuffled]


def _row_starts(room):
    """Where rows begin, if one that ends with example i may have `room[i]` of them; `room` never
    grows.
    """
    starts, start = [], 0
    while start < len(room):
        starts.append(start)
        widest = room[start : start + room[start]]
        start += max(int((np.arange(1, 1 + len(widest)) <= widest).sum()), 1)
    return starts
