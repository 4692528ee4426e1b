"""Synchronized batch normalization exchanges one message, and computes what Keras's layer does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepapps.distribution.strategies import make_strategy
from deepapps.training.normalization import join_messages


def normalize(strategy, inputs, mask, sizes, joined):
    """Outputs, gradients and moving averages of a layer whose replicas get so many rows each, by
    NumPy.
    """
    with strategy.scope():
        layer = keras.layers.BatchNormalization(synchronized=True)
        layer.build((None, *inputs.shape[1:]))
    if joined:
        join_messages(keras.Sequential([keras.Input(inputs.shape[1:]), layer]))
    starts = np.cumsum([0, *sizes])

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        rows = tf.range(tf.gather(starts, index), tf.gather(starts, index + 1))
        own, own_mask = (
            None if array is None else tf.gather(array, rows) for array in (inputs, mask)
        )
        with tf.GradientTape() as tape:
            tape.watch(own)
            outputs = layer(own, mask=own_mask, training=True)
            loss = tf.reduce_sum(tf.sin(outputs) * tf.gather(factors, rows))
        return outputs, tape.gradient(
            loss, [own, *(variable.value for variable in layer.trainable_variables)]
        )

    factors = np.random.default_rng(1).normal(size=inputs.shape).astype("float32")
    outputs, (rows, *weights) = strategy.run(tf.function(replica, autograph=False))
    parts = [np.concatenate(strategy.experimental_local_results(part)) for part in (outputs, rows)]
    sums = [np.sum(strategy.experimental_local_results(weight), axis=0) for weight in weights]
    return [*parts, *sums, *layer.get_weights()]


@pytest.mark.parametrize("masked", [False, True])
def test_replicas_of_unequal_size_equal_one(masked):
    random = np.random.default_rng(0)
    inputs = random.normal(3.0, 2.0, (8, 4, 5)).astype("float32")
    mask = random.random((8, 4)) < 0.7 if masked else None
    if masked:
        inputs[~mask] = 9.0
    alone = normalize(make_strategy("none"), inputs, mask, [8], joined=False)
    shared = normalize(make_strategy("mirrored:2"), inputs, mask, [3, 5], joined=True)
    for found, wanted in zip(shared, alone, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_one_message_each_way(monkeypatch):
    sent = []
    reduce = tf.distribute.ReplicaContext.all_reduce

    def counted(context, op, value, options=None):
        sent.append(value)
        return reduce(context, op, value, options)

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", counted)
    strategy, inputs = make_strategy("mirrored:2"), np.ones((4, 3), "float32")
    messages = []
    for joined in (False, True):
        sent.clear()
        normalize(strategy, inputs, None, [2, 2], joined)
        messages.append(len(sent) // 2)  # of each replica
    keras_sends, joined_sends = messages
    assert joined_sends == 2 < keras_sends
