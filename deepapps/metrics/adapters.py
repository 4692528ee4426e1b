"""Losses and metrics of a user, in all the forms that Keras takes: names, functions, objects."""

import inspect
import re

import keras
import numpy as np
from keras import ops

from deepapps.keras_internals import wrapped_function

_ACCURACY = {
    keras.losses.SparseCategoricalCrossentropy: keras.metrics.SparseCategoricalAccuracy,
    keras.losses.CategoricalCrossentropy: keras.metrics.CategoricalAccuracy,
    keras.losses.CategoricalFocalCrossentropy: keras.metrics.CategoricalAccuracy,
    keras.losses.BinaryCrossentropy: keras.metrics.BinaryAccuracy,
    keras.losses.BinaryFocalCrossentropy: keras.metrics.BinaryAccuracy,
}


def same_rank(targets, outputs):
    """Targets `(N,)` for outputs `(N, 1)`, or the reverse, in the rank of the outputs, as Keras's
    losses take them; else their difference would be `(N, N)`.
    """
    if not hasattr(targets, "shape") or not hasattr(outputs, "shape"):
        return targets, outputs
    gap = len(outputs.shape) - len(targets.shape)
    if gap == 1 and outputs.shape[-1] == 1:
        return ops.expand_dims(targets, -1), outputs
    if gap == -1 and targets.shape[-1] == 1:
        return ops.squeeze(targets, -1), outputs
    return targets, outputs


def metrics_of(metrics, loss):
    """New Keras metrics of the kinds given, with names that do not depend on what else a process
    has made.

    Args:
        metrics: Names, functions of targets and outputs, classes or objects of Keras metrics.
            "accuracy" and "acc" mean the one that goes with the loss.
        loss: The loss that they stand beside.
    Returns: a list of metrics; of equal names the later ones are numbered, `auc`, `auc_2`.
    Raises: ValueError for what is no metric.
    """
    made = []
    for metric in metrics:
        one = _metric(metric, loss)
        names = [other.name for other in made]
        number = 2
        name = one.name
        while name in names:
            name, number = f"{one.name}_{number}", number + 1
        made.append(one if name == one.name else copied(one, name))
    return made


def _metric(metric, loss):
    if metric in ("accuracy", "acc"):
        return _accuracy(loss, metric)
    if inspect.isfunction(metric):
        name = metric.__name__.strip("<>")

        def of_one_rank(targets, outputs):
            return metric(*same_rank(targets, outputs))

        return keras.metrics.MeanMetricWrapper(of_one_rank, name)
    made = keras.metrics.get(metric)
    if isinstance(made, type):
        made = made()
    if not isinstance(made, keras.metrics.Metric):
        raise ValueError(
            f"A metric must be a name, a function or a Keras metric. Received: {metric!r}"
        )
    is_plain = isinstance(metric, str) and metric.islower()
    return copied(made, metric if is_plain else _without_number(made))


def _without_number(metric):
    """The name of a metric, without the number that Keras puts behind a name of its own."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(metric).__name__).lower()
    return re.sub(r"_\d+$", "", metric.name) if metric.name.startswith(words) else metric.name


def _accuracy(loss, name):
    """The accuracy that goes with a loss, which is an object, a function, or a name of either."""
    loss = keras.losses.get(loss)
    for kind, accuracy in _ACCURACY.items():
        if isinstance(loss, kind) or loss is kind().fn:
            return accuracy(name=name)
    raise ValueError(
        "Which 'accuracy' goes with this loss cannot be told: give the metric itself, such as "
        "keras.metrics.SparseCategoricalAccuracy('accuracy')."
    )


def check_labels(loss, targets, outputs, where):
    """Raises ValueError for class indices beyond the outputs of a model, which TensorFlow turns
    into NaN or passes over, device by device.

    Args:
        loss: The loss as it was given.
        targets: All targets, an array or None.
        outputs: The shape of the outputs.
        where: What to call the targets in the error line.
    """
    loss = loss if isinstance(loss, dict) else keras.losses.get(loss)
    is_sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    is_sparse |= loss is keras.losses.sparse_categorical_crossentropy
    if not is_sparse or not isinstance(targets, np.ndarray) or not len(outputs):
        return
    ignored = getattr(loss, "ignore_class", None)
    wrong = (targets < 0) | (targets >= outputs[-1])
    wrong &= targets != ignored if ignored is not None else True
    if wrong.any():
        index = int(np.argwhere(wrong)[0][0])
        raise ValueError(
            f"{where}: labels must be 0 to {outputs[-1] - 1}, for the model has {outputs[-1]} "
            f"outputs. Received: label {targets[wrong][0]} at example {index}"
        )


def copied(metric, name=None):
    """A metric like another one, with variables of its own, and another name if one is given."""
    name = name or metric.name
    if type(metric) is keras.metrics.MeanMetricWrapper:  # its config has the function's name alone
        function, options = wrapped_function(metric)
        return keras.metrics.MeanMetricWrapper(function, name, metric.dtype, **options)
    return type(metric).from_config({**metric.get_config(), "name": name})
