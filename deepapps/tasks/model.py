"""The task behind `deepapps.train(model=..., data=..., loss=...)`: any Keras model on any data."""

import functools

import keras
import tensorflow as tf

from deepapps.data.source import ArraySource, Splits
from deepapps.tasks.task import Task

_ACCURACY = {
    "sparse_categorical_crossentropy": keras.metrics.SparseCategoricalAccuracy,
    "categorical_crossentropy": keras.metrics.CategoricalAccuracy,
    "binary_crossentropy": keras.metrics.BinaryAccuracy,
}


class LoadedModel(Task):
    """The task of a loaded Run of `train(model=...)`: it predicts, but has lost its data and its loss."""

    name = "model"


class ModelTask(Task):
    """A Keras model, data, a loss and metrics, as a task; the first metric picks the best weights.

    Args:
        model: A function that builds the model, or a built `keras.Model`.
        data: `Splits`; or what to train on: a source, a tuple of arrays `(inputs, targets[, weights])`,
            or a `tf.data.Dataset` of batches.
        loss: A Keras loss or its name, or a function to losses per example.
        metrics: Keras metrics or their names.
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
        data = ArraySource(*data) if isinstance(data, tuple) else data
        self._splits = data if isinstance(data, Splits) else Splits(train=data)

    @property
    def monitor(self):
        return self._first.name if self._first else "loss"

    @property
    def direction(self):
        return "max" if getattr(self._first, "_direction", "down") == "up" else "min"

    def data(self):
        return self._splits

    def network(self):
        if not isinstance(self._model, keras.Model):
            return self._model()
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError("On several replicas `model` must be a function that builds the model.")
        return self._model

    def loss(self):
        return self._loss

    def metrics(self):
        return [self._metric(metric) for metric in self._metrics]

    @functools.cached_property
    def _first(self):
        """The first metric, or None. Not made before it is asked for: a cluster wants no variable before itself."""
        return next((self._metric(metric) for metric in self._metrics), None)

    def _metric(self, metric):
        """A metric made anew, in whatever scope this is called."""
        if metric == "accuracy" and self._loss_name() in _ACCURACY:
            return _ACCURACY[self._loss_name()](name="accuracy")
        metric = keras.metrics.get(metric)
        return type(metric).from_config(metric.get_config())

    def _loss_name(self):
        loss = self._loss
        return loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
