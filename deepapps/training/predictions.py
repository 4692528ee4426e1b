"""The outputs of a model for many inputs, shared out over the replicas and workers of a strategy."""

import contextlib

import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.training.batches import index_batches, share_of


@contextlib.contextmanager
def shared_predict(model, workers):
    """Inside the block `model.predict` is shared out over all replicas; Keras's own fails on several workers.

    All workers must call it together, with the same inputs, and each gets all outputs.

    Args:
        model: Made in the scope of the strategy.
        workers: The `Workers` of the strategy.
    """
    if workers.strategy.num_replicas_in_sync == 1:
        yield
        return
    model.predict = _make_predict(model, workers)
    try:
        yield
    finally:
        del model.predict


def _make_predict(model, workers):
    replicas, run = workers.strategy.num_replicas_in_sync, workers.strategy.run

    def predict_slice(batch):
        outputs = model(tree.map_structure(workers.slice, batch), training=False)
        gather = tf.distribute.get_replica_context().all_gather
        return tree.map_structure(lambda tensor: gather(tensor, 0), outputs)

    @tf.function(autograph=False)
    def predict_batch(batch):
        outputs = run(predict_slice, (batch,))
        return tree.map_structure(lambda o: workers.strategy.experimental_local_results(o)[0], outputs)

    def predict(inputs, batch_size=256, verbose=0):
        inputs = tree.map_structure(np.asarray, inputs)
        size = len(tree.flatten(inputs)[0])
        rows, _ = index_batches(size, -(-batch_size // replicas) * replicas)
        batches = (
            tree.map_structure(lambda array, row=row: array[row], inputs)
            for row in share_of(rows, workers.share)
        )
        outputs = [tree.map_structure(np.asarray, predict_batch(batch)) for batch in batches]
        return tree.map_structure(lambda *parts: np.concatenate(parts)[:size], *outputs)

    return predict
