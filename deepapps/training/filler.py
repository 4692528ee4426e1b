"""The examples of weight 0 that fill up the last batch, for what takes a batch as a whole.

A loss or metric of one value an example passes over them by their weight. A Dice loss, a metric
that returns one number a batch, or a contrastive loss must not see them.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.keras_internals import attach_mask, attached_mask, wrapped_function
from deepapps.metrics.outputs import OfOutput, output_at

EXAMPLES = 8  # that are looked at, at most, to tell what takes a batch as a whole


def without_filler(batch):
    """A batch of nested tensors, its weights the last, without the examples of weight 0; one stays
    where there is no other. Not for XLA.
    """
    real = tf.reduce_any(tf.reshape(batch[-1] != 0, [tf.shape(batch[-1])[0], -1]), axis=1)
    real |= ~tf.reduce_any(real) & (tf.range(tf.size(real)) == 0)
    rows, flat = tf.where(real)[:, 0], tree.flatten(batch)
    masks = {place: attached_mask(tensor) for place, tensor in enumerate(flat)}
    masks = {place: mask for place, mask in masks.items() if mask is not None}
    tensors = [*flat, *masks.values()]
    tensors = tf.cond(
        tf.reduce_all(real),
        lambda: [tf.identity(tensor) for tensor in tensors],
        lambda: [tf.gather(tensor, rows) for tensor in tensors],
    )
    for place, mask in zip(masks, tensors[len(flat) :], strict=True):
        attach_mask(tensors[place], mask)
    return tree.pack_sequence_as(batch, tensors[: len(flat)])


def takes_whole_batches(loss, metrics, targets, outputs, inputs):
    """Whether a loss, what `per_example` returns, or one of the metrics takes a batch as a whole.

    Args:
        targets, outputs, inputs: A few examples, in whose values it shows.
    """
    return _depends_on_others(lambda *parts: loss(*parts)[0], targets, outputs, inputs) or any(
        _is_of_a_batch(metric, targets, outputs) for metric in metrics
    )


def _is_of_a_batch(metric, targets, outputs):
    if isinstance(metric, OfOutput):
        parts = (output_at(part, metric.output) for part in (targets, outputs))
        return _is_of_a_batch(metric.metric, *parts)
    if not isinstance(metric, keras.metrics.MeanMetricWrapper):
        return type(metric).__module__.partition(".")[0] not in ("keras", "deepapps")
    function, options = wrapped_function(metric)
    return _depends_on_others(lambda *parts: function(*parts, **options), targets, outputs)


def _depends_on_others(function, *parts):
    """Whether the values of a function of a batch are others where there are fewer examples."""

    def values_of(rows):
        part = tree.map_structure(lambda tensor: _rows_of(tensor, rows), parts)
        return keras.ops.convert_to_numpy(function(*part)).astype("float64")

    size = min(len(tree.flatten(parts)[0]), EXAMPLES)
    whole, middle = values_of(slice(size)), size // 2
    if whole.ndim == 0 or not middle:
        return whole.ndim == 0
    halves = np.concatenate([values_of(slice(middle)), values_of(slice(middle, size))])
    return halves.shape != whole.shape or not np.allclose(
        halves, whole, rtol=1e-3, atol=1e-5, equal_nan=True
    )


def _rows_of(tensor, rows):
    mask, part = attached_mask(tensor), tensor[rows]
    if mask is not None:
        attach_mask(part, mask[rows])
    return part
