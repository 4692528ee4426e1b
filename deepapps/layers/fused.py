"""The recurrence of `AttentionLSTM` with additive attention, with a gradient written by hand.

On TensorFlow, for the ready-made pair of `AttentionLSTMCell` and `AdditiveAttention` in float32.
Against the gradient that TensorFlow derives it recomputes `tanh(W_q s + W_k h)` instead of storing
it at every step, gathers the gradients of the weights after the loop in one matrix product each,
and in training, where all shapes are known, has XLA compile the loops. The tests hold it against
`run_steps`.
"""

import functools

import keras

from deepapps.layers.backend import tf
from deepapps.layers.gradients import with_gradient
from deepapps.layers.lstm import gated, gated_gradient
from deepapps.layers.lstm_cells import AttentionLSTMCell
from deepapps.layers.masks import LOWEST
from deepapps.layers.scores import AdditiveAttention


def fits(cell, memory):
    """Whether the recurrence here is that of the cell."""
    attention = cell.attention
    return (
        keras.backend.backend() == "tensorflow"
        and type(cell) is AttentionLSTMCell
        and type(attention) is AdditiveAttention
        and not (attention.hard or attention.uses_positions or memory.seed is not None)
        and cell.compute_dtype == "float32"
        and cell.activation is keras.activations.tanh
        and cell.recurrent_activation is keras.activations.sigmoid
    )


def run(cell, inputs, state, memory, mask, training):
    """All steps: outputs `(B, T, U)`, the last h and c, weights `(B, T, Tm)`."""
    kernel, width = tf.convert_to_tensor(cell.kernel), inputs.shape[-1]
    ahead = tf.matmul(tf.transpose(inputs, (1, 0, 2)), kernel[:width]) + (
        cell.bias if cell.use_bias else 0.0
    )
    steps = None if mask is None else tf.transpose(mask)[..., None]
    tensors = [ahead, *state, memory.key, memory.value]
    compiled = (
        training and not tf.executing_eagerly() and all(t.shape.is_fully_defined() for t in tensors)
    )
    forward, backward = _compiled() if compiled else (_forward, _backward)

    def recurrence(*tensors):
        outputs, cells, weights, kept = forward(memory.mask, steps, *tensors)

        def gradient(*upstream):
            parts = backward(memory.mask, steps, tensors, outputs, cells, weights, kept, *upstream)
            return _gathered(tensors, outputs, weights, kept, *parts)

        return (
            outputs,
            cells[-1],
            weights if steps is None else tf.where(steps, weights, 0.0),
        ), gradient

    attention = cell.attention
    matrices = (cell.recurrent_kernel, kernel[width:], attention.query_kernel, attention.scale)
    outputs, c, weights = with_gradient(recurrence, *tensors, *matrices)
    last = [outputs[-1], c]
    if steps is not None:  # before its first step a sequence has put nothing out
        outputs = tf.where(tf.cumsum(tf.cast(steps, "int32")) > 0, outputs, 0.0)
    return tf.transpose(outputs, (1, 0, 2)), last, tf.transpose(weights, (1, 0, 2))


@functools.cache
def _compiled():
    return [tf.function(part, jit_compile=True, autograph=False) for part in (_forward, _backward)]


def _forward(
    places, steps, ahead, h, c, key, value, recurrent, context_kernel, query_kernel, scale
):
    """h, c and weights of all steps, and what the gradient takes from them: gates, contexts,
    queries.

    `places` is the mask of the memory `(B, Tm)`, `steps` that of the inputs, `(T, B, 1)`; `ahead`
    holds the projected inputs `(T, B, 4U)`.
    """

    def body(index, h, c, arrays):
        query = tf.matmul(h, query_kernel)
        scores = tf.linalg.matvec(tf.tanh(query[:, None] + key), scale)
        scores = scores if places is None else tf.where(places, scores, LOWEST)
        weights = tf.nn.softmax(scores)
        weights = weights if places is None else tf.where(places, weights, 0.0)
        context = tf.squeeze(tf.matmul(weights[:, None], value), 1)
        sums = (
            tf.gather(ahead, index) + tf.matmul(h, recurrent) + tf.matmul(context, context_kernel)
        )
        new_h, new_c, *gates, _ = gated(sums, c)
        if steps is not None:
            step = tf.gather(steps, index)
            new_h, new_c = tf.where(step, new_h, h), tf.where(step, new_c, c)
        results = (new_h, new_c, weights, tf.concat(gates, 1), context, query)
        return (
            index + 1,
            new_h,
            new_c,
            [a.write(index, r) for a, r in zip(arrays, results, strict=True)],
        )

    length = tf.shape(ahead)[0]
    start = (0, h, c, [tf.TensorArray("float32", length) for _ in range(6)])
    arrays = tf.while_loop(lambda index, *_: index < length, body, start)[3]
    outputs, cells, weights, *kept = [array.stack() for array in arrays]
    return outputs, cells, weights, kept


def _backward(places, steps, tensors, outputs, cells, weights, kept, d_outputs, d_c, d_weights):
    """The loop of the gradient; `d_x` is the gradient of x."""
    ahead, h, c, key, value, recurrent, context_kernel, query_kernel, scale = tensors
    gates, _, queries = kept
    earlier_c = tf.concat([c[None], cells[:-1]], 0)
    # once: slow in a loop
    turned = [tf.transpose(matrix) for matrix in (recurrent, context_kernel, query_kernel)]

    def body(index, d_h, d_c, d_key, d_scale, arrays):
        index = index - 1
        d_h = d_h + tf.gather(d_outputs, index)
        rest_h = rest_c = 0.0
        d_weight = tf.gather(d_weights, index)
        if steps is not None:  # a padding step hands its gradient on
            step = tf.gather(steps, index)
            rest_h, rest_c = tf.where(step, 0.0, d_h), tf.where(step, 0.0, d_c)
            d_h, d_c, d_weight = (tf.where(step, tensor, 0.0) for tensor in (d_h, d_c, d_weight))
        factors = *tf.split(tf.gather(gates, index), 4, axis=1), tf.tanh(tf.gather(cells, index))
        d_c, d_gates = gated_gradient(d_h, d_c, tf.gather(earlier_c, index), *factors)
        d_context = tf.matmul(d_gates, turned[1])
        weight = tf.gather(weights, index)
        d_weight = d_weight + tf.linalg.matvec(value, d_context)
        d_scores = weight * (d_weight - tf.reduce_sum(weight * d_weight, 1, keepdims=True))
        hidden = tf.tanh(tf.gather(queries, index)[:, None] + key)
        d_hidden = d_scores[..., None] * (scale * (1 - hidden * hidden))
        d_query = tf.reduce_sum(d_hidden, 1)
        flat = tf.reshape(hidden, (-1, hidden.shape[-1]))
        d_scale = d_scale + tf.squeeze(tf.matmul(tf.reshape(d_scores, (1, -1)), flat), 0)
        d_h = tf.matmul(d_gates, turned[0]) + tf.matmul(d_query, turned[2]) + rest_h
        results = (d_gates, d_context, d_query)
        arrays = [a.write(index, r) for a, r in zip(arrays, results, strict=True)]
        return index, d_h, d_c + rest_c, d_key + d_hidden, d_scale, arrays

    length = tf.shape(ahead)[0]
    arrays = [tf.TensorArray("float32", length) for _ in range(3)]
    start = (length, tf.zeros_like(h), d_c, tf.zeros_like(key), tf.zeros_like(scale), arrays)
    _, d_h, d_c, d_key, d_scale, arrays = tf.while_loop(lambda index, *_: index > 0, body, start)
    d_gates, d_contexts, d_queries = [array.stack() for array in arrays]

    return d_gates, d_h, d_c, d_key, d_scale, d_contexts, d_queries


def _gathered(
    tensors, outputs, weights, kept, d_gates, d_h, d_c, d_key, d_scale, d_contexts, d_queries
):
    """All gradients, in the order of `tensors`: those of a matrix by one product over all steps.

    Outside of XLA, whose large products on CPU are slower than TensorFlow's.
    """

    def product(left, right):
        left, right = (tf.reshape(tensor, (-1, tensor.shape[-1])) for tensor in (left, right))
        return tf.matmul(left, right, transpose_a=True)

    earlier_h, (_, contexts, _) = tf.concat([tensors[1][None], outputs[:-1]], 0), kept
    d_value = tf.matmul(tf.transpose(weights, (1, 2, 0)), tf.transpose(d_contexts, (1, 0, 2)))
    d_matrices = (
        product(earlier_h, d_gates),
        product(contexts, d_gates),
        product(earlier_h, d_queries),
    )
    return d_gates, d_h, d_c, d_key, d_value, *d_matrices, d_scale
