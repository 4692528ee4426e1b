"""Custom gradients that are right whatever tensors they are given."""

import keras
from keras import ops

from deepapps.layers.backend import tf


def with_gradient(function, *tensors):
    """`ops.custom_gradient(function)(*tensors)`, where each argument is a tensor of its own.

    On TensorFlow one tensor given as two arguments would get its whole gradient twice, and one from
    outside of a branch of `ops.cond` would be missing in the gradient of the branch.

    Args:
        function: Takes the tensors; returns the results and a function from their gradients to
            those of the tensors.
        tensors: Tensors or variables.
    """
    if keras.backend.backend() == "tensorflow":
        tensors = [tf.identity(tf.convert_to_tensor(tensor)) for tensor in tensors]
    return ops.custom_gradient(function)(*tensors)
