"""Masks: which positions count, and the softmax over those that do."""

import keras
from keras import ops

from deepapps.layers.gradients import with_gradient
from deepapps.layers.products import matmul

LOWEST = -3e38  # a masked score; finite, since a row of infinities would give NaN


def mask_axes(attention_mask, places):
    """The axes of a mask of pairs: `(Tq, Tv)`, with a batch before them, with heads between;
    either may be 1.
    """
    shape = () if attention_mask is None else tuple(attention_mask.shape)
    leading = {4: "B H", 2: ""}.get(len(shape), "B").split()
    leading = ["one" if size == 1 else letter for letter, size in zip(leading, shape, strict=False)]
    return " ".join([*leading, "Tq", places])


def both(mask, other):
    """Where both masks are True; None is True everywhere."""
    if mask is None or other is None:
        mask = other if mask is None else mask
        return None if mask is None else ops.cast(mask, "bool")
    return ops.logical_and(ops.cast(mask, "bool"), ops.cast(other, "bool"))


def keep(tensor, mask):
    """The tensor `(..., T, D)`, with zeros where the mask `(..., T)` is False."""
    if mask is None or tensor is None:
        return tensor
    return ops.where(ops.cast(mask, "bool")[..., None], tensor, ops.zeros_like(tensor))


def keep_rows(tensor, rows):
    """The tensor `(B, T, ...)`, with zeros in the rows where `(B, T)` or `(T,)` is False."""
    if rows is None:
        return tensor
    rows = ops.reshape(rows, (*ops.shape(rows), *[1] * (len(tensor.shape) - 2)))
    return ops.where(rows, tensor, ops.zeros_like(tensor))


def masked_softmax(scores, mask):
    """Softmax over the last axis of what the mask leaves; zeros where it leaves nothing."""
    if mask is None:
        return ops.softmax(scores, axis=-1)
    weights = ops.softmax(ops.where(mask, scores, LOWEST), axis=-1)
    return ops.where(mask, weights, ops.zeros_like(weights))


def softmax_sum(scores, value, mask, known=None):
    """`masked_softmax(scores, mask) . value`, or `known` where that is known, with the gradient of
    both in one.

    The softmax's gradient needs the sum of `weights * d_weights` over a row, which equals that of
    `context * d_context` (Dao et al. 2022, FlashAttention, B.2): a fraction of the numbers.
    """

    def summed(scores, value):  # holds nothing from outside: JAX refuses that in a block
        weights = masked_softmax(scores, None if mask is None else scores > LOWEST)
        context = ops.matmul(ops.cast(weights, value.dtype), value) if known is None else known

        def gradient(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream
            d_weights = matmul(upstream, value, transpose_right=True)
            shared = ops.cast(upstream, scores.dtype) * ops.cast(context, scores.dtype)
            shared = ops.sum(shared, axis=-1, keepdims=True)
            d_value = matmul(ops.cast(weights, value.dtype), upstream, transpose_left=True)
            return weights * (ops.cast(d_weights, scores.dtype) - shared), d_value

        return context, gradient

    scores = scores if mask is None else ops.where(mask, scores, LOWEST)
    return with_gradient(summed, scores, value)


def choose(weights, seed):
    """One position of each row: a sample with the gradient of the weights, or without a seed the
    best.
    """
    if seed is None:
        chosen = weights
    else:
        uniform = keras.random.uniform(
            ops.shape(weights), 1e-7, 1.0, dtype=weights.dtype, seed=seed
        )
        chosen = ops.log(ops.maximum(weights, 1e-30)) - ops.log(-ops.log(uniform))  # Gumbel-max
    one = ops.one_hot(ops.argmax(chosen, axis=-1), ops.shape(weights)[-1], dtype=weights.dtype)
    # nothing is chosen where there is nothing
    one = ops.where(weights > 0, one, ops.zeros_like(one))
    return one if seed is None else weights + ops.stop_gradient(one - weights)
