"""Attention over several axes: those attended over become one, and all others the batch."""

import math

from keras import ops


def call_folded(layer, tensors, use_causal_mask, return_attention_scores, training):
    """The call of a `MultiHeadAttention` on `(B, ..., D)`."""
    query, value, key, query_mask, value_mask, key_mask, attention_mask = tensors
    _check_grid(query, value=value, key=key)
    _check_grid(query[..., 0], query_mask=query_mask, value_mask=value_mask, key_mask=key_mask)
    last = len(query.shape) - 1
    axes = tuple(axis % (last + 1) for axis in layer.attention_axes or range(1, last))
    free = tuple(axis for axis in range(1, last) if axis not in axes)

    def fold(tensor):
        if tensor is None:
            return None
        features = tuple(range(last, len(tensor.shape)))
        length = math.prod(ops.shape(tensor)[axis] for axis in axes)
        moved = ops.transpose(tensor, (0, *free, *axes, *features))
        return ops.reshape(moved, (-1, length, *[tensor.shape[axis] for axis in features]))

    shapes = [ops.shape(tensor) for tensor in (query, value)]
    outside = [shapes[0][axis] for axis in (0, *free)]
    queries, values = ([shape[axis] for axis in axes] for shape in shapes)
    if attention_mask is not None:
        attention_mask = _folded_mask(attention_mask, outside, queries, values)
    folded = [fold(tensor) for tensor in (query, value, key, query_mask, value_mask, key_mask)]
    result = layer.call(*folded, attention_mask, use_causal_mask, return_attention_scores, training)
    output, *weights = result if return_attention_scores else (result,)
    output = ops.reshape(output, (*outside, *queries, *ops.shape(output)[2:]))
    order = (0, *free, *axes, *range(last, len(output.shape)))
    output = ops.transpose(output, [order.index(axis) for axis in range(len(order))])
    weights = [
        ops.reshape(part, (*outside, layer.num_heads, *queries, *values)) for part in weights
    ]
    return (output, *weights) if return_attention_scores else output


def _folded_mask(mask, outside, queries, values):
    """The mask of pairs for all that is not attended over, `(N, Tq, Tv)`; it may lack those
    axes.
    """
    missing = len(outside) + len(queries) + len(values) - len(mask.shape)
    if missing not in (0, len(outside) - 1, len(outside)):
        raise ValueError(
            "`attention_mask` must have the axes attended over, of query and value, and before "
            f"them the batch or all other axes. Received: shape {tuple(mask.shape)}"
        )
    batch = 0 if missing == len(outside) else 1
    shape = (*ops.shape(mask)[:batch], *[1] * missing, *ops.shape(mask)[batch:])
    whole = ops.zeros((*outside, *queries, *values), "bool")
    mask = ops.logical_or(ops.reshape(ops.cast(mask, "bool"), shape), whole)
    return ops.reshape(mask, (-1, math.prod(queries), math.prod(values)))


def _check_grid(query, **tensors):
    for name, tensor in tensors.items():
        if tensor is not None and len(tensor.shape) != len(query.shape):
            raise ValueError(
                f"`{name}` must have {len(query.shape)} axes, to go with `query`. Received: shape "
                f"{tuple(tensor.shape)}"
            )
