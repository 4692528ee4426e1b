"""Losses and metrics that Keras has in other forms."""

import copy
import inspect

import keras
from keras import ops

from deepapps.metrics.adapters import same_rank
from deepapps.metrics.heads import main_output


def smoothed(label_smoothing, multi_label=False):
    """The cross-entropy of logits with label smoothing (Szegedy et al. 2016, 7).

    Args:
        label_smoothing: Share of a target that is spread over all classes, 0 to 1.
        multi_label: Whether targets are 0 and 1 for each class, `(B, C)`, and not a class index,
            `(B,)`.
    Returns: a function `(targets, logits)` to losses `(B,)`.
    """
    options = {"from_logits": True, "label_smoothing": label_smoothing}
    if multi_label:
        return lambda targets, logits: keras.losses.binary_crossentropy(targets, logits, **options)

    def loss(targets, logits):
        return keras.losses.categorical_crossentropy(
            ops.one_hot(targets, logits.shape[-1]), logits, **options
        )

    return loss


def smoothed_tokens(label_smoothing):
    """The cross-entropy of logits of large vocabularies with label smoothing, without one-hot
    targets.

    Args:
        label_smoothing: Share of a target that is spread over all tokens, 0 to 1.
    Returns: a function `(targets (B, T), logits (B, T, V))` to losses `(B, T)`.
    """

    def loss(targets, logits):
        right = keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        if not label_smoothing:
            return right
        chosen = ops.squeeze(ops.take_along_axis(logits, targets[..., None], axis=-1), -1)
        return right + label_smoothing * (chosen - ops.mean(logits, axis=-1))

    return loss


def all_labels_right(targets, logits):
    """1 for each example whose labels are all found and no other, else 0, `(B,)`."""
    right = ops.equal(ops.greater_equal(logits, 0.0), ops.greater(targets, 0.5))
    return ops.cast(ops.all(right, axis=-1), "float32")


def cross_entropy(targets, outputs):
    """Cross entropy of logits, `(B,)`.

    Args:
        targets: Class indices `(B,)`, or the share of each class, `(B, C)`, as mixing images gives
            it.
        outputs: Logits `(B, C)`; or a list of these and those of auxiliary heads, which count 0.3
            each.
    """
    indices, losses = len(targets.shape) == 1, keras.losses
    kind = losses.sparse_categorical_crossentropy if indices else losses.categorical_crossentropy
    heads = outputs if isinstance(outputs, list) else [outputs]
    main, *others = (kind(targets, logits, from_logits=True) for logits in heads)
    return main + 0.3 * sum(others)


def is_right(targets, outputs):
    """1 where the likeliest class is the target, or has the largest share in it, else 0; `(B,)`."""
    labels = targets if len(targets.shape) == 1 else ops.argmax(targets, axis=-1)
    answers = ops.argmax(main_output(outputs), axis=-1)
    return ops.cast(ops.equal(ops.cast(labels, answers.dtype), answers), "float32")


def accuracy(multi_label=False):
    """The Keras metric "accuracy" of logits: the share of right answers, or of examples whose
    labels are all right.
    """
    return keras.metrics.MeanMetricWrapper(
        all_labels_right if multi_label else is_right, "accuracy"
    )


def token_accuracy():
    """The Keras metric "token_accuracy" of logits: the share of tokens that are right."""
    return keras.metrics.SparseCategoricalAccuracy("token_accuracy")


def per_example(loss):
    """A loss as `function(targets, outputs, inputs)` to unreduced values.

    Args:
        loss: A Keras loss or its name; a function of targets and outputs and, where it has an
            argument of that name, of `inputs`; or, for a model with a dict of outputs, a dict of
            such losses, or of `(loss, weight)`, whose values are averaged for each example and
            summed.
    """
    if isinstance(loss, dict):
        return _sum_of({name: _with_weight(one) for name, one in loss.items()})
    loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        loss = copy.copy(loss)
        loss.reduction = None
    if uses_inputs(loss):
        return lambda targets, outputs, inputs: loss(*same_rank(targets, outputs), inputs=inputs)
    return lambda targets, outputs, inputs: loss(*same_rank(targets, outputs))


def uses_inputs(loss):
    """Whether a loss, or one of a dict, has an argument `inputs`."""
    if isinstance(loss, dict):
        return any(uses_inputs(_with_weight(one)[0]) for one in loss.values())
    return inspect.isfunction(loss) and "inputs" in inspect.signature(loss).parameters


def _with_weight(loss):
    return loss if isinstance(loss, tuple) else (loss, 1.0)


def _sum_of(parts):
    """The weighted sum of losses, `{output: (loss, weight)}`, as one loss."""
    parts = {name: (per_example(loss), weight) for name, (loss, weight) in parts.items()}

    def total(targets, outputs, inputs):
        values = []
        for name, (loss, weight) in parts.items():
            losses = ops.cast(loss(targets[name], outputs[name], inputs), "float32")
            values.append(weight * ops.mean(losses, axis=tuple(range(1, len(losses.shape)))))
        return sum(values)

    return total
