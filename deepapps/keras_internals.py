"""The one file that uses private names of Keras, TensorFlow and Keras Tuner, each with the versions
it was seen in.
"""

import contextlib
import io

import keras
import numpy as np
from keras.src.backend.common import (  # Keras 3.14 to 3.16; no public way
    AutocastScope,
    get_autocast_scope,
    global_state,
)

# Keras 3.14 to 3.16; no public way
from keras.src.backend.common.masking import set_keras_mask

# Keras 3.14 to 3.16; no public way
from keras.src.backend.common.variables import initialize_all_variables

# Keras 3.14 to 3.16; the public `load_weights` takes no open file
from keras.src.saving import saving_lib

# Keras 3.14 to 3.16; no public way
from keras.src.saving.serialization_lib import ObjectSharingScope

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

__all__ = [
    "AutocastScope",
    "WithOwnScores",
    "WithoutFiles",
    "adam_slots",
    "attach_mask",
    "attached_mask",
    "better_direction",
    "compiled_with",
    "get_autocast_scope",
    "is_compiled_by_xla",
    "keep_to_this_process",
    "layers_of",
    "leave_gradients_unsummed",
    "load_weights",
    "config_made_by",
    "model_of_config",
    "moments",
    "number_of_workers",
    "outputs_of_calls",
    "reduction_axes",
    "replace_moments",
    "retry_first",
    "seed_draws",
    "wrapped_function",
]


def is_compiled_by_xla() -> bool:
    """Whether the function that TensorFlow traces now will be compiled by XLA. TensorFlow 2.20
    to 2.21; no public way.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


@contextlib.contextmanager
def model_of_config(config: dict):
    """Yields the model of a Keras config; its variables get memory when the block ends, and none if
    it raises.

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


def config_made_by(make) -> dict:
    """The config of the model that `make()` makes, whose variables get no memory."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            return make().get_config()
    finally:
        global_state.set_global_attribute("uninitialized_variables", [])


def load_weights(model: keras.Model, file: io.BytesIO) -> None:
    """Loads the weights of a model from the bytes of a `.weights.h5` file. ValueError when they
    do not fit.
    """
    failed, messages, store = set(), {}, saving_lib.H5IOStore(file, mode="r")
    saving_lib._load_state(
        model,
        store,
        None,
        "",
        visited_saveables=set(),
        failed_saveables=failed,
        error_msgs=messages,
    )
    store.close()
    if failed:
        raise ValueError(f"its weights do not fit its layers: {next(iter(messages.values()))[1]}")


def attached_mask(tensor):
    """The mask that Keras attaches to a tensor, or None. Keras 3.14 to 3.16; the public way is
    to be given it in `call`.
    """
    return getattr(tensor, "_keras_mask", None)


def attach_mask(tensor, mask) -> None:
    """Attaches a mask to a tensor, as a layer of Keras does. Keras 3.14 to 3.16; no public way."""
    set_keras_mask(tensor, mask)


def layers_of(layer: keras.Layer) -> list[keras.Layer]:
    """All layers inside a layer or a model, at any depth. Keras 3.14 to 3.16; `model.layers` are
    those of the first level.
    """
    return list(layer._flatten_layers(include_self=False))


def outputs_of_calls(model: keras.Model) -> list:
    """The output of each call of a model inside another one. Keras 3.14 to 3.16; no public way."""
    return [node.output_tensors[0] for node in model._inbound_nodes]


def better_direction(metric: keras.Metric) -> str | None:
    """ "max" or "min": which way a metric is better. None where it does not
    say. Keras 3.14 to 3.16; no public way.
    """
    return {"up": "max", "down": "min"}.get(getattr(metric, "_direction", None))


def compiled_with(model: keras.Model) -> dict:
    """The objects that a model was compiled with, `{argument: value}`. Keras 3.14 to 3.16; its
    public compile config has descriptions of them.
    """
    return {**model._compile_config.config, "optimizer": model.optimizer}


def wrapped_function(metric: keras.metrics.MeanMetricWrapper):
    """The function of a metric, and its keyword arguments. Keras 3.14 to 3.16; its config has
    the name alone.
    """
    return metric._fn, metric._fn_kwargs


def adam_slots(optimizer: keras.optimizers.Adam, variable) -> tuple:
    """The variables of the mean and the variance that Adam keeps for a variable. Keras 3.14 to
    3.16; no public way.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def leave_gradients_unsummed(optimizer: keras.optimizers.Optimizer) -> None:
    """The optimizer takes gradients for summed over the replicas. Keras 3.14 to 3.16; no public
    way.
    """
    optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables


def replace_moments(layer: keras.layers.BatchNormalization, function) -> None:
    """The layer takes mean and variance from `function(inputs, mask)`. Keras 3.14 to 3.16; no
    public way.
    """
    layer._moments = function


def moments(layer: keras.layers.BatchNormalization, inputs, mask):
    """Mean and variance as Keras computes them. Keras 3.14 to 3.16; no public way."""
    return type(layer)._moments(layer, inputs, mask)


def reduction_axes(layer: keras.layers.BatchNormalization) -> list[int]:
    """The axes that a built layer takes mean and variance over. Keras 3.14 to 3.16; no public
    way.
    """
    return layer._reduction_axes


def keep_to_this_process(model: keras.Model) -> None:
    """Keras's own `predict` of a model runs in this process alone: it fails on several workers.
    Keras 3.14 to 3.16.
    """
    model._distribute_strategy = None


def number_of_workers(strategy) -> int:
    """The workers of a `ParameterServerStrategy`. TensorFlow 2.20 to 2.21; no public way."""
    return strategy.extended._num_workers


class WithoutFiles:
    """Before an oracle or a tuner of Keras Tuner: it writes and reads no files of its own. Keras
    Tuner 1.4.8; no public way.
    """

    def _save_trial(self, trial):
        pass

    def _get_tuner_fname(self):
        return ""


class WithOwnScores:
    """Before the Gaussian process of Keras Tuner: it learns from the scores that stand while a
    context of the method `own_scores` is open. Keras Tuner 1.4.8; no public way.
    """

    def _vectorize_trials(self):
        with self.own_scores():
            return super()._vectorize_trials()


def retry_first(oracle, trial_ids: list[str]) -> None:
    """The oracle gives these trials out again, in this order. Keras Tuner 1.4.8; no public way."""
    oracle._retry_queue += reversed(trial_ids)  # taken from the end


def seed_draws(oracle, seed: list[int]) -> np.random.RandomState:
    """The Gaussian process draws from this seed on; returns what it draws from. Keras Tuner 1.4.8;
    no public way.
    """
    oracle._random_state = np.random.RandomState(seed)
    return oracle._random_state
