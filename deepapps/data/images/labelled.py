"""A checked set of labelled images, and how it fits the classes of another."""

import dataclasses
import logging

import numpy as np

from deepapps.data.npz import as_labels

_logger = logging.getLogger(__name__)

IMAGE_RULE = (
    "images must be an array (N, H, W) or (N, H, W, C) of uint8, of integers from 0 to 255, or of "
    "floats from 0 to 1"
)


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Labelled images as one part of the data holds them.

    Attributes:
        where: What to call the set in an error line.
        images: uint8 `(N, H, W, C)`: an array, or `ImageRows` where they do not fit into memory.
        labels: Integers `(N,)`, none below 0, and each below the number of `names`.
        names: The names of the labels, a list of strings, or None.
        keys: For each image of a file the bytes that stand for it. None: its pixels do.
        note: What is to be said about the files, for the summary.
        bits: Of the values in files that may hold more than 8, 8 to 16. None: there are none.
    """

    where: str
    images: np.ndarray
    labels: np.ndarray
    names: list | None
    keys: list | None = None
    note: str = ""
    bits: int | None = None


def image_set(where, images, labels, names=None, keys=None, note="", bits=None):
    """Checks the arrays of a set and brings them into the form of `ImageSet`, which it returns.

    Args:
        where: What to call the set in an error line.
        images: `(N, H, W)` or `(N, H, W, C)`, of uint8, integers from 0 to 255, or floats from 0 to
            1.
        labels: Integers `(N,)` or `(N, 1)`, or one-hot `(N, classes)`.
        names: The names of the labels, or None.
        keys, note, bits: As in `ImageSet`.
    Raises: ValueError when they are not so, or there are no images.
    """
    labels = as_labels(where, labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        found = f"{labels.dtype} {labels.shape}"
        raise ValueError(f"{where}: labels must be an array (N,) of integers. Received: {found}")
    images = _as_bytes(where, images)
    if len(images) != len(labels):
        raise ValueError(
            f"{where}: there must be one label for each image. Received: {len(images)} images, "
            f"{len(labels)} labels"
        )
    names = None if names is None else [str(name) for name in names]
    _check_labels(where, labels, names)
    return ImageSet(where, images, labels, names, keys, note, bits)


def learn_class_names(train):
    """Returns the names of the classes of a training set: its own, or its labels as strings.

    Raises: ValueError when labels without names do not run from 0 or 1 without a gap, or all are
        the same.
    """
    present = np.unique(train.labels)
    first = int(present[0] == 1)  # EMNIST's letters begin at 1
    gap = next((label for label, found in enumerate(present, first) if label != found), None)
    if train.names is None and gap is not None:
        stray = present[gap - first]
        raise ValueError(
            f"{train.where}: label {stray} at index {_first(train.labels == stray)}, but no image "
            f"has label {gap}; labels must run from 0 or 1 without a gap."
        )
    if len(present) < 2:
        raise ValueError(
            f"{train.where}: there must be images of two classes or more. Received: only label "
            f"{present[0]}"
        )
    return train.names or [str(label) for label in present]


def targets_of(part, class_names, image_shape, seen=None):
    """Returns the labels of a set as int32 indices `(N,)` into the names of other classes.

    Args:
        part: An `ImageSet`. Its labels are matched by name where it has names, unless the classes
            are called by plain numbers that are not among them; else by number.
        class_names: The names of the classes.
        image_shape: `(H, W, C)` that the images must have.
        seen: The targets that training has examples of. Defaults to all.
    Raises: ValueError when the images have another shape, or a label is unknown or not in `seen`.
    """
    if part.images.shape[1:] != tuple(image_shape):
        raise ValueError(
            f"{part.where}: images must have the shape of those in training, "
            f"{_shape(image_shape)}. Received: {_shape(part.images.shape[1:])}"
        )
    known = range(len(class_names)) if seen is None else seen
    targets = _matched(part, class_names)
    unknown = ~np.isin(targets, known)
    if unknown.any():
        index = _first(unknown)
        name = f" ({part.names[part.labels[index]]!r})" if part.names else ""
        raise ValueError(
            f"{part.where}: label {part.labels[index]}{name} at index {index} has no example in "
            f"training; it must be one of the {len(known)} classes trained on."
        )
    return targets.astype(np.int32)


def _matched(part, class_names):
    by_name = {name: target for target, name in enumerate(class_names)}
    numbered = list(class_names) == [str(number) for number in range(len(class_names))]
    if part.names is not None and (not numbered or by_name.keys() >= set(part.names)):
        return np.array([by_name.get(name, -1) for name in part.names])[part.labels]
    if part.names is None and all(name.isdecimal() for name in class_names):
        numbers = np.arange(part.labels.max() + 1)
        return np.array([by_name.get(str(number), -1) for number in numbers])[part.labels]
    return part.labels


def _as_bytes(where, images):
    images = images[..., np.newaxis] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype.kind not in "iuf" or 0 in images.shape[1:]:
        raise ValueError(f"{where}: {IMAGE_RULE}. Received: {images.dtype} {images.shape}")
    if len(images) == 0:
        raise ValueError(f"{where}: there are no images.")
    if images.shape[1] in (1, 3) and images.shape[-1] > 4:
        raise ValueError(
            f"{where}: the channels of images stand last; here they stand first: "
            f"images.transpose(0, 2, 3, 1) turns them. Received: {images.shape}"
        )
    _warn_of_faint(where, images)
    if images.dtype == np.uint8:
        return images
    top = 1 if images.dtype.kind == "f" else 255
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= top):
        raise ValueError(f"{where}: {IMAGE_RULE}. Received: {images.dtype} from {low} to {high}")
    return (
        np.rint(images * np.float32(255)).astype(np.uint8) if top == 1 else images.astype(np.uint8)
    )


def _warn_of_faint(where, images):
    """Says that whole numbers of 0 and 1 are nearly black, not black and white."""
    if isinstance(images, np.ndarray) and images.dtype.kind in "iu" and images.max() == 1:
        _logger.warning(
            "%s: its whole numbers from 0 to 255 are all 0 or 1, which is nearly black; multiply "
            "them by 255, or give floats.",
            where,
        )


def _check_labels(where, labels, names):
    wrong = labels < 0
    if names is not None:
        wrong |= labels >= len(names)
        if len(set(names)) != len(names):
            raise ValueError(f"{where}: class names must differ. Received: {', '.join(names)}")
    if wrong.any():
        index = _first(wrong)
        rule = (
            "0 or more"
            if names is None
            else f"0 to {len(names) - 1}, for it has {len(names)} class names"
        )
        raise ValueError(
            f"{where}: labels must be {rule}. Received: label {labels[index]} at index {index}"
        )


def _first(mask):
    return int(np.argmax(mask))


def _shape(shape):
    return " x ".join(str(size) for size in shape)
