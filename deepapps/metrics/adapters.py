"""Losses and metrics of a user, in all the forms that Keras takes: names, functions, objects."""

import inspect
import re

import keras
import numpy as np
from keras import ops, tree

from deepapps.keras_internals import wrapped_function
from deepapps.metrics.outputs import OfOutput, by_output, output_at, with_weight

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


def metrics_of(metrics, loss, names=None):
    """New Keras metrics of the kinds given, with names that do not depend on what else a process
    has made.

    Args:
        metrics: Names, functions of targets and outputs, classes or objects of Keras metrics.
            "accuracy" and "acc" mean the one that goes with the loss. For a model with several
            outputs a dict or list with those of each output.
        loss: The loss that they stand beside; what `losses_by_output` returns.
        names: The names of the outputs, as `output_names` returns them.
    Returns: a list of metrics; of equal names the later ones are numbered, `auc`, `auc_2`, and
        those of one of several outputs are named after it, `topic_auc`.
    Raises: ValueError for what is no metric.
    """
    made = []
    for output, metric in _with_outputs(metrics, names):
        one = _metric(metric, _loss_of(loss, output))
        one = one if output is None else OfOutput(one, output)
        taken = [other.name for other in made]
        number, name = 2, one.name
        while name in taken:
            name, number = f"{one.name}_{number}", number + 1
        one.name = name
        made.append(one)
    return made


def _with_outputs(metrics, names):
    """`[(Output, metric), ...]`, where the output is None for metrics of all outputs."""
    if isinstance(metrics, str) or callable(metrics):
        raise ValueError(f"`metrics` must be a list or dict. Received: {metrics!r}")
    if names and len(names) == 1:
        return [(None, metric) for metric in tree.flatten(metrics) if metric is not None]
    is_by_output = isinstance(metrics, dict) or any(
        metric is None or isinstance(metric, list | tuple) for metric in metrics
    )
    if metrics and names and not is_by_output and len(metrics) != len(names):
        raise ValueError(
            f"The model has {len(names)} outputs: `metrics` must be a dict with those of each, by "
            f"name: {', '.join(names)}."
        )
    if not is_by_output and not names:
        return [(None, metric) for metric in metrics]
    return [
        (output, metric)
        for output, group in by_output(metrics, names)
        for metric in (group if isinstance(group, list | tuple) else [group])
    ]


def _loss_of(loss, output):
    """The loss of an `Output`, or where that is None, of a single one; None where it has none."""
    if not isinstance(loss, dict | list):
        return loss
    losses = dict(by_output(loss))
    if output is None and len(losses) == 1:
        (output,) = losses
    return with_weight(losses.get(output))[0]


def _metric(metric, loss):
    if metric in ("accuracy", "acc"):
        return _accuracy(loss, metric)
    made = keras.metrics.get(metric)
    if isinstance(made, type):
        made = made()
    if isinstance(made, keras.metrics.Metric):
        is_plain = isinstance(metric, str) and metric.islower()
        made = copied(made) if made is metric else made
        made.name = metric if is_plain else _without_number(made)
        return made
    if not callable(made):
        raise ValueError(
            f"A metric must be a name, a function or a Keras metric. Received: {metric!r}"
        )
    name = getattr(made, "name", getattr(made, "__name__", type(made).__name__)).strip("<>")

    def of_one_rank(targets, outputs):
        values = ops.convert_to_tensor(made(*same_rank(targets, outputs)))
        size = ops.shape(tree.flatten(outputs)[0])[:1]
        return values if len(values.shape) else ops.broadcast_to(values, size)

    return keras.metrics.MeanMetricWrapper(of_one_rank, name)


def _without_number(metric):
    """The name of a metric, without the number that Keras puts behind a name of its own."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(metric).__name__).lower()
    return re.sub(r"_\d+$", "", metric.name) if metric.name.startswith(words) else metric.name


def _accuracy(loss, name):
    """The accuracy that goes with a loss, which is an object, a function, or a name of either."""
    loss = None if loss is None else keras.losses.get(loss)
    for kind, accuracy in _ACCURACY.items():
        if isinstance(loss, kind) or loss is kind().fn:
            return accuracy(name=name)
    raise ValueError(
        "Which 'accuracy' goes with this loss cannot be told: give the metric itself, such as "
        "keras.metrics.SparseCategoricalAccuracy('accuracy')."
    )


def remarks_on(loss):
    """What there is to be said of a loss, or of one for an output, that is taken in another way
    than Keras takes it: lines of text.
    """
    losses = by_output(loss) if isinstance(loss, dict | list) else [(None, loss)]
    reductions = {getattr(with_weight(one)[0], "reduction", None) for _, one in losses}
    return [
        f"The loss is summed over the examples and divided by their number: its "
        f"reduction={reduction!r} is not used."
        for reduction in sorted(reductions & {"sum", "mean_with_sample_weight"})
    ]


def check_labels(loss, targets, outputs, where):
    """Raises ValueError for class indices beyond the outputs of a model, which TensorFlow turns
    into NaN or passes over, device by device.

    Args:
        loss: The loss as it was given.
        targets: All targets, nested arrays or None.
        outputs: The shape of the outputs, nested where there are several.
        where: What to call the targets in the error line.
    """
    if isinstance(loss, dict | list) and targets is not None:
        for output, one in by_output(loss):
            parts = (output_at(part, output) for part in (targets, outputs))
            check_labels(with_weight(one)[0], *parts, where)
        return
    loss = None if isinstance(loss, dict | list) else keras.losses.get(loss)
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
    if isinstance(metric, OfOutput):
        return OfOutput(copied(metric.metric), metric.output, name)
    if type(metric) is keras.metrics.MeanMetricWrapper:  # its config has the function's name alone
        function, options = wrapped_function(metric)
        return keras.metrics.MeanMetricWrapper(function, name, metric.dtype, **options)
    copy = type(metric).from_config(_config_of(metric))
    copy.name = name
    return copy


def _config_of(metric):
    """The arguments that make a metric like this one. ValueError where a class of the user does not
    tell them.
    """
    config = metric.get_config()
    if type(metric).__module__.startswith("keras."):
        return config
    arguments = inspect.signature(type(metric)).parameters.values()
    named = {a.name for a in arguments if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)}
    if unknown := sorted(named - config.keys()):
        raise ValueError(
            f"The metric {type(metric).__name__} is made anew for each split: its `get_config` "
            f"must give its arguments, and lacks {unknown[0]!r}."
        )
    takes_any = any(a.kind == a.VAR_KEYWORD for a in arguments)
    return {name: value for name, value in config.items() if takes_any or name in named}
