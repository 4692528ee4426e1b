"""The task behind `deepapps.train(model=..., data=..., loss=...)`: any Keras model on any data."""

import functools

import keras
import tensorflow as tf

from deepapps.data.source import Splits
from deepapps.keras_internals import better_direction
from deepapps.metrics.losses import copied
from deepapps.task import Task

_ACCURACY = {
    keras.losses.SparseCategoricalCrossentropy: keras.metrics.SparseCategoricalAccuracy,
    keras.losses.CategoricalCrossentropy: keras.metrics.CategoricalAccuracy,
    keras.losses.CategoricalFocalCrossentropy: keras.metrics.CategoricalAccuracy,
    keras.losses.BinaryCrossentropy: keras.metrics.BinaryAccuracy,
    keras.losses.BinaryFocalCrossentropy: keras.metrics.BinaryAccuracy,
}


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
        self._splits = data if isinstance(data, Splits) else Splits(train=data)

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
            return self._model()
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "On several replicas `model` must be a function that builds the model."
            )
        return self._model

    def loss(self):
        return self._loss

    def metrics(self):
        return [self._metric(metric) for metric in self._metrics]

    @functools.cached_property
    def _first(self):
        """The first metric, or None. Not made before it is asked for: a cluster wants no
        variable before itself.
        """
        return next((self._metric(metric) for metric in self._metrics), None)

    def _metric(self, metric):
        """A metric made anew, in whatever scope this is called."""
        if metric == "accuracy":
            return self._accuracy()
        return copied(keras.metrics.get(metric))

    def _accuracy(self):
        """The accuracy that goes with the loss, which is an object, a function, or a name of
        either.
        """
        loss = keras.losses.get(self._loss)
        for kind, accuracy in _ACCURACY.items():
            if isinstance(loss, kind) or loss is kind().fn:
                return accuracy(name="accuracy")
        raise ValueError(
            "Which 'accuracy' goes with this loss cannot be told: give the metric itself, such as "
            "keras.metrics.SparseCategoricalAccuracy('accuracy')."
        )
