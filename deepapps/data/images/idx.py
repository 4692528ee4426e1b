"""MNIST-format idx files: folders of `train-images-idx3-ubyte[.gz]` and their like."""

import functools
import math
import os
import zlib

import numpy as np

from deepapps.files import open_data

IMAGES, LABELS = "images{}idx3-ubyte", "labels{}idx1-ubyte"


def idx_parts(folder):
    """Finds the idx files of a folder.

    Args:
        folder: Path of a folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, for
            a test part, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`; also
            `train-images.idx3-ubyte` and so on, each plain or with `.gz`.
    Returns: `{"train": read, "test": read}`, of these what is there; `read(reading)` returns
        images `(N, H, W)` and labels `(N,)`, both uint8, and None; such images need no `Reading`.
    Raises: ValueError when there are no idx files, or images without labels or labels without
        images.
    """
    try:
        names = set(os.listdir(folder))
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error.strerror}).") from None
    pairs = {"train": _pair(folder, names, "train"), "test": _pair(folder, names, "t10k")}
    parts = {part: functools.partial(_read_pair, *pair) for part, pair in pairs.items() if pair}
    if parts:
        return parts
    raise ValueError(
        f"{folder}: {'has no idx files' if names else 'the folder is empty'}. Looked for one "
        "sub-folder for each class, or for train-images-idx3-ubyte and train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (plain or .gz)."
    )


def read_idx(path, dimensions):
    """Reads one idx file of unsigned bytes.

    Args:
        path: The file; gunzipped where its name ends in `.gz`.
        dimensions: How many axes it must have: 3 for images, 1 for labels.
    Returns: a uint8 array with that many axes.
    Raises: ValueError when the file cannot be read, is no such idx file, or is too short or too
        long.
    """
    start = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])
    content = _content(path, start)
    if content[:4] != magic:
        raise ValueError(
            f"{path}: is no idx file of {dimensions} dimensions; it must begin with the bytes "
            f"{magic.hex()}. Found: {content[:4].hex() or 'nothing'}"
        )
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    expected = start + math.prod(shape)
    if len(content) < start or len(content) != expected:
        fault = "is cut short" if len(content) < max(start, expected) else "has bytes after its end"
        raise ValueError(
            f"{path}: {fault}: its header asks for {max(start, expected)} bytes and it holds "
            f"{len(content)}. Download or copy it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path, start):
    """The bytes of a file, as many as its header asks for, and one more if there is one."""
    try:
        with open_data(path) as file:
            header = file.read(start)
            sizes = [int.from_bytes(header[i : i + 4], "big") for i in range(4, start, 4)]
            return header + file.read(math.prod(sizes) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error}). Download or copy it again.") from None


def _pair(folder, names, prefix):
    """Paths of the images and the labels, or None where neither is there."""
    images, labels = (_find(names, f"{prefix}-{kind}") for kind in (IMAGES, LABELS))
    if images and labels:
        return os.path.join(folder, images), os.path.join(folder, labels)
    if images or labels:
        missing = f"{prefix}-{LABELS if images else IMAGES}".format("-")
        raise ValueError(
            f"{folder}: has {images or labels} but no {missing} (plain or .gz). Add the missing "
            "file."
        )
    return None


def _find(names, pattern):
    spellings = (pattern.format(mark) + end for mark in "-." for end in ("", ".gz"))
    return next((name for name in spellings if name in names), None)


def _read_pair(images, labels, reading=None):
    return read_idx(images, 3), read_idx(labels, 1), None
