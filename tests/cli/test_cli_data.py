"""Data that cannot be used, through the command line: exit status 2, one line, and nothing left
behind.
"""

import numpy as np
import pytest
from commands import QUICK, fails, some_digits
from image_files import write_idx


@pytest.fixture(scope="module")
def digits():
    return some_digits()


def empty(folder, images, labels):
    folder.mkdir()


def truncated(folder, images, labels):
    path = write_idx(folder, images, labels) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])


def truncated_gz(folder, images, labels):
    path = write_idx(folder, images, labels, end=".gz") / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])


def corrupt(folder, images, labels):
    path = write_idx(folder, images, labels) / "train-labels-idx1-ubyte"
    path.write_bytes(b"PNG" + path.read_bytes()[3:])


def corrupt_npz(folder, images, labels):
    path = folder.with_suffix(".npz")
    np.savez(path, x=images, y=labels)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def label_out_of_range(folder, images, labels):
    write_idx(folder, images, np.where(np.arange(len(labels)) == 7, 200, labels).astype("uint8"))


def one_class(folder, images, labels):
    write_idx(folder, images, np.full_like(labels, 3) * 0)


def other_test_classes(folder, images, labels):
    kept = labels < 5
    write_idx(folder, images[kept], labels[kept])
    write_idx(folder, images[-50:], labels[-50:], "t10k")


def few(folder, images, labels):
    write_idx(folder, images[:60], np.arange(60, dtype="uint8") % 2)


UNUSABLE = {
    empty: "is empty",
    truncated: "is cut short",
    truncated_gz: "cannot be read",
    corrupt: "is no idx file",
    corrupt_npz: "cannot be read as .npz",
    label_out_of_range: "label 200 at index 7",
    one_class: "two classes or more",
    other_test_classes: "no example in training",
    few: "`batch_size` must be at most the number of training examples",
}


@pytest.mark.parametrize("make", UNUSABLE, ids=lambda make: make.__name__)
def test_unusable_data_is_one_line_and_leaves_nothing(make, digits, tmp_path):
    data = make(tmp_path / "data", *digits) or tmp_path / "data"
    error = fails(2, *QUICK, "--data", data, "--output", tmp_path / "run", words=[UNUSABLE[make]])
    assert str(data) in error or make is few
    assert not (tmp_path / "run").exists()


def test_missing_data(tmp_path):
    command = (*QUICK, "--output", tmp_path / "run", "--data")
    fails(2, *command, "nowhere", words=["nowhere: no such file or folder"])
    fails(2, *command, tmp_path, words=["the folder is empty"])
    assert not list(tmp_path.iterdir())
