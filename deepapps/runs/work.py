"""The model of a Run at work. Imports TensorFlow."""

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
from deepapps.training.evaluation import evaluate_model

__all__ = ["evaluate_model", "load_model", "predictor_of", "versions"]


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


def versions():
    """The versions of what a Run depends on, `{name: version}`."""
    modules = {"deepapps": deepapps, "keras": keras, "tensorflow": tf, "numpy": np}
    found = {name: module.__version__ for name, module in modules.items()}
    return found | {"python": platform.python_version()}
