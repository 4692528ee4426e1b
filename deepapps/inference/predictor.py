"""The outputs of a model for many inputs, on one device or shared out over a strategy."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.data.order import index_batches, share_of
from deepapps.data.ragged import Ragged, RaggedSource
from deepapps.distribution.heartbeat import beat
from deepapps.distribution.workers import Workers
from deepapps.inference.progress import progress_bar

BATCH = 128  # examples of a fixed size
SEQUENCES = 256  # of varied lengths: a step of a loop costs little more for more of them
AT_ONCE = 2  # batches: while one waits for a product that all cores share, the other has work
READ = 1024  # examples of a source that are in memory at a time
KEPT = 8  # compiled functions, the last ones used: each setting of a search has one


class Predictor:
    """Computes the outputs of a model. Its last graphs are kept, and live as long as it does.

    On several workers all of them must ask together, with the same inputs, and each gets all
    outputs.

    Args:
        model: The `keras.Model`, made in the scope of the strategy.
        workers: The `Workers` of the strategy. Defaults to this process alone, on one device.

    Attributes:
        model: The `keras.Model`.
    """

    def __init__(self, model: keras.Model, workers: Workers | None = None):
        self.model = model
        is_shared = workers is not None and workers.strategy.num_replicas_in_sync > 1
        self._workers, self._calls = workers if is_shared else None, {}

    def predict(self, inputs, progress: bool = False):
        """The outputs for N inputs, `(N, ...)`, in the order of the inputs.

        Args:
            inputs: Arrays `(N, ...)` as the model takes them; or `Ragged`, of which those of
                similar length make a batch.
            progress: Show a bar on stderr, where that is a terminal.
        Returns: an array, or arrays in the structure of the model's outputs. Outputs for each step
            of `Ragged` inputs are padded with 0 to the longest.
        """
        if isinstance(inputs, Ragged):
            order, size = np.argsort(inputs.sizes, kind="stable"), SEQUENCES
            free, batch_of = inputs.lengths.ndim, inputs.padded
        else:
            inputs = tree.map_structure(np.asarray, inputs)
            order, size, free = np.arange(len(tree.flatten(inputs)[0])), BATCH, None

            def batch_of(rows):
                return tree.map_structure(lambda array: array[rows], inputs)

        batches = [order[start : start + size] for start in range(0, len(order), size)]
        outputs = self._outputs(batch_of, batches, free, progress)
        places = np.argsort(order, kind="stable")
        return tree.map_structure(lambda *parts: _joined(parts)[places], *outputs)

    def outputs(self, source, progress: bool = False):
        """The model's outputs for a source, and the targets and sample weights that the source
        holds.

        Args:
            source: A source of N examples, read a part at a time.
            progress: As in `predict`.
        Returns: `(outputs, targets, weights)`; `weights` is None where the source has none.
        """
        if isinstance(source, RaggedSource):
            targets, *weights = source.rest
            return self.predict(source.inputs, progress), targets, weights[0] if weights else None
        parts = []
        for start in range(0, len(source), READ):
            inputs, targets, *weights = source[np.arange(start, min(start + READ, len(source)))]
            parts.append((self.predict(inputs, progress), targets, *weights))
        outputs, targets, *weights = tree.map_structure(
            lambda *arrays: np.concatenate(arrays), *parts
        )
        return outputs, targets, weights[0] if weights else None

    def compiled(self, key: Hashable, function: Callable, free: int | None = None) -> Callable:
        """A function of a batch, compiled once for a key while it is among the last `KEPT`; shared
        out where there are several replicas.

        Args:
            key: What tells the function from others.
            function: From tensors `(B, ...)` to tensors `(B, ...)`.
            free: An axis of the inputs that differs from batch to batch, beside the first. Defaults
                to none.
        Returns: `call(batch)`, from arrays to arrays.
        """
        make = _shared_call if self._workers else _local_call
        call = self._calls.pop(key, None) or make(function, free, self._workers)
        self._calls[key] = call  # the last one used
        while len(self._calls) > KEPT:
            del self._calls[next(iter(self._calls))]
        return call

    def _outputs(self, batch_of, batches, free, progress):
        """The outputs for each of the batches, which are arrays of rows."""
        call = self.compiled(("model", free), lambda batch: self.model(batch, training=False), free)
        if len(batches) == 1:
            return [call(batch_of(batches[0]))]
        # replicas must take the batches in the same order
        pool = ThreadPoolExecutor(1 if self._workers else AT_ONCE)
        try:
            waiting = [pool.submit(lambda rows: call(batch_of(rows)), rows) for rows in batches]
            return [one.result() for one in progress_bar(waiting, "predict", shown=progress)]
        finally:
            pool.shutdown(cancel_futures=True)


def _local_call(function, free, workers):
    graphs, lock = {}, threading.Lock()  # by the structure, the types and the fixed axes of a batch

    def graph_for(batch):
        signature = tree.map_structure(lambda array: _spec(array, free), batch)
        key = str(signature)
        with lock:
            if key not in graphs:
                made = tf.function(function, input_signature=[signature], autograph=False)
                graphs[key] = made.get_concrete_function()
            return graphs[key]

    def call(batch):
        outputs = graph_for(batch)(tree.map_structure(tf.constant, batch))
        beat()
        return tree.map_structure(np.asarray, outputs)

    return call


def _spec(array, free):
    shape = [None if axis in (0, free) else size for axis, size in enumerate(array.shape)]
    return tf.TensorSpec(shape, array.dtype)


def _shared_call(function, free, workers):
    strategy = workers.strategy

    def part(batch):
        outputs = function(tree.map_structure(workers.slice, batch))
        gather = tf.distribute.get_replica_context().all_gather
        return tree.map_structure(lambda tensor: gather(tensor, 0), outputs)

    @tf.function(autograph=False, reduce_retracing=True)
    def whole(batch):
        outputs = strategy.run(part, (batch,))
        return tree.map_structure(lambda o: strategy.experimental_local_results(o)[0], outputs)

    def call(batch):
        size, replicas = len(tree.flatten(batch)[0]), strategy.num_replicas_in_sync
        (rows,) = share_of(index_batches(size, -(-size // replicas) * replicas)[0], workers.share)
        share = tree.map_structure(lambda array: tf.constant(array[rows]), batch)
        outputs = tree.map_structure(lambda tensor: np.asarray(tensor)[:size], whole(share))
        beat()
        return outputs

    return call


def _joined(parts):
    """Outputs of batches as one array; steps are padded with 0 to the most that a batch has."""
    steps = {part.shape[1:2] for part in parts}
    if len(steps) == 1:
        return np.concatenate(parts)
    most = max(steps)[0]
    widths = [[(0, 0), (0, most - part.shape[1])] + [(0, 0)] * (part.ndim - 2) for part in parts]
    return np.concatenate([np.pad(*pair) for pair in zip(parts, widths, strict=True)])
