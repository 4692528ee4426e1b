"""Batches of sequences of like length: the feed of a `RaggedSource`.

An epoch is a list of rows of indices here, too, drawn from `(seed, epoch)` alone; only that each row
holds examples of like length. It is padded to one of a few widths, for which few shapes are compiled.
"""

import numpy as np
import tensorflow as tf

from deepapps.data.ragged import bucket_widths
from deepapps.training.feeds import share_of, with_weights

REPLICAS = 8  # a batch of pairs bounded by its tokens has as many pairs at least


def bucketed_batches(sizes, batch_size, seed=None, epoch=0):
    """The rows of one epoch, each of examples of like size, in random order.

    Args:
        sizes: Steps of each example, `(N,)`.
        batch_size: Width `B` of a row.
        seed: Seed of the order. None puts the rows in the order of their sizes.
        epoch: Number of the epoch, which together with the seed gives the order.
    Returns: `(rows, valid, widths)`: int32 indices `(rows, B)`; float32 1 or, for the examples that only
        fill up one row, 0; the steps that each row is padded to, `(rows,)`.
    """
    size, rounded = len(sizes), bucket_widths(sizes)
    generator = None if seed is None else np.random.default_rng([seed, epoch])
    order = np.arange(size) if seed is None else generator.permutation(size)
    order = order[np.argsort(rounded[order], kind="stable")]
    filled = -(-size // batch_size) * batch_size
    last = order[-(size % batch_size) :] if size % batch_size else order
    rows = np.concatenate([order, np.resize(last, filled - size)]).astype("int32").reshape(-1, batch_size)
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
        batch_tokens: Most steps of a row on its longer side, padding included; but a row has `REPLICAS` pairs, so
            that none of as many replicas is left empty. None: no bound.
        seed, epoch: As in `bucketed_batches`.
    Returns: `(rows, valid, widths)`: int32 indices `(rows, B)`, -1 where a row has fewer, spread so that contiguous
        parts of a row hold as many each, or one more; float32 1 or, for the pairs that only fill up the last row, 0;
        the steps that both sides of each row are padded to, `(rows, 2)`. Every epoch has as many rows.
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
    """Where rows begin, if one that ends with example i may have `room[i]` of them; `room` never grows."""
    starts, start = [], 0
    while start < len(room):
        starts.append(start)
        widest = room[start : start + room[start]]
        start += max(int((np.arange(1, 1 + len(widest)) <= widest).sum()), 1)
    return starts


class BucketedFeed:
    """Hands the step rows of indices; the compiled step gathers and pads its batch from memory."""

    resumes_within_epoch, is_xla = True, False

    def __init__(self, source, batch_size, seed, share=(0, 1)):
        self.size, self.batch_size, self.seed, self.share = len(source), batch_size, seed, share
        self.steps = -(-self.size // batch_size)
        inputs = source.inputs
        self._sizes = inputs.sizes
        self._arrays = [tf.convert_to_tensor(array) for array in source.rest]
        self._values, self._starts, self._lengths = map(
            tf.convert_to_tensor, (inputs.values, inputs.starts, inputs.lengths)
        )

    def batches(self, epoch):
        """The rows of an epoch, which of them count, and the widths they are padded to."""
        return bucketed_batches(self._sizes, self.batch_size, self.seed, epoch)

    def start(self, epoch, step):
        rows, valid, widths = self.batches(epoch)
        widths = np.repeat(widths[:, None], self.batch_size, axis=1)  # to be shared out like the rest
        return tuple(tf.convert_to_tensor(share_of(part, self.share)) for part in (rows, valid, widths))

    def element(self, block, index):
        return tuple(tf.gather(part, index) for part in block)

    def load(self, element):
        rows, valid, widths = element
        inputs = padded(
            self._values, tf.gather(self._starts, rows), tf.gather(self._lengths, rows), tf.reduce_max(widths)
        )
        return with_weights((inputs, *(tf.gather(array, rows) for array in self._arrays)), valid)


class PairFeed(BucketedFeed):
    """The same for pairs of sequences, both of which are padded."""

    def __init__(self, source, batch_size, seed, share=(0, 1)):
        self.size, self.batch_size, self.seed, self.share = len(source), batch_size, seed, share
        self._sizes, self._tokens = source.sizes, source.batch_tokens
        self._sides = [
            tuple(map(tf.convert_to_tensor, (side.values, side.starts, side.lengths)))
            for side in (source.sources, source.targets)
        ]
        self.steps = len(pair_batches(self._sizes, batch_size, self._tokens)[0])

    def batches(self, epoch):
        return pair_batches(self._sizes, self.batch_size, self._tokens, self.seed, epoch)

    def load(self, element):
        rows, valid, widths = element
        used = tf.where(rows >= 0)[:, 0]
        rows, valid, widths = tf.gather(rows, used), tf.gather(valid, used), tf.reduce_max(widths, axis=0)
        sources, targets = (
            padded(values, tf.gather(starts, rows), tf.gather(lengths, rows), widths[number])
            for number, (values, starts, lengths) in enumerate(self._sides)
        )
        real = tf.cast(targets[:, 1:] != 0, "float32")
        return (sources, targets[:, :-1]), targets[:, 1:], real * valid[:, None]


def padded(values, starts, lengths, width):
    """Sequences that lie end to end in `values`, padded with 0 to `width` steps: `(B, [K,] width, ...)`."""
    steps = tf.range(width)
    real = steps < lengths[..., None]
    places = tf.where(real, starts[..., None] + tf.cast(steps, starts.dtype), 0)
    inputs = tf.gather(values, places)
    real = tf.reshape(real, tf.concat([tf.shape(real), [1] * (inputs.shape.rank - real.shape.rank)], 0))
    return tf.where(real, inputs, tf.zeros((), inputs.dtype))
