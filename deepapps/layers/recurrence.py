"""A loop over the steps of a sequence, on TensorFlow and JAX."""

import keras

from deepapps.layers.backend import jax, tf


def scan(step, state, sequences, dtypes):
    """`state, results = step(state, inputs)` for each step.

    Args:
        step: Takes the state and the inputs of one step, lists of tensors; returns the new state
            and a list of results.
        state: List of tensors `(B, ...)`.
        sequences: List of tensors `(T, B, ...)`.
        dtypes: The dtypes of the results.
    Returns: the last state, and the results stacked, `(T, B, ...)`.
    """
    if keras.backend.backend() == "jax":
        return jax.lax.scan(step, state, sequences)
    return _scan_tensorflow(step, state, sequences, dtypes)


def _scan_tensorflow(step, state, sequences, dtypes):
    length = sequences[0].shape[0] or tf.shape(sequences[0])[0]

    def body(index, state, arrays):
        new, results = step(state, [tf.gather(sequence, index) for sequence in sequences])
        new = [tf.ensure_shape(tensor, old.shape) for tensor, old in zip(new, state, strict=True)]
        return index + 1, new, [a.write(index, r) for a, r in zip(arrays, results, strict=True)]

    start = (0, list(state), [tf.TensorArray(dtype, length) for dtype in dtypes])
    # the bound lets XLA take the gradient
    loop = tf.while_loop(lambda index, *_: index < length, body, start, maximum_iterations=length)
    return loop[1], [array.stack() for array in loop[2]]
