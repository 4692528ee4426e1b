"""Attention in blocks of rows, recomputed in the backward pass, so that memory grows with the rows
of one block and not with all of them.
"""

import keras
from keras import ops

from deepapps.keras_internals import AutocastScope, get_autocast_scope
from deepapps.layers.backend import jax, tf
from deepapps.layers.gradients import with_gradient


def map_blocks(function, blocked, shared, size, layer, results=1):
    """`function(*blocked, *shared)` in blocks of rows, without keeping what happened inside for the
    gradient.

    Args:
        function: Maps tensors `(..., size, n)`, then the shared ones, to a list of tensors `(...,
            size, m)`. Row i of its results depends on row i of the blocked tensors alone. Its
            argument `known` is the list of results where a block is computed again on TensorFlow,
            else None.
        blocked: Tensors `(..., T, n)`, cut along the axis before the last.
        shared: Tensors that every block sees whole.
        size: Rows of a block: a number, or a scalar tensor.
        layer: The layer whose weights the function uses; the results have its compute dtype.
        results: Length of the list.
    Returns: list of tensors `(..., T, m)`. The gradient computes each block a second time, instead
        of keeping what the first time gave (Chen et al. 2016, "Training deep nets with sublinear
        memory cost").
    """
    if keras.backend.backend() == "jax":
        return _map_jax(function, blocked, shared, size)
    return _map_tensorflow(function, blocked, shared, size, layer, results)


def _split(tensor, size):
    """`(..., T, n)` to `(blocks, ..., size, n)`, filled up with zeros."""
    *leading, rows, width = ops.shape(tensor)
    count = (rows + size - 1) // size
    filling = ops.zeros((*leading, count * size - rows, width), tensor.dtype)
    tensor = ops.concatenate([tensor, filling], axis=-2)
    return ops.moveaxis(ops.reshape(tensor, (*leading, count, size, width)), -3, 0)


def _join(tensor, rows):
    """`(blocks, ..., size, m)` to `(..., T, m)`."""
    tensor = ops.moveaxis(tensor, 0, -3)
    *leading, count, size, width = ops.shape(tensor)
    return ops.reshape(tensor, (*leading, count * size, width))[..., :rows, :]


def _map_jax(function, blocked, shared, size):
    blocks = [_split(tensor, size) for tensor in blocked]
    stacked = jax.lax.map(jax.checkpoint(lambda block: list(function(*block, *shared))), blocks)
    return [_join(tensor, ops.shape(blocked[0])[-2]) for tensor in stacked]


def _map_tensorflow(function, blocked, shared, size, layer, results):
    variables = [
        variable for variable in layer.variables if keras.backend.is_float_dtype(variable.dtype)
    ]
    autocast = get_autocast_scope()
    dtype = layer.compute_dtype if autocast is None else autocast.dtype
    with AutocastScope(None):
        weights = [tf.convert_to_tensor(variable.value) for variable in variables]

    def compute(pieces, constants, known=None):
        """The results of one block; the weights come as tensors, to have a gradient."""
        mapping = zip(variables, constants[len(shared) :], strict=True)
        with keras.StatelessScope(mapping), AutocastScope(dtype):
            found = function(*pieces, *constants[: len(shared)], known=known)
            return [ops.cast(result, layer.compute_dtype) for result in found]

    def mapped(*tensors):
        whole, constants = list(tensors[: len(blocked)]), list(tensors[len(blocked) :])
        rows = ops.shape(whole[0])[-2]
        eager = tf.executing_eagerly()  # the tape would then keep all of the first pass
        first = [tf.stop_gradient(tensor) for tensor in tensors] if eager else tensors

        def split(tensors):
            return [_split(tensor, size) for tensor in tensors]

        def join(tensors):
            return [_join(tensor, rows) for tensor in tensors]

        def forward(pieces, state):
            return compute(pieces, first[len(blocked) :]), state

        def backward(pieces, sums):
            parts = iter(pieces)
            pieces = [next(parts) for _ in blocked]
            upstream = [next(parts) for _ in range(results)]
            sources = _floating([*pieces, *constants])
            with tf.GradientTape() as tape:
                tape.watch(sources)
                values = compute(pieces, constants, list(parts) or None)
            found = tape.gradient(values, sources, upstream, unconnected_gradients="zero")
            own = len(_floating(pieces))
            return found[:own], [
                total + part for total, part in zip(sums, found[own:], strict=True)
            ]

        def gradient(*upstream):
            sums = [tf.zeros_like(tensor) for tensor in _floating(constants)]
            known = [] if eager else found  # which is no function of the tensors in eager mode
            dtypes = [tensor.dtype for tensor in _floating(whole)]
            own, sums = _loop(backward, split([*whole, *upstream, *known]), sums, dtypes)
            gradients = iter([*join(own), *sums])
            return [next(gradients) if tensor.dtype.is_floating else None for tensor in tensors]

        dtypes = [layer.compute_dtype] * results
        found = join(_loop(forward, split(first[: len(blocked)]), [], dtypes)[0])
        return found, gradient

    return with_gradient(mapped, *blocked, *shared, *weights)


def _loop(body, blocks, state, dtypes):
    """`outputs, state = body(pieces, state)` for each block; the outputs stacked, and the last
    state.
    """
    count = tf.shape(blocks[0])[0]

    def step(index, state, arrays):
        outputs, state = body([tf.gather(tensor, index) for tensor in blocks], state)
        return (
            index + 1,
            state,
            [a.write(index, out) for a, out in zip(arrays, outputs, strict=True)],
        )

    start = (0, state, [tf.TensorArray(dtype, count) for dtype in dtypes])
    _, state, arrays = tf.while_loop(
        lambda index, *_: index < count, step, start, parallel_iterations=1
    )
    return [array.stack() for array in arrays], state


def _floating(tensors):
    return [tensor for tensor in tensors if tensor.dtype.is_floating]
