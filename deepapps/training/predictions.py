"""The outputs of a model for many inputs, shared out over the replicas and workers of a strategy."""

import contextlib
import functools

import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.training.batches import index_batches, share_of


@contextlib.contextmanager
def shared_predict(model, workers):
    """Inside the block `model.predict` is shared out over all replicas (Keras's own fails on several workers), and so
    is any function of batches that `model.share` makes a `shared_call` of.

    All workers must call it together, with the same inputs, and each gets all outputs.

    Args:
        model: Made in the scope of the strategy.
        workers: The `Workers` of the strategy.
    """
    if workers.strategy.num_replicas_in_sync == 1:
        yield
        return
    model.share = functools.partial(shared_call, workers=workers)
    call = model.share(forward(model))
    model.predict = lambda inputs, batch_size=256, verbose=0: call(inputs, batch_size)
    try:
        yield
    finally:
        del model.predict, model.share


@functools.lru_cache(maxsize=4)
def forward(model):
    """The call of a model as a function of a batch, the same one each time."""
    return lambda batch: model(batch, training=False)


@functools.lru_cache(maxsize=4)
def shared_call(function, workers):
    """Makes `call(inputs, batch_size)` of a function of batches: arrays `(N, ...)` to all that it returns for them.

    Args:
        function: Takes a batch, arrays or tensors `(B, ...)`, and returns tensors `(B, ...)`.
        workers: The `Workers` of the strategy, who must call this together.
    """
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
