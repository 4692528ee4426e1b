"""Small images in the files that tests read."""

import gzip

import numpy as np


def digits(count, classes=5, shape=(7, 11), seed=0):
    """Random images and labels that hold every class."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, *shape), "uint8"), (np.arange(count) % classes).astype(
        "uint8"
    )


def write_idx(folder, images, labels, part="train", mark="-", end=""):
    """Writes idx files into a folder, which it returns."""
    folder.mkdir(exist_ok=True)
    for kind, array in (("images", images), ("labels", labels)):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(
            size.to_bytes(4, "big") for size in array.shape
        )
        content = header + array.tobytes()
        path = folder / f"{part}-{kind}{mark}idx{array.ndim}-ubyte{end}"
        path.write_bytes(gzip.compress(content) if end else content)
    return folder


def write_npz(folder, name="digits.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name
