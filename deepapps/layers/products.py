"""Matrix products with a transposed side, which TensorFlow would otherwise copy."""

import keras
from keras import ops


def matmul(left, right, transpose_left=False, transpose_right=False):
    """`(..., n, k)` times `(..., k, m)`; a side to be transposed comes with its last two axes swapped."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.matmul(left, right, transpose_a=transpose_left, transpose_b=transpose_right)
    left = ops.swapaxes(left, -1, -2) if transpose_left else left
    return ops.matmul(left, ops.swapaxes(right, -1, -2) if transpose_right else right)
