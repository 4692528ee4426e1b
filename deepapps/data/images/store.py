"""Images in memory, on disk, or decoded when they are asked for, behind one way to index them."""

import concurrent.futures
import contextlib
import functools
import hashlib
import math
import os
import pathlib

import numpy as np

from deepapps.data.images.files import read_image
from deepapps.data.source import ArraySource
from deepapps.files import read_json, write_atomically, write_json

IN_MEMORY_BYTES = 2**30  # decoded images up to here are held in memory
CHUNK = 256  # images decoded at a time


class FileImages:
    """Images in files, decoded when they are asked for; looks like an array uint8 `(N, H, W, C)`.

    Args:
        paths: The N files.
        shape: `(H, W, C)` that they are fitted into.
        resize, bits: As in `Reading`.
    """

    def __init__(self, paths, shape, resize, bits):
        self._paths, self._resize, self._bits = paths, resize, bits
        self.shape = (len(paths), *shape)

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, indices):
        read = functools.partial(
            read_image, shape=self.shape[1:], resize=self._resize, bits=self._bits
        )
        return np.stack(list(threads().map(read, [self._paths[index] for index in indices])))


class ImageRows:
    """Rows of one or several arrays of images, none of which need fit into memory.

    Args:
        arrays: Arrays `(N, H, W, C)`, or what can be indexed like one by an array of indices.
        places: `(M, 2)`: for each of the M rows the number of its array and its index there. None:
            all.
    """

    ndim, dtype = 4, np.dtype(np.uint8)

    def __init__(self, arrays, places=None):
        self._arrays = arrays
        numbered = [
            np.stack([np.full(len(array), number), np.arange(len(array))], -1)
            for number, array in enumerate(arrays)
        ]
        self._places = np.concatenate(numbered) if places is None else places
        self.shape = (len(self._places), *arrays[0].shape[1:])

    def __len__(self):
        return len(self._places)

    def __getitem__(self, indices):
        places = self._places[indices]
        rows = np.empty((len(places), *self.shape[1:]), np.uint8)
        for number, array in enumerate(self._arrays):
            here = places[:, 0] == number
            if here.any():
                rows[here] = array[places[here, 1]]
        return rows

    def take(self, indices):
        """The rows with these indices, without reading them."""
        return ImageRows(self._arrays, self._places[indices])


class ImageSource:
    """A source of images that do not fit into memory: `ImageRows` and their targets, int32
    `(N,)`.
    """

    def __init__(self, images, targets):
        self._images, self.targets = images, targets

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, indices):
        return self._images[indices], self.targets[indices]


def image_source(parts, targets):
    """The source of the images of one or several sets, one after the other, and their targets."""
    if all(isinstance(images, np.ndarray) for images in parts):
        return ArraySource(parts[0] if len(parts) == 1 else np.concatenate(parts), targets)
    return ImageSource(parts[0] if len(parts) == 1 else ImageRows(parts), targets)


def take(images, indices):
    """Rows of an array, or of `ImageRows`."""
    return images[indices] if isinstance(images, np.ndarray) else images.take(indices)


def threads():
    """The threads that decode images: as many as there are cores."""
    return _threads(os.getpid())  # a forked process has none of its parent's


@functools.cache
def _threads(process):
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "images")


@contextlib.contextmanager
def image_array(shape, path=None):
    """Yields an array uint8 `(N, H, W, C)` to be filled: in memory, or on disk.

    Args:
        shape: `(N, H, W, C)`.
        path: The .npy file to write, which appears when the block has ended. None: memory.
    """
    if path is None:
        yield np.empty(shape, np.uint8)
        return
    with write_atomically(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        yield array
        array.flush()


def cached(make, folder, name, *valid_for):
    """Images and what is known of them, from a cache folder; made and kept there where they are not
    yet.

    Args:
        make: Called with the .npy file to write, or with None; returns the images and a dict for
            JSON.
        folder: The cache folder. None: nothing is kept.
        name: Begins the names of the files.
        valid_for: What the images depend on: where it differs, they are made anew.
    Returns: the images, an array or `ImageRows`, and the dict.
    """
    if folder is None:
        return make(None)
    digest = hashlib.blake2b(repr(valid_for).encode(), digest_size=8).hexdigest()
    array, about = (
        pathlib.Path(folder).expanduser() / f"{name}-{digest}{end}" for end in (".npy", ".json")
    )
    if about.exists() and array.exists():
        return opened(array), read_json(about)
    images, found = make(array)
    write_json(about, found)
    return images, found


def opened(path):
    """The images of a .npy file: in memory where they fit, else read from disk when asked for."""
    array = np.load(path, mmap_mode="r")
    return np.array(array) if fits_memory(array.shape) else ImageRows([array])


def fits_memory(shape):
    """Whether images of this shape, `(N, H, W, C)`, are held in memory."""
    return math.prod(shape) <= IN_MEMORY_BYTES
