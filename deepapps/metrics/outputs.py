"""Models with several outputs: the losses, metrics and targets of each."""

import typing

import keras
from keras import ops

from deepapps.keras_internals import attached_mask, better_direction


class Output(typing.NamedTuple):
    """One of several outputs.

    Attributes:
        name: Its key in a dict of outputs, or the name of its layer; None where it has none.
        index: Its place in a list of outputs; None where they are a dict.
    """

    name: str | None
    index: int | None


def by_output(values, names=None):
    """`[(Output, value), ...]` of a dict or list with a value for each output, those that are None
    left out.

    Args:
        values: A dict by names (or `Output`s), or a list in the order of the outputs.
        names: The names of all outputs, in their order; None where they are not known.
    Raises: ValueError for a name that no output has, and for too many values.
    """
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    return [(_output(key, names), value) for key, value in pairs if value is not None]


def _output(key, names):
    if isinstance(key, Output):
        return key
    if names and (key not in names if isinstance(key, str) else key >= len(names)):
        raise ValueError(f"The model has no output {key!r}. Its outputs: {', '.join(names)}.")
    if isinstance(key, str):
        return Output(key, names.index(key) if names else None)
    return Output(names[key] if names else None, key)


def output_names(model):
    """The names of the outputs of a model, as Keras names them: keys of a dict, or layers; None for
    a model whose outputs are known only when it is called.
    """
    if isinstance(model, keras.Sequential):
        return [model.name]
    names = getattr(model, "output_names", None)
    return list(model.output) if names and isinstance(model.output, dict) else names


def losses_by_output(loss, names):
    """The losses of a model with several outputs, `{Output: loss}`; of one with a single output
    its loss.

    Args:
        loss: A loss, which is that of every output; or a dict or list with a loss, a `(loss,
            weight)`, or None for each output.
        names: As `output_names` returns them.
    """
    is_single = names and len(names) == 1
    if isinstance(loss, dict | list | tuple) and "class_name" not in loss:
        pairs = by_output(loss, None if is_single else names)
        is_plain = is_single and len(pairs) == 1 and not isinstance(pairs[0][1], tuple)
        return pairs[0][1] if is_plain else dict(pairs)
    return (
        loss if is_single or not names else {output: loss for output, _ in by_output(names, names)}
    )


def with_weights(loss, weights):
    """Losses with the `loss_weights` of a compiled model, as `losses_by_output` takes them.

    Raises: ValueError where the weights are not of the form of the losses.
    """
    if weights is None:
        return loss
    if isinstance(weights, int | float):
        return [(loss, weights)]
    if isinstance(loss, dict) != isinstance(weights, dict) and isinstance(loss, dict | list):
        raise ValueError("`loss_weights` must be a dict or list like `loss`.")
    if isinstance(weights, dict):
        losses = loss if isinstance(loss, dict) else dict.fromkeys(weights, loss)
        return {name: (one, weights.get(name, 1.0)) for name, one in losses.items()}
    losses = loss if isinstance(loss, list) else [loss] * len(weights)
    return list(zip(losses, weights, strict=True))


def with_weight(loss):
    """`(loss, weight)` of a loss, or of such a pair."""
    return loss if isinstance(loss, tuple) else (loss, 1.0)


def output_at(nested, output):
    """What belongs to an output: that of a dict, list or tuple; anything else stands for all."""
    try:
        if isinstance(nested, dict):
            return nested[output.name]
        return nested[output.index] if isinstance(nested, list | tuple) else nested
    except (KeyError, IndexError, TypeError):
        parts = ", ".join(nested) if isinstance(nested, dict) else f"{len(nested)} without names"
        wanted = output.index if output.name is None else output.name
        raise ValueError(f"there is no output or target {wanted!r}, but {parts}") from None


class OfOutput(keras.metrics.Metric):
    """A metric of one output of a model with several.

    Args:
        metric: The Keras metric.
        output: The `Output`.
        name: Its name. Defaults to the name of the output and that of the metric, `topic_auc`.
    """

    def __init__(self, metric, output, name=None):
        super().__init__(name=name or "_".join(filter(None, (output.name, metric.name))))
        self.metric, self.output = metric, output
        self._direction = better_direction(metric)

    def update_state(self, targets, outputs, sample_weight=None):
        self.metric.update_state(
            output_at(targets, self.output),
            *with_mask(output_at(outputs, self.output), sample_weight),
        )

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()


def with_mask(outputs, weights):
    """Outputs without the mask that Keras attaches to them, and the weights with it."""
    mask = attached_mask(outputs)
    return (outputs, weights) if mask is None else (outputs * 1, masked(weights, mask))


def masked(weights, mask):
    """Weights `(B, ...)`, 0 where a boolean mask `(B, ...)` hides a step; None hides none."""
    if mask is None:
        return weights
    mask = ops.cast(mask, weights.dtype)
    return to_rank(weights, mask) * to_rank(mask, weights)


def to_rank(tensor, other):
    """A tensor with further axes of 1, at its end, to the rank of another, if that is higher."""
    missing = len(other.shape) - len(tensor.shape)
    return ops.reshape(tensor, (*ops.shape(tensor), *[1] * missing)) if missing > 0 else tensor
