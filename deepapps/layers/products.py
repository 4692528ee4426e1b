"""Products of tensors, in the form that TensorFlow is fast and right with."""

import keras
from keras import ops


def matmul(left, right, transpose_left=False, transpose_right=False):
    """`(..., n, k)` times `(..., k, m)`; a side to be transposed comes with its last two axes swapped."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.matmul(left, right, transpose_a=transpose_left, transpose_b=transpose_right)
    left = ops.swapaxes(left, -1, -2) if transpose_left else left
    return ops.matmul(left, ops.swapaxes(right, -1, -2) if transpose_right else right)


def project(tensor, kernel):
    """`(..., n)` times `(n, m)`, as one product of two matrices.

    Keras's `matmul` and `tensordot` do the same where all shapes are known. Elsewhere they keep shapes for the gradient,
    which XLA refuses in a loop, or compute a product for each row of the batch.
    """
    rows = ops.reshape(tensor, (-1, tensor.shape[-1]))
    return ops.reshape(ops.matmul(rows, kernel), (*ops.shape(tensor)[:-1], kernel.shape[-1]))


def weighted_sum(tensor, factors):
    """`(..., n)`, each feature times its factor `(n,)`, summed over the features."""
    return ops.squeeze(project(tensor, ops.expand_dims(factors, -1)), -1)
