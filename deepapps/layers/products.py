"""Products of tensors, in the form that TensorFlow is fast and right with."""

import keras
from keras import ops

from deepapps.keras_internals import is_compiled_by_xla
from deepapps.layers.backend import tf


def matmul(left, right, transpose_left=False, transpose_right=False):
    """`(..., n, k)` times `(..., k, m)`; a side to be transposed comes with its last two axes
    swapped.
    """
    if keras.backend.backend() == "tensorflow":
        return tf.matmul(left, right, transpose_a=transpose_left, transpose_b=transpose_right)
    left = ops.swapaxes(left, -1, -2) if transpose_left else left
    return ops.matmul(left, ops.swapaxes(right, -1, -2) if transpose_right else right)


def project(tensor, kernel):
    """`(..., n)` times `(n, m)`.

    In a loop at unknown lengths XLA refuses Keras's `matmul`, which keeps shapes for the gradient.
    """
    if not is_compiled_by_xla():
        return ops.matmul(tensor, kernel)
    rows = ops.reshape(tensor, (-1, tensor.shape[-1]))
    return ops.reshape(ops.matmul(rows, kernel), (*ops.shape(tensor)[:-1], kernel.shape[-1]))


def weighted_sum(tensor, factors):
    """`(..., n)`, each feature times its factor `(n,)`, summed over the features.

    Not `matmul`: TensorFlow's, (B, 1, T, n) by (n, 1), writes beyond its memory on CPU.
    """
    if not is_compiled_by_xla():
        return ops.tensordot(tensor, factors, axes=1)
    return ops.squeeze(project(tensor, ops.expand_dims(factors, -1)), -1)
