"""Losses and metrics of classifiers that Keras has in other forms."""

import keras
from keras import ops


def smoothed(label_smoothing, multi_label=False):
    """The cross-entropy of logits with label smoothing (Szegedy et al. 2016, 7).

    Args:
        label_smoothing: Share of a target that is spread over all classes, 0 to 1.
        multi_label: Whether targets are 0 and 1 for each class, `(B, C)`, and not a class index, `(B,)`.
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


def all_labels_right(targets, logits):
    """1 for each example whose labels are all found and no other, else 0, `(B,)`."""
    right = ops.equal(ops.greater_equal(logits, 0.0), ops.greater(targets, 0.5))
    return ops.cast(ops.all(right, axis=-1), "float32")
