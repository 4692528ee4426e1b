"""The task behind `deepapps.train(model=..., data=..., loss=...)`: any Keras model on any data."""

import functools

import keras
import tensorflow as tf

from deepapps.data.source import Splits
from deepapps.keras_internals import better_direction
from deepapps.metrics.adapters import metrics_of
from deepapps.task import Task


class LoadedModel(Task):
    """The task of a loaded Run of `train(model=...)`: it predicts, but has lost its data and its
    loss.
    """

    name = "model"

    def data(self):
        self.loss()

    def loss(self):
        raise ValueError(
            "A Run of `train(model=...)` holds neither its data nor its loss: it predicts, and "
            "cannot be evaluated."
        )


class ModelTask(Task):
    """A Keras model, data, a loss and metrics, as a task; the first metric picks the best weights.

    Args:
        model: A function that builds the model, or a built `keras.Model`.
        data: `Splits`; or what to train on: a source, a tuple of arrays `(inputs, targets[,
            weights])`, or a `tf.data.Dataset` of batches.
        loss: A Keras loss or its name, or a function to losses per example.
        metrics: Keras metrics or their names; "accuracy" is that which goes with a cross-entropy of
            Keras.
    Raises: ValueError when one of the first three is missing.
    """

    name = "model"

    def __init__(self, model, data, loss, metrics=()):
        super().__init__()
        given = {"model": model, "data": data, "loss": loss}
        missing = [f"`{name}`" for name, value in given.items() if value is None]
        if missing:
            raise ValueError(
                f"Give a task, or a model with its data and loss; missing: {', '.join(missing)}."
            )
        self._model, self._loss, self._metrics = model, loss, list(metrics)
        self._splits = _sources(data)

    @property
    def monitor(self):
        return self._first.name if self._first else "loss"

    @property
    def directions(self):
        own = self._first and better_direction(self._first)
        return {self._first.name: own} if own else {}

    def data(self):
        return self._splits

    def network(self):
        if not isinstance(self._model, keras.Model):
            return _plain(self._model())
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "On several replicas `model` must be a function that builds the model."
            )
        return _plain(self._model)

    def loss(self):
        return self._loss

    def metrics(self):
        return metrics_of(self._metrics, self._loss)

    @functools.cached_property
    def _first(self):
        """The first metric, or None. Not made before it is asked for: a cluster wants no
        variable before itself.
        """
        return next(iter(self.metrics()), None)


def _plain(model):
    """The model. ValueError for one with a training step of its own, which the loop passes over."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be, or make, a keras.Model. Received: {model!r:.80}")
    for name in ("train_step", "test_step", "compute_loss", "compute_metrics"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise ValueError(
                f"{type(model).__name__} has a `{name}` of its own, which this loop does not call: "
                "put it into `loss`, `metrics` or the layers, or train with Keras's `fit`."
            )
    return model


def _sources(data):
    """The `Splits` of what a user gives as data. ValueError for what is neither arrays nor a
    source.
    """
    if isinstance(data, Splits):
        return data
    if isinstance(data, list):
        data = tuple(data)
    is_source = isinstance(data, tuple | tf.data.Dataset) or (
        hasattr(data, "__len__") and hasattr(data, "__getitem__")
    )
    if not is_source:
        raise ValueError(
            "`data` must be a tuple of arrays (inputs, targets), `Splits`, a source with `__len__` "
            "and `__getitem__(indices)`, a keras.utils.PyDataset or a tf.data.Dataset. Received: "
            f"{type(data).__name__}"
        )
    return Splits(train=data)
