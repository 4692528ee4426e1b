"""The one file that uses private names of Keras and TensorFlow, each with the versions it was seen in."""

import keras
from keras.src.backend.common import AutocastScope, get_autocast_scope  # Keras 3.14 to 3.16; no public way

__all__ = ["AutocastScope", "get_autocast_scope", "is_compiled_by_xla"]


def is_compiled_by_xla() -> bool:
    """Whether the function that TensorFlow traces now will be compiled by XLA. TensorFlow 2.20 to 2.21; no public way."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
