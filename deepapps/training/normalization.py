"""Synchronized batch normalization, with one message between the replicas in place of Keras's
three.

The mean and the variance of all replicas' examples follow from three sums: of the inputs, of their
squares, and of their number. Keras adds up one after the other over the replicas, and between
workers a message takes its time, however small. Here all travel together, and so do their
gradients.
"""

import functools

import keras
import tensorflow as tf

from deepapps.keras_internals import layers_of, moments, reduction_axes, replace_moments


def join_messages(model):
    """Has the synchronized batch normalizations of a model exchange one message a batch, and one
    for the gradient.

    The layers stay Keras's own, and `model.keras` readable without deepapps. Under a mask, where
    Keras leaves each replica to itself, they synchronize, too.
    """
    for layer in layers_of(model):
        if type(layer) is keras.layers.BatchNormalization and layer.synchronized:
            replace_moments(layer, functools.partial(_moments, layer))


def _moments(layer, inputs, mask):
    """Mean and variance, `(D,)` each, over the examples of all replicas; `mask` hides some of
    them.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return moments(layer, inputs, mask)
    if mask is None:
        count = tf.size(inputs) // inputs.shape[layer.axis]
    else:
        count = tf.math.count_nonzero(mask)
        inputs = tf.where(tf.cast(mask, "bool")[..., None], inputs, 0.0)
    axes = reduction_axes(layer)
    total, squares = (tf.reduce_sum(part, axes) for part in (inputs, tf.square(inputs)))
    sums = context.all_reduce("SUM", [total, squares, tf.cast(count, inputs.dtype)])
    mean, squared_mean = (tf.math.divide_no_nan(part, sums[2]) for part in sums[:2])
    return mean, tf.maximum(squared_mean - tf.square(mean), 0.0)
