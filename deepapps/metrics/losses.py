"""Losses and metrics that Keras has in other forms."""

import functools
import inspect

import keras
from keras import ops, tree

from deepapps.keras_internals import attached_mask
from deepapps.metrics.adapters import same_rank
from deepapps.metrics.heads import main_output
from deepapps.metrics.outputs import by_output, output_at, to_rank, with_weight


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
    """A loss as `function(targets, outputs, inputs)` to `(losses, mask)`: the unreduced values, and
    which of them count, boolean, or None where all do.

    A mask comes from the outputs, where an embedding masks steps, and from `ignore_class`.

    Args:
        loss: A Keras loss or its name; a function of targets and outputs and, where it has an
            argument of that name, of `inputs`; or, for a model with several outputs, a dict or
            list of such losses, or of `(loss, weight)`, whose values are averaged for each example
            and summed. None in it: no loss for that output.
    """
    if isinstance(loss, dict | list):
        return _sum_of([(place, with_weight(one)) for place, one in by_output(loss)])
    loss = keras.losses.get(loss)
    function = _unreduced(loss) if isinstance(loss, keras.losses.Loss) else loss
    takes_inputs = uses_inputs(loss)

    def losses_of(targets, outputs, inputs):
        more = {"inputs": inputs} if takes_inputs else {}
        losses = function(*same_rank(targets, outputs), **more)
        masks = [mask for mask in map(attached_mask, (outputs, losses)) if mask is not None]
        return losses, functools.reduce(ops.logical_and, masks) if masks else None

    return losses_of


def uses_inputs(loss):
    """Whether a loss, or one for an output, has an argument `inputs`."""
    if isinstance(loss, dict | list):
        return any(uses_inputs(with_weight(one)[0]) for _, one in by_output(loss))
    return inspect.isfunction(loss) and "inputs" in inspect.signature(loss).parameters


def _unreduced(loss):
    """The values of a Keras loss object, before its reduction, with the mask of `ignore_class`."""

    def values(*targets_and_outputs):
        return loss.call(
            *tree.map_structure(
                lambda tensor: ops.convert_to_tensor(tensor, dtype=loss.dtype), targets_and_outputs
            )
        )

    return values


def _sum_of(parts):
    """The weighted sum of losses, `[(place, (loss, weight)), ...]`, as one loss."""
    parts = [(place, per_example(loss), weight) for place, (loss, weight) in parts]

    def total(targets, outputs, inputs):
        values = []
        for place, loss, weight in parts:
            losses, mask = loss(output_at(targets, place), output_at(outputs, place), inputs)
            values.append(weight * _mean_of_each(ops.cast(losses, "float32"), mask))
        return sum(values), None

    return total


def _mean_of_each(losses, mask):
    """The losses of the examples, `(B,)`: means over further axes. With a mask `(B, T)` their mean
    is that over all steps that count, as Keras takes it.
    """
    if mask is not None:
        losses, mask = losses * 1.0, ops.cast(mask, losses.dtype)
        share = ops.mean(mask)
        losses = losses * to_rank(mask, losses) / ops.maximum(share, keras.config.epsilon())
    return ops.mean(losses, axis=tuple(range(1, len(losses.shape))))
