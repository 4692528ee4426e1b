"""The task behind `deepapps.train(model=..., data=..., loss=...)`: any Keras model on any data."""

import functools
import logging

import keras
import numpy as np
import tensorflow as tf

from deepapps.data.source import ArraySource, Splits
from deepapps.keras_internals import better_direction, compiled_with
from deepapps.metrics.adapters import metrics_of, remarks_on
from deepapps.metrics.outputs import losses_by_output, output_names, with_weights
from deepapps.task import Task

_logger = logging.getLogger(__name__)


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
        loss: A Keras loss or its name, or a function to losses per example; for several outputs a
            dict or list of these, or of `(loss, weight)`.
        metrics: Keras metrics or their names; "accuracy" is that which goes with a cross-entropy of
            Keras. For several outputs a dict or list of such lists.
        validation_split: Share of the arrays, 0 to 1, at their end, to validate with. Defaults to
            none.
    Raises: ValueError when one of the first three is missing.
    """

    name = "model"

    def __init__(self, model, data, loss, metrics=(), validation_split=None):
        super().__init__()
        given = {"model": model, "data": data, "loss": loss}
        missing = [f"`{name}`" for name, value in given.items() if value is None]
        if missing:
            raise ValueError(
                "Give a task, or a model (compiled, or with its loss) and data; missing: "
                f"{', '.join(missing)}."
            )
        self._model, self._loss, self._metrics = model, loss, metrics
        self._names = output_names(model)
        self._splits = _sources(data, validation_split)
        self._is_bare = not isinstance(data, Splits) and self._splits.validation is None

    @property
    def monitor(self):
        return self._first.name if self._first else "loss"

    @property
    def directions(self):
        own = self._first and better_direction(self._first)
        return {self._first.name: own} if own else {}

    def data(self):
        if self._is_bare:
            _logger.warning(
                "There are no validation data, hence no validation metrics, and the weights of the "
                "last epoch are kept: give `validation_split`, or `data=Splits(train, validation)`."
            )
        for remark in remarks_on(self.loss()):
            _logger.warning(remark)
        return self._splits

    def network(self):
        if not isinstance(self._model, keras.Model):
            model = _plain(self._model())
            if model.compiled:
                _logger.warning(
                    "The function compiles its model: loss, metrics and optimizer are those given "
                    "to `train`, and not those."
                )
            self._names = output_names(model)
            vars(self).pop("_first", None)  # its name may be that of an output
            return model
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "On several replicas `model` must be a function that builds the model."
            )
        return _plain(self._model)

    def loss(self):
        return losses_by_output(self._loss, self._names)

    def metrics(self):
        return metrics_of(self._metrics, self.loss(), self._names)

    @functools.cached_property
    def _first(self):
        """The first metric, or None. Not made before it is asked for: a cluster wants no
        variable before itself.
        """
        return next(iter(self.metrics()), None)


def compiled_parts(model):
    """`{"loss": ..., "metrics": ..., "optimizer": ...}` that a model was compiled with, as `train`
    takes them; nothing where it is not compiled.

    Raises: ValueError where it was compiled with what the loop has not.
    """
    if not isinstance(model, keras.Model) or not model.compiled:
        return {}
    parts = compiled_with(model)
    if parts["weighted_metrics"]:
        raise ValueError("The model was compiled with `weighted_metrics`: metrics have no weights.")
    return {
        "loss": with_weights(parts["loss"], parts["loss_weights"]),
        "metrics": parts["metrics"],
        "optimizer": parts["optimizer"],
    }


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


def _sources(data, validation_split):
    """The `Splits` of what a user gives as data. ValueError for what is neither arrays nor a
    source.
    """
    if validation_split is not None:
        return _split(data, validation_split)
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


def _split(data, share):
    """The `Splits` of arrays, the last of them for validation, as Keras's `fit` takes them."""
    if not isinstance(data, tuple | list) or not 0 < share < 1:
        raise ValueError(
            "`validation_split` must be between 0 and 1, and parts a tuple of arrays. Received: "
            f"validation_split={share!r}, data of type {type(data).__name__}"
        )
    source = ArraySource(*data)
    first = int(len(source) * (1 - share))
    if not 0 < first < len(source):
        raise ValueError(f"validation_split={share} leaves a part of {len(source)} examples empty.")
    rows = np.arange(len(source))
    return Splits(train=source[rows[:first]], validation=source[rows[first:]])
