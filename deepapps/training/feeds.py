"""Feeds: from a source to the batches of the compiled step, in the order of `deepapps.data.order`.

Every feed has `steps`, the number of global batches of an epoch; `start(epoch, step)`, which gives
the block that compiled calls take batches from; and, inside the calls, `element(block, index)`,
this worker's share of one global batch, and `load(element)`, `(inputs, targets, weights)` of a
replica's slice of it. `resumes_within_epoch` tells whether `start` can begin at any step, `is_xla`
whether XLA can compile `element` and `load`.
"""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.data.order import bucketed_batches, index_batches, pair_batches, share_of
from deepapps.data.ragged import PairSource, RaggedSource
from deepapps.data.source import ArraySource


@functools.singledispatch
def make_feed(source, batch_size, seed=None, share=(0, 1)):
    """The feed that fits the class of a source; `make_feed.register` adds one for a class of your
    own.

    Args:
        source: What `Splits` holds. A source of an unknown class is read by index, in the
            background.
        batch_size: Examples of a global batch; a dataset brings its own.
        seed: Seed of the order. None keeps the order of the source, for evaluation.
        share: `(index, count)` of the worker whose share of the batches it is. Defaults to all.
    Raises: ValueError for a dataset that several workers should share.
    """
    return SourceFeed(source, batch_size, seed, share)


class ArrayFeed:
    """Hands the step rows of indices; the compiled step gathers its batch from arrays in memory."""

    resumes_within_epoch = is_xla = True

    def __init__(self, source, batch_size, seed=None, share=(0, 1)):
        self.size, self.batch_size, self.seed, self.share = len(source), batch_size, seed, share
        self.steps = -(-self.size // batch_size)
        self._arrays = tree.map_structure(tf.convert_to_tensor, source.arrays)

    def start(self, epoch, step):
        block = index_batches(self.size, self.batch_size, self.seed, epoch)
        return tuple(tf.convert_to_tensor(share_of(part, self.share)) for part in block)

    def element(self, block, index):
        # a slice would have XLA compile each start
        return tuple(tf.gather(part, index) for part in block)

    def load(self, element):
        rows, valid = element
        batch = tree.map_structure(lambda array: tf.gather(array, rows), self._arrays)
        return with_weights(batch, valid)


class SourceFeed:
    """Reads batches from a random-access source in the background, while the step computes."""

    resumes_within_epoch, is_xla = True, False

    def __init__(self, source, batch_size, seed=None, share=(0, 1)):
        self.size, self.batch_size, self.seed, self.share = len(source), batch_size, seed, share
        self.steps = -(-self.size // batch_size)
        self._source = source
        sample = self._read(
            *(share_of(part, share)[0] for part in index_batches(self.size, batch_size))
        )
        self._signature = tree.map_structure(
            lambda array: tf.TensorSpec(array.shape, array.dtype), sample
        )

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
    """Takes the batches of a `tf.data.Dataset` as they come: a resume starts at the epoch's
    beginning.
    """

    resumes_within_epoch = is_xla = False

    def __init__(self, dataset, share):
        if share[1] > 1:
            raise ValueError(
                "A tf.data.Dataset trains in one process: give several workers a source with "
                f"random access. Received: {share[1]} workers"
            )
        if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset never ends: give it an end with `.take(steps)`.")
        _check_batches(dataset.element_spec)
        self.steps, self.batch_size = _count(dataset)
        if self.steps == 0:
            raise ValueError("The dataset is empty.")
        self.size = None
        self._dataset = dataset.map(self._filled).prefetch(2)

    def start(self, epoch, step):
        return iter(self._dataset)

    def element(self, block, index):
        return next(block)

    def load(self, element):
        return element

    def _filled(self, *batch):
        """Fills a batch up to the size of the largest, with repeated examples of weight 0."""
        size = tf.shape(tree.flatten(batch)[0])[0]
        rows = tf.range(self.batch_size) % size
        valid = tf.cast(tf.range(self.batch_size) < size, "float32")
        return with_weights(
            tree.map_structure(lambda tensor: tf.gather(tensor, rows), batch), valid
        )


def _check_batches(spec):
    """Raises ValueError, in one line, for a dataset whose elements are no batches."""
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            "A dataset must give batches (inputs, targets) or (inputs, targets, weights). "
            f"Received: {spec}"
        )
    if len(spec) == 3 and tree.is_nested(spec[2]):
        raise ValueError("The weights of a batch must be one tensor, also for several outputs.")
    parts = tree.flatten(spec)
    if any(not isinstance(part, tf.TensorSpec) for part in parts):
        raise ValueError(
            "A dataset must give dense tensors: `.map` ragged ones to `.to_tensor()`, sparse ones "
            f"to `tf.sparse.to_dense`. Received: {spec}"
        )
    known = [part.shape for part in parts if part.shape.rank is not None]
    if any(not shape.rank for shape in known) or len({shape[0] for shape in known} - {None}) > 1:
        raise ValueError(
            "A dataset must give batches, and these are single examples: add `.batch(size)`. "
            f"Received: {spec}"
        )


def _count(dataset):
    """The number of batches of a dataset, and the examples of the largest. The dataset is read for
    it, unless its type says both.
    """
    steps, fixed = int(dataset.cardinality()), tree.flatten(dataset.element_spec)[0].shape[0]
    if steps >= 0 and fixed is not None:
        return steps, fixed
    sizes = dataset.map(lambda *batch: tf.shape(tree.flatten(batch)[0])[0])
    counted = sizes.reduce(
        (0, 0), lambda so_far, size: (so_far[0] + 1, tf.maximum(so_far[1], size))
    )
    return tuple(int(number) for number in counted)


class BucketedFeed:
    """Hands the step rows of indices; the compiled step gathers and pads its batch from memory."""

    resumes_within_epoch, is_xla = True, False

    def __init__(self, source, batch_size, seed=None, share=(0, 1)):
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
        # to be shared out like the rest
        widths = np.repeat(widths[:, None], self.batch_size, axis=1)
        return tuple(
            tf.convert_to_tensor(share_of(part, self.share)) for part in (rows, valid, widths)
        )

    def element(self, block, index):
        return tuple(tf.gather(part, index) for part in block)

    def load(self, element):
        rows, valid, widths = element
        inputs = padded(
            self._values,
            tf.gather(self._starts, rows),
            tf.gather(self._lengths, rows),
            tf.reduce_max(widths),
        )
        return with_weights((inputs, *(tf.gather(array, rows) for array in self._arrays)), valid)


class PairFeed(BucketedFeed):
    """The same for pairs of sequences, both of which are padded."""

    def __init__(self, source, batch_size, seed=None, share=(0, 1)):
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
        rows = tf.gather(rows, used)
        valid = tf.gather(valid, used)
        widths = tf.reduce_max(widths, axis=0)
        sources, targets = (
            padded(values, tf.gather(starts, rows), tf.gather(lengths, rows), widths[number])
            for number, (values, starts, lengths) in enumerate(self._sides)
        )
        real = tf.cast(targets[:, 1:] != 0, "float32")
        return (sources, targets[:, :-1]), targets[:, 1:], real * valid[:, None]


make_feed.register(ArraySource, ArrayFeed)
make_feed.register(RaggedSource, BucketedFeed)
make_feed.register(PairSource, PairFeed)


@make_feed.register
def _(source: tf.data.Dataset, batch_size, seed=None, share=(0, 1)):
    return DatasetFeed(source, share)


@make_feed.register
def _(source: keras.utils.PyDataset, batch_size, seed=None, share=(0, 1)):
    return DatasetFeed(_dataset_of(source), share)


def _dataset_of(batches):
    """The batches of a `keras.utils.PyDataset`, in their order, as a `tf.data.Dataset`."""

    def read():
        yield from (tuple(batches[index]) for index in range(len(batches)))
        batches.on_epoch_end()

    first = tree.map_structure(np.asarray, tuple(batches[0]))
    spec = tree.map_structure(lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), first)
    return tf.data.Dataset.from_generator(read, output_signature=spec)


def with_weights(batch, valid):
    """Makes `(inputs, targets, weights)` of a batch that may bring sample weights, and 0 or 1 an
    example.
    """
    inputs, targets, *weights = batch
    if not weights:
        return inputs, targets, valid
    weights = tf.cast(weights[0], valid.dtype)
    return inputs, targets, weights * tf.reshape(valid, [-1] + [1] * (weights.shape.rank - 1))


def padded(values, starts, lengths, width):
    """Sequences that lie end to end in `values`, padded with 0 to `width` steps: `(B, [K,]
    width, ...)`.
    """
    steps = tf.range(width)
    real = steps < lengths[..., None]
    places = tf.where(real, starts[..., None] + tf.cast(steps, starts.dtype), 0)
    inputs = tf.gather(values, places)
    real = tf.reshape(
        real, tf.concat([tf.shape(real), [1] * (inputs.shape.rank - real.shape.rank)], 0)
    )
    return tf.where(real, inputs, tf.zeros((), inputs.dtype))
