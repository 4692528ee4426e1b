"""Two logical CPU devices and a seed for every test."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture(scope="session", autouse=True)
def devices():
    import deepapps

    deepapps.use_devices(2)


@pytest.fixture(autouse=True)
def seed():
    import keras

    keras.utils.set_random_seed(1)
