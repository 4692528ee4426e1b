"""Data that claim more than they hold, or more than a machine can hold."""

import gzip
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest

from deepapps.data.images.files import read_header, read_image
from deepapps.data.images.idx import read_idx
from deepapps.data.npz import npz_parts


def npy_header(shape, dtype):
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "shape, dtype",
    [
        ((2**40,), "|u1"),
        ((2**200,), "<f8"),
        ((2**33, 8, 8), "|u1"),
        ((-1, 8), "|u1"),
        ((1,) * 70, "|u1"),
        ((2.5,), "|u1"),
        ((10,), "<U99999999"),
        ((10,), "|O"),
        ((10,), "no type"),
    ],
)
def test_an_npz_that_claims_more_than_it_holds(tmp_path, shape, dtype):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for key in "xy":
            archive.writestr(f"{key}.npy", npy_header(shape, dtype) + bytes(1000))
    with pytest.raises(ValueError, match="x.npz: 'x' cannot be read"):
        npz_parts(tmp_path / "x.npz")["train"]()


def test_an_npz_that_unpacks_to_gigabytes(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("x.npy", "w") as file:
            file.write(npy_header((2**28,), "|u1"))
            for _ in range(2**28 // 2**24):
                file.write(bytes(2**24))
        archive.writestr("y.npy", npy_header((4,), "|u1") + bytes(4))
    with pytest.raises(ValueError, match="x.npz: 'x'.*unpacks to over 100 times its size"):
        npz_parts(path)["train"]()
    np.savez_compressed(path, x=np.zeros((4, 2000, 2000), "uint8"), y=np.zeros(4, int))
    assert npz_parts(path)["train"]()[0].shape == (4, 2000, 2000)  # small, if well packed


@pytest.mark.parametrize("end", ["", ".gz"])
def test_an_idx_file_that_claims_more_than_it_holds(tmp_path, end):
    content = b"\0\0\x08\x03" + b"\xff" * 12 + bytes(100)
    path = tmp_path / f"x{end}"
    path.write_bytes(gzip.compress(content) if end else content)
    with pytest.raises(ValueError, match="is cut short: its header asks for 79228162458924105385"):
        read_idx(str(path), 3)


def test_an_idx_file_that_unpacks_to_gigabytes_is_read_as_far_as_its_header_says(tmp_path):
    header = b"\0\0\x08\x01" + (10).to_bytes(4, "big") + bytes(10)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(header) + gzip.compress(bytes(2**20)) * 5000)
    with pytest.raises(ValueError, match="has bytes after its end"):
        read_idx(str(path), 1)


def png(width, height, kind=2):
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(2**20)),
        b"IEND": b"",
    }
    chunks = (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 1), (12_000, 12_000), (0, 0)])
def test_an_image_of_too_many_pixels(tmp_path, size):
    path = tmp_path / "x.png"
    path.write_bytes(png(*size))
    with pytest.raises(ValueError, match=r"x.png: (cannot be read as|is not) an image"):
        read_image(path, (8, 8, 3))


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for read in (read_header, lambda path: read_image(path, (8, 8, 3))):
        with pytest.raises(ValueError, match=r"x.png: is no regular file"):
            read(tmp_path / "x.png")
