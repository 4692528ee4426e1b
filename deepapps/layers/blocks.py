"""Work done some rows at a time, and done again for the gradient, so that memory grows with the rows
of one block and not with all of them."""

import keras
from keras import ops
from keras.src import backend  # the scope of mixed precision is not public


def map_blocks(function, blocked, shared, size, layer, results=1):
    """`function(*blocked, *shared)` in blocks of rows, without keeping what happened inside for the gradient.

    Args:
        function: Maps tensors `(..., size, n)`, then the shared ones, to a list of tensors `(..., size, m)`.
            Row i of its results depends on row i of the blocked tensors alone. Its argument `known` is the list
            of results where a block is computed again on TensorFlow, else None.
        blocked: Tensors `(..., T, n)`, cut along the axis before the last.
        shared: Tensors that every block sees whole.
        size: Rows of a block: a number, or a scalar tensor.
        layer: The layer whose weights the function uses; the results have its compute dtype.
        results: Length of the list.
    Returns: list of tensors `(..., T, m)`. The gradient computes each block a second time, instead of
        keeping what the first time gave (Chen et al. 2016, "Training deep nets with sublinear memory cost").
    """
    rows = ops.shape(blocked[0])[-2]
    blocks = [_split(tensor, rows, size) for tensor in blocked]
    if keras.backend.backend() == "jax":
        stacked = _map_jax(function, blocks, shared)
    else:
        stacked = _map_tensorflow(function, blocks, shared, layer, results)
    return [_join(tensor, rows) for tensor in stacked]


def _split(tensor, rows, size):
    """`(..., T, n)` to `(blocks, ..., size, n)`, filled up with zeros."""
    *leading, _, width = ops.shape(tensor)
    count = (rows + size - 1) // size
    filling = ops.zeros((*leading, count * size - rows, width), tensor.dtype)
    tensor = ops.concatenate([tensor, filling], axis=-2)
    return ops.moveaxis(ops.reshape(tensor, (*leading, count, size, width)), -3, 0)


def _join(tensor, rows):
    """`(blocks, ..., size, m)` to `(..., T, m)`."""
    tensor = ops.moveaxis(tensor, 0, -3)
    *leading, count, size, width = ops.shape(tensor)
    return ops.reshape(tensor, (*leading, count * size, width))[..., :rows, :]


def _map_jax(function, blocks, shared):
    import jax

    return jax.lax.map(jax.checkpoint(lambda block: list(function(*block, *shared))), blocks)


def _map_tensorflow(function, blocks, shared, layer, results):
    import tensorflow as tf

    variables = [variable for variable in layer.variables if backend.is_float_dtype(variable.dtype)]
    autocast = backend.get_autocast_scope()
    dtype = None if autocast is None else autocast.dtype
    with backend.AutocastScope(None):
        weights = [tf.identity(variable.value) for variable in variables]

    def compute(pieces, constants, known=None):
        """The results of one block. The weights come as tensors, since a gradient is asked of them."""
        mapping = zip(variables, constants[len(shared) :], strict=True)
        with keras.StatelessScope(mapping), backend.AutocastScope(dtype):
            found = function(*pieces, *constants[: len(shared)], known=known)
            return [ops.cast(result, layer.compute_dtype) for result in found]

    @tf.custom_gradient
    def mapped(*tensors):
        blocks, constants = list(tensors[:blocked]), list(tensors[blocked:])
        eager = tf.executing_eagerly()  # the tape would then keep all of the first pass
        first = [tf.stop_gradient(tensor) for tensor in tensors] if eager else tensors

        def forward(pieces, state):
            return compute(pieces, first[blocked:]), state

        def backward(pieces, sums):
            pieces, upstream, known = (
                pieces[:blocked],
                pieces[blocked : blocked + results],
                pieces[blocked + results :],
            )
            sources = _floating([*pieces, *constants])
            with tf.GradientTape() as tape:
                tape.watch(sources)
                values = compute(pieces, constants, known or None)
            found = tape.gradient(values, sources, upstream, unconnected_gradients="zero")
            own = len(_floating(pieces))
            return found[:own], [total + part for total, part in zip(sums, found[own:], strict=True)]

        def gradient(*upstream):
            sums = [tf.zeros_like(tensor) for tensor in _floating(constants)]
            dtypes = [tensor.dtype for tensor in _floating(blocks)]
            known = [] if eager else found  # which is no function of the tensors in eager mode
            own, sums = _loop(backward, [*blocks, *upstream, *known], sums, dtypes)
            gradients = iter([*own, *sums])
            return [next(gradients) if tensor.dtype.is_floating else None for tensor in tensors]

        found = _loop(forward, first[:blocked], [], [layer.compute_dtype] * results)[0]
        return found, gradient

    blocked = len(blocks)
    return mapped(*blocks, *shared, *weights)


def _loop(body, blocks, state, dtypes):
    """`outputs, state = body(pieces, state)` for each block; the outputs stacked, and the last state."""
    import tensorflow as tf

    count = tf.shape(blocks[0])[0]

    def step(index, state, arrays):
        outputs, state = body([tf.gather(tensor, index) for tensor in blocks], state)
        return index + 1, state, [a.write(index, out) for a, out in zip(arrays, outputs, strict=True)]

    start = (0, state, [tf.TensorArray(dtype, count) for dtype in dtypes])
    _, state, arrays = tf.while_loop(lambda index, *_: index < count, step, start, parallel_iterations=1)
    return [array.stack() for array in arrays], state


def _floating(tensors):
    return [tensor for tensor in tensors if tensor.dtype.is_floating]
