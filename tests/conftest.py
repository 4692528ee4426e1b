"""Two logical CPU devices and a seed for every test."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from commands import some_digits
from image_files import write_idx


@pytest.fixture(scope="session", autouse=True)
def devices():
    import deepapps

    deepapps.use_devices(2)


@pytest.fixture(autouse=True)
def seed():
    import keras

    keras.utils.set_random_seed(1)


@pytest.fixture(scope="session")
def idx(tmp_path_factory):
    """A folder of idx files with 400 digits."""
    return write_idx(tmp_path_factory.mktemp("idx"), *some_digits())
