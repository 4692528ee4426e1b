"""A `keras.json` that says `channels_first` changes nothing."""

import keras
import numpy as np
import pytest

from deepapps.networks import AUGMENTATIONS, IMAGE_NETWORKS, SEQUENCE_NETWORKS
from deepapps.tasks.image_classification import ImageSettings
from deepapps.tasks.sequence_classification import SequenceSettings


@pytest.fixture(autouse=True)
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    assert keras.config.image_data_format() == "channels_first"
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", ["cnn", "lenet", "resnet"])
def test_networks_of_images_have_channels_last(name):
    network = IMAGE_NETWORKS[name](ImageSettings(network=name), (32, 28, 3), 5)
    assert network(np.zeros((2, 32, 28, 3), "float32")).shape == (2, 5)
    kernels = [weight.shape for weight in network.weights if len(weight.shape) == 4]
    assert kernels[0][2] == 3
    assert {getattr(layer, "data_format", "channels_last") for layer in network.layers} == {
        "channels_last"
    }


def test_convolutions_of_texts_have_channels_last():
    settings = SequenceSettings(network="cnn", units=8)
    network = SEQUENCE_NETWORKS["cnn"](settings, 3, vocabulary=20)
    assert network(np.ones((2, 7), "int32")).shape == (2, 3)


@pytest.mark.parametrize("name", ["digits", "photos"])
def test_augmentations_keep_the_shape(name):
    images, options = np.full((3, 16, 20, 3), 100, "float32"), {"training": True}
    if name == "photos":
        options["targets"] = np.array([0, 1, 0])
    changed = AUGMENTATIONS[name](2)(images, **options)
    assert (changed[0] if name == "photos" else changed).shape == (3, 16, 20, 3)
