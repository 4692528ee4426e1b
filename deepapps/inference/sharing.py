"""The outputs of a model for many inputs, shared out over the replicas and workers of a strategy."""

import contextlib

import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.data.order import index_batches, share_of


@contextlib.contextmanager
def shared_predict(model, workers):
    """Inside the block `model.predict` is shared out over all replicas (Keras's own fails on several workers), and so
    is what `sharing` gives.

    All workers must call it together, with the same inputs, and each gets all outputs.

    Args:
        model: Made in the scope of the strategy.
        workers: The `Workers` of the strategy.
    """
    if workers.strategy.num_replicas_in_sync == 1:
        yield
        return
    call = _shared(model, lambda batch: model(batch, training=False), workers)
    model.predict = lambda inputs, batch_size=256, verbose=0: call(inputs, batch_size)
    model.sharing = lambda key, function: _shared(key, function, workers)
    try:
        yield
    finally:
        del model.predict, model.sharing


def sharing(model):
    """Inside the block of `shared_predict`, `share(key, function)`; elsewhere None.

    `share` makes `call(inputs, batch_size)`, from arrays `(N, ...)` to all outputs for them, of a function of batches,
    tensors `(B, ...)` to tensors `(B, ...)`. It is compiled once for a key.
    """
    return vars(model).get("sharing")


def _shared(key, function, workers):
    if key not in workers.calls:
        workers.calls[key] = _shared_call(function, workers)
    return workers.calls[key]


def _shared_call(function, workers):
    strategy = workers.strategy

    def part(batch):
        outputs = function(tree.map_structure(workers.slice, batch))
        gather = tf.distribute.get_replica_context().all_gather
        return tree.map_structure(lambda tensor: gather(tensor, 0), outputs)

    @tf.function(autograph=False, reduce_retracing=True)
    def whole(batch):
        outputs = strategy.run(part, (batch,))
        return tree.map_structure(lambda o: strategy.experimental_local_results(o)[0], outputs)

    def call(inputs, batch_size):
        inputs, replicas = tree.map_structure(np.asarray, inputs), strategy.num_replicas_in_sync
        size = len(tree.flatten(inputs)[0])
        rows, _ = index_batches(size, -(-batch_size // replicas) * replicas)
        batches = (
            tree.map_structure(lambda array, row=row: tf.constant(array[row]), inputs)
            for row in share_of(rows, workers.share)
        )
        outputs = [tree.map_structure(np.asarray, whole(batch)) for batch in batches]
        return tree.map_structure(lambda *parts: np.concatenate(parts)[:size], *outputs)

    return call
