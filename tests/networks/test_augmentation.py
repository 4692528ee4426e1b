"""Augmentation of images: what each preset keeps, and how it mixes targets."""

import keras
import numpy as np
import pytest

import deepapps
from deepapps.data.images.load import LearnedImages
from deepapps.metrics.losses import cross_entropy, is_right
from deepapps.networks import AUGMENTATIONS as PRESETS
from deepapps.networks.augmentation import Elastic, Mixing, light, on_pairs
from deepapps.tasks.image_classification import (
    Image,
    ImageSettings,
    Mnist,
    MnistSettings,
)


def squares(count=40):
    images = np.zeros((count, 28, 28, 1), "uint8")
    images[:, 9:19, 9:19] = 255
    return images


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_change_each_image_in_its_own_way_and_keep_the_range(preset):
    images, targets = squares(), np.arange(40) % 3
    changed, shares = map(np.asarray, on_pairs(PRESETS[preset](3))(images, targets))
    assert changed.shape == images.shape and changed.min() >= -0.001 and changed.max() <= 255.001
    alike = 8 if preset == "photos" else 0  # CutMix may put the whole of another image in
    assert len({image.tobytes() for image in changed}) >= 40 - alike
    one_hot = np.eye(3)[targets]
    shares = shares if preset == "photos" else one_hot
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares == one_hot).all(axis=1).mean() > 0.3, "some images stay unmixed"


def test_light_changes_are_small():
    images = squares()
    changed = keras.ops.convert_to_numpy(light(10)(images, training=True))
    assert np.abs(changed.mean(axis=(1, 2, 3)) / images.mean() - 1).max() < 0.3
    rows = (changed[..., 0].sum(axis=2) * np.arange(28)).sum(axis=1) / changed.sum(axis=(1, 2, 3))
    assert np.abs(rows - 13.5).max() < 3


def test_elastic_without_magnitude_is_the_identity_and_with_it_bends():
    images = np.random.default_rng(0).uniform(0, 255, (3, 9, 13, 2)).astype("float32")
    np.testing.assert_allclose(Elastic(magnitude=0)(images, training=True), images, atol=1e-3)
    np.testing.assert_array_equal(Elastic()(images), images)
    bent = np.asarray(Elastic(magnitude=0.05)(images, training=True))
    assert np.abs(bent - images).mean() > 5


def test_elastic_takes_no_pixel_from_another_image():
    images = np.stack([np.full((8, 8, 1), value, "float32") for value in (0, 100, 0)])
    bent = np.asarray(Elastic(magnitude=0.5, seed=1)(images, training=True))
    assert bent[[0, 2]].max() == 0 and 0 < bent[1].mean() < 100


def test_mixing_shares_are_those_of_the_pixels():
    """Images of one brightness a class: the mean brightness of a mixture tells the shares."""
    targets = np.arange(60) % 2
    images = np.broadcast_to(200.0 * targets[:, None, None, None], (60, 64, 64, 1)).astype(
        "float32"
    )
    mixing = Mixing(keras.layers.Identity(), 2, mixup=0.5, cutmix=0.5, seed=3)
    changed, shares = map(np.asarray, mixing(images, targets=targets, training=True))
    np.testing.assert_allclose(changed.mean(axis=(1, 2, 3)) / 200, shares[:, 1], atol=0.05)
    assert ((shares > 0.01) & (shares < 0.99)).any(axis=1).sum() > 10
    same, plain = mixing(images, targets=targets)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(plain, np.eye(2)[targets])


def test_loss_and_accuracy_of_shares_equal_those_of_indices_where_nothing_is_mixed():
    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(9, 4)).astype("float32"), random.integers(0, 4, 9)
    shares = np.eye(4, dtype="float32")[targets]
    np.testing.assert_allclose(
        cross_entropy(shares, logits), cross_entropy(targets, logits), rtol=1e-5
    )
    np.testing.assert_array_equal(is_right(shares, logits), is_right(targets, logits))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log(probabilities[np.arange(9), targets])
    np.testing.assert_allclose(cross_entropy(targets, logits), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "task, shape, preset",
    [
        (Mnist(), (28, 28, 1), "light"),
        (Image(ImageSettings(data="x")), (32, 32, 3), "photos"),
        (Image(ImageSettings(data="x", augmentation="digits")), (32, 32, 3), "digits"),
        (Mnist(MnistSettings(network="mlp")), (28, 28, 1), None),
        (Mnist(MnistSettings(network="mlp", augment=True)), (28, 28, 1), "light"),
        (Mnist(MnistSettings(network="mlp", augmentation="digits")), (28, 28, 1), "digits"),
        (Image(ImageSettings(data="x", augment=False, augmentation="photos")), (28, 28, 3), None),
    ],
)
def test_default_preset(task, shape, preset):
    task.learned = LearnedImages(["a", "b"], shape)
    augmentation = task.augmentation()
    assert (augmentation and augmentation.name) == preset


def test_mixing_trains_and_resumes_exactly(tmp_path):
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 160)
    images = (random.integers(0, 100, (160, 8, 8, 3)) + 100 * targets[:, None, None, None]).astype(
        "uint8"
    )
    np.savez(tmp_path / "two.npz", x=images, y=targets)

    def train(name, epochs, **options):
        return deepapps.image_classifier(
            data=tmp_path / "two.npz",
            network="mlp",
            units=4,
            augmentation="photos",
            jit_compile=False,
            epochs=epochs,
            batch_size=16,
            learning_rate_schedule="constant",
            warmup=0,
            progress=False,
            output=tmp_path / name,
            **options,
        )

    whole = train("whole", 2)
    train("parts", 1)
    parts = train("parts", 2, resume=True)
    for one, two in zip(whole.model.get_weights(), parts.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert whole.metrics == parts.metrics
