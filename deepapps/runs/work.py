"""The model of a Run at work. Imports TensorFlow."""

import contextlib
import platform

import keras
import numpy as np
import tensorflow as tf

import deepapps
from deepapps.distribution.strategies import make_strategy
from deepapps.distribution.workers import Workers
from deepapps.files import blamed_on
from deepapps.inference.predictor import Predictor
from deepapps.networks import saved
from deepapps.tasks import TASKS
from deepapps.training.evaluation import evaluate_model

__all__ = ["evaluate_model", "load_model", "model_blamed", "predictor_of", "versions"]
# how Keras begins what goes wrong in a layer, or where there is none
OF_A_LAYER = ("Exception encountered when calling", "No such layer")


def predictor_of(run, strategy):
    """The `Predictor` of a Run's model, which is made in the scope of a strategy, and the
    `Workers`.

    Args:
        run: The `Run`.
        strategy: A name, a `tf.distribute.Strategy`, or None for one device.
    """
    workers = Workers(make_strategy(strategy))
    if workers.has_one_device:
        return Predictor(run.model, workers), workers
    with workers.strategy.scope():
        model = workers.adopt(load_model(run))
    return Predictor(model, workers), workers


def load_model(run):
    """The model of a Run from its file, which fits what the task has learned."""
    model = saved.load_model(run.model_file)
    with blamed_on(run.model_file):
        run.task.check_model(model)
    return model


@contextlib.contextmanager
def model_blamed(run):
    """What a model cannot compute becomes a ValueError that names its file, where the model is not
    the network of the Run's settings. Where it is, the fault is not in the file.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if str(run.path) in reason or "model" not in vars(run) or run.name not in TASKS:
            raise
        is_wrong_input = isinstance(error, ValueError) and not reason.startswith(OF_A_LAYER)
        if is_wrong_input or saved.is_made_by(run.model, run.task.network):
            raise
        raise ValueError(f"{run.model_file}: cannot compute this ({reason})") from error


def versions():
    """The versions of what a Run depends on, `{name: version}`."""
    modules = {"deepapps": deepapps, "keras": keras, "tensorflow": tf, "numpy": np}
    found = {name: module.__version__ for name, module in modules.items()}
    return found | {"python": platform.python_version()}
