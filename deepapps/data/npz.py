"""NumPy .npz files of images: `x_train, y_train[, x_test, y_test]`, `x, y` or `images, labels`."""

import functools
import logging
import math
import zipfile
import zlib

import numpy as np

from deepapps.files import check_regular, check_unpacked

TRAIN_KEYS = (("x_train", "y_train"), ("x", "y"), ("images", "labels"))
TEST_KEYS = ("x_test", "y_test")
NAMES_KEY = "class_names"
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def npz_parts(path):
    """Finds the arrays of an .npz file.

    Args:
        path: The file, with the keys named above; `class_names`, strings, is optional.
    Returns: `{"train": read, "test": read}`, of these what is there; `read(reading)` returns
        images, labels and the class names or None, as they stand in the file; such images need no
        `Reading`.
    Raises: ValueError when the file is no .npz, or lacks these keys or one of a pair.
    """
    with _load(path) as archive:
        keys = set(archive.files)
    train = next((pair for pair in TRAIN_KEYS if keys & set(pair)), None)
    pairs = {"train": train, "test": TEST_KEYS if keys & set(TEST_KEYS) else None}
    pairs = {part: pair for part, pair in pairs.items() if pair}
    if not pairs:
        raise ValueError(
            f"{path}: must hold x_train and y_train (x_test and y_test too, if you like), x and y, "
            f"or images and labels. Found: {', '.join(sorted(keys)) or 'nothing'}"
        )
    for missing in (key for pair in pairs.values() for key in pair if key not in keys):
        raise ValueError(f"{path}: has no {missing!r}. Found: {', '.join(sorted(keys))}")
    unused = keys - {key for pair in pairs.values() for key in pair} - {NAMES_KEY}
    if unused:
        logging.getLogger(__name__).warning("%s: not used: %s", path, ", ".join(sorted(unused)))
    return {part: functools.partial(_read, path, *pair) for part, pair in pairs.items()}


def as_labels(where, labels, multi_label=False):
    """Labels as integers: `(N,)` of one-hot rows and of a column `(N, 1)`, else as they are.

    Args:
        where: What to call them in an error line.
        labels: An array.
        multi_label: Whether a row of 0 and 1 may have any number of ones, so that it stays.
    Raises: ValueError for rows of 0 and 1 that are not one-hot, without `multi_label`.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim != 2 or labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
        return labels
    if multi_label:
        return labels.astype("int32")
    several = labels.sum(axis=1) != 1
    if several.any():
        index = int(np.argmax(several))
        raise ValueError(
            f"{where}: the labels are rows of 0 and 1, and that at index {index} has "
            f"{labels[index].sum():g} ones; one-hot labels have 1. For any number of labels of a "
            "sequence: --multi-label."
        )
    return labels.argmax(axis=1)


def _load(path):
    check_regular(path)
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path}: cannot be read as .npz; it is another kind of file, or cut short."
        )
    try:
        return np.load(path, allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{path}: cannot be read as .npz ({error}).") from None


def check_array_size(archive, path, key):
    """Raises ValueError for an array that claims more bytes than it holds, before they are asked
    for.
    """
    member = archive.zip.getinfo(key if key in archive.zip.namelist() else f"{key}.npy")
    check_unpacked(f"{path}: {key!r}", member.file_size, member.compress_size)
    with archive.zip.open(member) as file:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}
        shape, _, dtype = getattr(np.lib.format, readers.get(version, readers[2, 0]))(file)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(
            f"its header asks for {math.prod(shape) * dtype.itemsize:,} bytes and it holds "
            f"{member.file_size:,}"
        )


def _read(path, images, labels, reading=None):
    with _load(path) as archive:
        names = _array(archive, path, NAMES_KEY) if NAMES_KEY in archive.files else None
        if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
            raise ValueError(f"{path}: `{NAMES_KEY}` must be a one-dimensional array of strings.")
        return _array(archive, path, images), _array(archive, path, labels), names


def _array(archive, path, key):
    try:
        check_array_size(archive, path, key)
        return np.asarray(archive[key])
    except UNREADABLE as error:
        raise ValueError(f"{path}: {key!r} cannot be read ({error}).") from None
