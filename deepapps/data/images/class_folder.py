"""Folders that hold one sub-folder of image files for each class."""

import contextlib
import functools
import hashlib
import logging
import os
import pathlib

import numpy as np
from rich.console import Console
from rich.progress import track

from deepapps.data.folders import few, files_below, files_in, labelled_folders, part_folders
from deepapps.data.images.files import FULL_BITS, bits_in, range_of_sizes, read_header, read_image
from deepapps.data.images.store import (
    CHUNK,
    FileImages,
    ImageRows,
    cached,
    fits_memory,
    image_array,
    opened,
    take,
    threads,
)

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
OWN_SIDE = 128  # images of one size up to here keep it
SIDE = 64  # others are fitted into a square of this side

_logger = logging.getLogger(__name__)


def class_folder_parts(folder):
    """Finds the classes of a folder.

    Args:
        folder: Path of a folder with one sub-folder for each class, which holds images (PNG, JPEG,
            WebP, BMP) directly or further down; or of a folder with such folders `train` and, if
            you like, `validation` and `test`; see `part_folders`.
    Returns: `{"train": read, ...}`; `read(reading)` returns what `read_files` does.
    """
    return {part: functools.partial(_read, path) for part, path in part_folders(folder).items()}


def _read(folder, reading):
    names = labelled_folders(folder)
    paths, labels = _listed(folder, names)
    return read_files(folder, paths, labels, names, reading)


def read_files(where, paths, labels, names, reading):
    """Reads image files.

    Args:
        where: The folder or the table that names them; its name begins those in the cache.
        paths: The N files.
        labels: Their labels `(N,)`, indices into `names`.
        names: The names of the classes.
        reading: The `Reading`.
    Returns: images uint8 `(N, H, W, C)`, an array or `ImageRows`, the labels, the names of the
        classes, for each image bytes that stand for it, a note on the files, and the bits of their
        values.
    Raises: ValueError when a file cannot be read.
    """
    name = os.path.basename(os.path.abspath(where))
    make = functools.partial(_scanned, paths, reading)
    images, about = cached(
        make, reading.cache, name, *(_state_of(paths, reading) if reading.cache else ())
    )
    kept = _without_bad(about["bad"], len(paths), reading.skip_bad_files)
    for label, name in enumerate(names):
        if not np.any(labels[kept] == label):
            raise ValueError(f"{where}: none of the images of class {name} can be read.")
    if len(kept) < len(paths):
        images = take(images, kept)
    note = f"files of {about['sizes']} pixels"
    if about["bits"]:
        note += f", {about['bits']} bits a value"
    if about["bad"]:
        note += f", {len(about['bad'])} skipped"
        _logger.warning(
            "%s: skipped %d files; %s",
            where,
            len(about["bad"]),
            few([line for _, line in about["bad"]]),
        )
    keys = [bytes.fromhex(about["keys"][index]) for index in kept]
    return images, labels[kept], names, keys, note, about["bits"]


def _listed(folder, names):
    """The image files of each class, one class after the other, and their labels `(N,)`."""
    paths, others = [], files_in(folder)
    labels = []
    for label, name in enumerate(names):
        found = list(files_below(os.path.join(folder, name)))
        images = [path for path in found if path.lower().endswith(ENDINGS)]
        others += [path for path in found if not path.lower().endswith(ENDINGS)]
        if not images:
            raise ValueError(
                f"{os.path.join(folder, name)}: holds no images ({', '.join(ENDINGS)}). Each "
                f"sub-folder of {folder} is a class: add images, or take the sub-folder away."
            )
        paths += images
        labels += [label] * len(images)
    if others:
        _logger.warning(
            "%s: not used: %d files that are in no class, or no images by their names: %s",
            folder,
            len(others),
            few(others),
        )
    return paths, np.array(labels)


def _scanned(paths, reading, array_path):
    """Decodes every file once: to keep the images where they fit into memory or have a place on
    disk, else to know that they can be read.
    """
    headers = list(_each(read_header, paths, "looking at the images"))
    bad = {
        index: str(found) for index, found in enumerate(headers) if isinstance(found, ValueError)
    }
    kept = _without_bad(bad, len(paths), reading.skip_bad_files)
    headers = [headers[index] for index in kept]
    sizes = [(header.height, header.width) for header in headers]
    shape = reading.shape or _common_shape(headers, reading.size)
    bits = reading.bits or _common_bits([paths[index] for index in kept], headers)
    whole, keys = (len(paths), *shape), [""] * len(paths)
    keep = array_path or fits_memory(whole)
    with image_array(whole, array_path) if keep else contextlib.nullcontext() as array:
        read = functools.partial(
            _pixels_and_key, shape=shape, resize=reading.resize, bits=bits or FULL_BITS
        )
        for index, found in enumerate(_each(read, paths, "reading the images")):
            if isinstance(found, ValueError):
                bad[index] = str(found)
                continue
            pixels, keys[index] = found
            if keep:
                array[index] = pixels
        _without_bad(bad, len(paths), reading.skip_bad_files)
    if array_path:
        array = opened(array_path)
    images = (
        array if keep else ImageRows([FileImages(paths, shape, reading.resize, bits or FULL_BITS)])
    )
    sizes = range_of_sizes(sizes)
    return images, {"bad": list(bad.items()), "keys": keys, "sizes": sizes, "bits": bits}


def _state_of(paths, reading):
    """What the images of the files depend on."""
    stats = ((os.path.abspath(path), os.stat(path)) for path in paths if os.path.exists(path))
    files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    how = (reading.size, reading.resize, reading.shape, reading.skip_bad_files, reading.bits)
    return files, how


def _each(read, paths, description):
    """What `read` gives for each path, in their order, or the ValueError it raised; with a bar
    on a terminal.
    """

    def tried(path):
        try:
            return read(path)
        except ValueError as error:
            return error

    console = Console(stderr=True)
    hidden = not console.is_terminal
    chunks = range(0, len(paths), CHUNK)
    for start in track(chunks, description, console=console, transient=True, disable=hidden):
        yield from threads().map(tried, paths[start : start + CHUNK])


def _pixels_and_key(path, shape, resize, bits):
    pixels = read_image(path, shape, resize, bits=bits)
    return pixels, hashlib.blake2b(pathlib.Path(path).read_bytes(), digest_size=16).hexdigest()


def _without_bad(bad, count, skip):
    """The indices of the good files; ValueError for the first bad one where none may be skipped."""
    bad = dict(bad)
    if bad and not skip:
        others = f" (and {len(bad) - 1} more files like it)" if len(bad) > 1 else ""
        first = bad[min(bad)].removesuffix(".")
        raise ValueError(
            f"{first}{others}. Mend or delete it, or skip it: --skip-bad-files (skip_bad_files)."
        )
    if len(bad) == count:
        raise ValueError(f"{bad[0]} Nor can any other of the {count} files be read.")
    return np.array([index for index in range(count) if index not in bad], int)


def _common_bits(paths, headers):
    """The bits that the largest value of all files needs; None where none has more than 8."""
    deep = [path for path, header in zip(paths, headers, strict=True) if header.deep]
    found = _each(bits_in, deep, "looking at the values")
    return max((bits for bits in found if not isinstance(bits, ValueError)), default=None)


def _common_shape(headers, size):
    """The shape for images of such sizes: their own where it is one and small, else a square."""
    sizes = {(header.height, header.width) for header in headers}
    own = sizes.pop() if len(sizes) == 1 and max(next(iter(sizes))) <= OWN_SIDE else (SIDE, SIDE)
    channels = 1 if all(header.grey for header in headers) else 3
    return (*((size, size) if size else own), channels)
