"""The one file that uses private names of Keras and TensorFlow, each with the versions it was seen in."""

import contextlib
import io

import keras
from keras.src.backend.common import (  # Keras 3.14 to 3.16; no public way
    AutocastScope,
    get_autocast_scope,
    global_state,
)
from keras.src.backend.common.variables import initialize_all_variables  # Keras 3.14 to 3.16; no public way
from keras.src.saving import saving_lib  # Keras 3.14 to 3.16; the public `load_weights` takes no open file
from keras.src.saving.serialization_lib import ObjectSharingScope  # Keras 3.14 to 3.16; no public way

__all__ = ["AutocastScope", "get_autocast_scope", "is_compiled_by_xla", "load_weights", "model_of_config"]


def is_compiled_by_xla() -> bool:
    """Whether the function that TensorFlow traces now will be compiled by XLA. TensorFlow 2.20 to 2.21; no public way."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


@contextlib.contextmanager
def model_of_config(config: dict):
    """Yields the model of a Keras config; its variables get memory when the block ends, and none if it raises.

    So the block can look at their shapes before.
    """
    try:
        with keras.StatelessScope(initialize_variables=False), ObjectSharingScope():
            model = keras.saving.deserialize_keras_object(config)
            yield model
    except BaseException:
        global_state.set_global_attribute("uninitialized_variables", [])
        raise
    initialize_all_variables()


def load_weights(model: keras.Model, file: io.BytesIO) -> None:
    """Loads the weights of a model from the bytes of a `.weights.h5` file. ValueError when they do not fit."""
    failed, messages, store = set(), {}, saving_lib.H5IOStore(file, mode="r")
    saving_lib._load_state(
        model, store, None, "", visited_saveables=set(), failed_saveables=failed, error_msgs=messages
    )
    store.close()
    if failed:
        raise ValueError(f"its weights do not fit its layers: {next(iter(messages.values()))[1]}")
