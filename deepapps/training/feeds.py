"""From a source to the batches of the compiled step, by one rule for order, shards and resume.

An epoch is a list of rows of indices, drawn from `(seed, epoch)` alone. Global batch g is row g;
each worker takes its contiguous share of the row, and replica r its slice; a resume starts at row g. The last row is filled up
with repeated examples of weight 0, so shapes stay static and no replica is left empty.

A feed hands such rows to the step. Every feed has `steps`, the number of global batches of an epoch;
`start(epoch, step)`, which gives the block that compiled calls take batches from; and, inside the
calls, `element(block, index)`, this worker's share of one global batch, and `load(element)`, `(inputs, targets, weights)`
of a replica's slice of it. `resumes_within_epoch` tells whether `start` can begin at any step,
`is_xla` whether XLA can compile `element` and `load`.
"""

import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.data.ragged import PairSource, RaggedSource
from deepapps.data.source import ArraySource


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
    order = np.arange(size) if seed is None else np.random.default_rng([seed, epoch]).permutation(size)
    filled = -(-size // batch_size) * batch_size
    rows = np.resize(order, filled).astype("int32").reshape(-1, batch_size)
    valid = (np.arange(filled) < size).astype("float32").reshape(-1, batch_size)
    return rows, valid


def make_feed(source, batch_size, seed=None, share=(0, 1)):
    """The feed that fits the source: arrays or sequences in memory, random access, or a `tf.data.Dataset`.

    Args:
        source: What `Splits` holds.
        batch_size: Examples of a global batch; a dataset brings its own.
        seed: Seed of the order. None keeps the order of the source, for evaluation.
        share: `(index, count)` of the worker whose share of the batches it is. Defaults to all.
    Raises: ValueError for a dataset that several workers should share.
    """
    if isinstance(source, tf.data.Dataset):
        return DatasetFeed(source, share)
    if isinstance(source, ArraySource):
        return ArrayFeed(source, batch_size, seed, share)
    if isinstance(source, RaggedSource | PairSource):
        from deepapps.training.bucketed_feeds import BucketedFeed, PairFeed  # which need this module

        feed = PairFeed if isinstance(source, PairSource) else BucketedFeed
        return feed(source, batch_size, seed, share)
    return SourceFeed(source, batch_size, seed, share)


def share_of(rows, share):
    """The columns of rows `(steps, B)` that are a worker's, `(steps, B / workers)`."""
    index, count = share
    width = rows.shape[1] // count
    return rows[:, index * width : (index + 1) * width]


class ArrayFeed:
    """Hands the step rows of indices; the compiled step gathers its batch from arrays in memory."""

    resumes_within_epoch = is_xla = True

    def __init__(self, source, batch_size, seed, share):
        self.size, self.batch_size, self.seed, self.share = len(source), batch_size, seed, share
        self.steps = -(-self.size // batch_size)
        self._arrays = tree.map_structure(tf.convert_to_tensor, source.arrays)

    def start(self, epoch, step):
        block = index_batches(self.size, self.batch_size, self.seed, epoch)
        return tuple(tf.convert_to_tensor(share_of(part, self.share)) for part in block)

    def element(self, block, index):
        return tuple(tf.gather(part, index) for part in block)  # a slice would have XLA compile each start

    def load(self, element):
        rows, valid = element
        batch = tree.map_structure(lambda array: tf.gather(array, rows), self._arrays)
        return with_weights(batch, valid)


class SourceFeed:
    """Reads batches from a random-access source in the background, while the step computes."""

    resumes_within_epoch, is_xla = True, False

    def __init__(self, source, batch_size, seed, share):
        self.size, self.batch_size, self.seed, self.share = len(source), batch_size, seed, share
        self.steps = -(-self.size // batch_size)
        self._source = source
        sample = self._read(*(share_of(part, share)[0] for part in index_batches(self.size, batch_size)))
        self._signature = tree.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), sample)

    def start(self, epoch, step):
        block = index_batches(self.size, self.batch_size, self.seed, epoch)
        rows, valid = (share_of(part, self.share)[step:] for part in block)
        batches = (self._read(*pair) for pair in zip(rows, valid, strict=True))
        dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=self._signature)
        return iter(dataset.prefetch(2))

    def element(self, block, index):
        return next(block)

    def load(self, element):
        return element

    def _read(self, rows, valid):
        batch = tree.map_structure(np.asarray, tuple(self._source[rows]))
        inputs, targets, *weights = batch
        if not weights:
            return inputs, targets, valid
        weights = weights[0].astype(valid.dtype)
        return inputs, targets, weights * valid.reshape(-1, *[1] * (weights.ndim - 1))


class DatasetFeed:
    """Takes the batches of a `tf.data.Dataset` as they come: a resume starts at the epoch's beginning."""

    resumes_within_epoch = is_xla = False

    def __init__(self, dataset, share):
        if share[1] > 1:
            raise ValueError(
                "A tf.data.Dataset trains in one process: give several workers a source with random access. "
                f"Received: {share[1]} workers"
            )
        self.steps = int(dataset.cardinality())
        if self.steps == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset never ends: give it an end with `.take(steps)`.")
        if self.steps < 0:
            self.steps = int(dataset.reduce(np.int64(0), lambda count, _: count + 1))
        if self.steps == 0:
            raise ValueError("The dataset is empty.")
        first = next(iter(dataset.take(1)))
        self.batch_size = int(tree.flatten(first)[0].shape[0])
        self.size = None
        self._dataset = dataset.map(self._filled).prefetch(2)

    def start(self, epoch, step):
        return iter(self._dataset)

    def element(self, block, index):
        return next(block)

    def load(self, element):
        return element

    def _filled(self, *batch):
        """Fills a last, smaller batch up with repeated examples of weight 0."""
        size = tf.shape(tree.flatten(batch)[0])[0]
        rows = tf.range(self.batch_size) % size
        valid = tf.cast(tf.range(self.batch_size) < size, "float32")
        return with_weights(tree.map_structure(lambda tensor: tf.gather(tensor, rows), batch), valid)


def with_weights(batch, valid):
    """Makes `(inputs, targets, weights)` of a batch that may bring sample weights, and 0 or 1 an example."""
    inputs, targets, *weights = batch
    if not weights:
        return inputs, targets, valid
    weights = tf.cast(weights[0], valid.dtype)
    return inputs, targets, weights * tf.reshape(valid, [-1] + [1] * (weights.shape.rank - 1))
