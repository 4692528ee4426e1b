"""Batches of sequences of like length: the feed of a `RaggedSource`.

An epoch is a list of rows of indices here, too, drawn from `(seed, epoch)` alone; only that each row
holds examples of like length. It is padded to one of a few widths, for which few shapes are compiled.
"""

import numpy as np
import tensorflow as tf

from deepapps.data.ragged import bucket_widths
from deepapps.training.batches import with_weights


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


class BucketedFeed:
    """Hands the step rows of indices; the compiled step gathers and pads its batch from memory."""

    resumes_within_epoch, is_xla = True, False

    def __init__(self, source, batch_size, seed):
        self.size, self.batch_size, self.seed = len(source), batch_size, seed
        self.steps = -(-self.size // batch_size)
        inputs = source.inputs
        self._sizes = inputs.sizes
        self._arrays = [tf.convert_to_tensor(array) for array in source.rest]
        self._values, self._starts, self._lengths = map(
            tf.convert_to_tensor, (inputs.values, inputs.starts, inputs.lengths)
        )

    def start(self, epoch, step):
        rows, valid, widths = bucketed_batches(self._sizes, self.batch_size, self.seed, epoch)
        # a width for each example, so that replicas share it as they do the rest
        widths = np.repeat(widths[:, None], self.batch_size, axis=1)
        return tuple(tf.convert_to_tensor(part) for part in (rows, valid, widths))

    def element(self, block, index):
        return tuple(tf.gather(part, index) for part in block)

    def load(self, element):
        rows, valid, widths = element
        inputs = padded(
            self._values, tf.gather(self._starts, rows), tf.gather(self._lengths, rows), tf.reduce_max(widths)
        )
        return with_weights((inputs, *(tf.gather(array, rows) for array in self._arrays)), valid)


def padded(values, starts, lengths, width):
    """Sequences that lie end to end in `values`, padded with 0 to `width` steps: `(B, [K,] width, ...)`."""
    steps = tf.range(width)
    real = steps < lengths[..., None]
    places = tf.where(real, starts[..., None] + tf.cast(steps, starts.dtype), 0)
    inputs = tf.gather(values, places)
    real = tf.reshape(real, tf.concat([tf.shape(real), [1] * (inputs.shape.rank - real.shape.rank)], 0))
    return tf.where(real, inputs, tf.zeros((), inputs.dtype))
