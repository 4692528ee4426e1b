"""MNIST-format idx files: folders of `train-images-idx3-ubyte[.gz]` and their like."""

import functools
import logging
import math
import os
import re
import zlib

import numpy as np

from deepapps.files import open_data

NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?"
)
AXES = {"images": 3, "labels": 1}


def has_idx(folder):
    """Whether a folder holds idx files."""
    return bool(_found(folder))


def is_idx_file(path):
    """Whether a name is that of an idx file."""
    return bool(NAME.fullmatch(os.path.basename(path)))


def idx_parts(folder):
    """Finds the idx files of a folder.

    Args:
        folder: Path of a folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, for
            a test part, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` (or `test-`); also
            `train-images.idx3-ubyte` and so on, each plain or with `.gz`, in a folder of its own
            name, or with the name of a set before it, as `emnist-letters-train-images-idx3-ubyte`.
    Returns: `{"train": read, "test": read}`, of these what is there; `read(reading)` returns
        images `(N, H, W)` and labels `(N,)`, both uint8, and None; such images need no `Reading`.
    Raises: ValueError when there are no idx files, those of several sets, or images without labels
        or labels without images.
    """
    files = _found(folder)
    sets = sorted({name or "mnist" for name, _, _ in files})
    if len(sets) > 1:
        images = min(path for key, path in files.items() if key[1:] == ("train", "images"))
        raise ValueError(
            f"{folder}: holds the sets {', '.join(sets)}: name the training images of one, such as "
            f"--data {images}."
        )
    if files:
        return _parts_of(folder, files, next(iter(files))[0])
    raise ValueError(
        f"{folder}: {'has no idx files' if os.listdir(folder) else 'the folder is empty'}. Looked "
        "for one sub-folder for each class, or for train-images-idx3-ubyte and "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (plain or .gz)."
    )


def idx_file_parts(path):
    """The parts of the set that an idx file belongs to, as of `idx_parts`."""
    folder = os.path.dirname(path) or "."
    return _parts_of(folder, _found(folder), NAME.fullmatch(os.path.basename(path))["set"])


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


def _found(folder):
    """The idx files of a folder, `{(set, part, kind): path}`; the set is None without a name."""
    with os.scandir(folder) as entries:
        # a file comes before a folder of its name, as Kaggle packs both
        found = sorted(entries, key=lambda entry: (entry.is_dir(), entry.name))
    files = {}
    for entry in found:
        name, path = NAME.fullmatch(entry.name), entry.path
        if entry.is_dir():
            path = os.path.join(path, entry.name)
        if name and os.path.isfile(path):
            part = "train" if name["part"] == "train" else "test"
            files.setdefault((name["set"], part, name["kind"]), path)
    return files


def _parts_of(folder, files, name):
    """The parts of one set: those with images and labels."""
    parts = {}
    for part, spelling in (("train", "train"), ("test", "t10k" if name is None else "test")):
        images, labels = (files.get((name, part, kind)) for kind in AXES)
        if images and labels:
            parts[part] = functools.partial(_read_pair, images, labels, name or "")
        elif images or labels:
            kind = "labels" if images else "images"
            missing = f"{f'{name}-' if name else ''}{spelling}-{kind}-idx{AXES[kind]}-ubyte"
            raise ValueError(
                f"{folder}: has {os.path.basename(images or labels)} but no {missing} (plain or "
                ".gz). Add the missing file."
            )
    return parts


def _read_pair(images, labels, name, reading=None):
    pixels = read_idx(images, AXES["images"])
    if name.startswith("emnist"):
        logging.getLogger(__name__).warning("%s: turned upright: EMNIST stores columns.", images)
        pixels = np.ascontiguousarray(pixels.swapaxes(1, 2))
    return pixels, read_idx(labels, AXES["labels"]), None
