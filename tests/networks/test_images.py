"""The networks for images."""

import keras
import numpy as np
import pytest

from deepapps.metrics.heads import main_output
from deepapps.metrics.losses import cross_entropy
from deepapps.networks import IMAGE_NETWORKS as NETWORKS
from deepapps.tasks.image_classification import ImageSettings


@pytest.mark.parametrize("shape", [(28, 28, 1), (12, 13, 3), (97, 61, 3)], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_from_any_shape_to_logits(name, shape):
    model = NETWORKS[name](ImageSettings(filters=4, units=5), shape, 7)
    assert name in ImageSettings.__dataclass_fields__["network"].metadata["choices"]
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype("uint8")
    outputs = model(images)
    assert outputs.shape == (3, 7) and keras.ops.dtype(outputs) == "float32"
    assert model.output_shape == (None, 7)


def test_parameters_by_hand():
    mlp = NETWORKS["mlp"](ImageSettings(), (28, 28, 1), 10)
    assert mlp.count_params() == 784 * 128 + 128 + 128 * 10 + 10
    cnn = NETWORKS["cnn"](ImageSettings(), (28, 28, 1), 10)
    convolutions = (25 * 1 + 1) * 48 + (9 * 48 + 1) * 48 + (9 * 48 + 1) * 96 + (9 * 96 + 1) * 192
    assert cnn.count_params() == convolutions + 4 * (48 + 96 + 192) + 192 * 10 + 10


def test_parameters_of_the_classic_networks_by_hand():
    counts = {
        name: make(ImageSettings(), (28, 28, 1), 10).count_params()
        for name, make in NETWORKS.items()
    }
    lenet = [(25 + 1) * 6, (25 * 6 + 1) * 16, (25 * 16 + 1) * 120, (120 + 1) * 84, (84 + 1) * 10]
    assert counts["lenet"] == sum(lenet) == 61_706
    norms = 4 * (24 + 64 + 96 + 96 + 64)
    alexnet = [25 * 24, 25 * 24 * 64, 9 * 64 * 96, 9 * 96 * 96, 9 * 96 * 64, norms]
    assert (
        counts["alexnet"] == sum(alexnet) + (16 * 64 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 10
    )
    widths = [1, 32, 32, 64, 64, 128, 128]
    vgg = [9 * one * two + 4 * two for one, two in zip(widths, widths[1:], strict=False)]
    assert counts["vgg"] == sum(vgg) + (9 * 128 + 1) * 256 + (256 + 1) * 10
    widths = [1, *[16] * 7, *[32] * 6, *[64] * 6]
    resnet = [9 * one * two + 4 * two for one, two in zip(widths, widths[1:], strict=False)]
    shortcuts = 16 * 32 + 4 * 32 + 32 * 64 + 4 * 64
    assert counts["resnet"] == sum(resnet) + shortcuts + (64 + 1) * 10


def test_parameters_of_googlenet_by_hand():
    def parameters(filters, channels, stem_channels, classes):
        widths = [[w * filters // 64 for w in block] for block in PAPER]
        total = 9 * stem_channels * filters + 4 * filters
        before = filters
        for one, narrow_three, three, narrow_five, five, pooled in widths:
            kernels = before * (one + narrow_three + narrow_five + pooled)
            kernels += 9 * narrow_three * three + 25 * narrow_five * five
            total += kernels + 4 * (one + narrow_three + three + narrow_five + five + pooled)
            before = one + three + five + pooled
        assert before == channels
        return total + (channels + 1) * classes

    whole = NETWORKS["googlenet"](ImageSettings(filters=64), (32, 32, 3), 1000)
    assert whole.count_params() == parameters(64, 1024, 3, 1000)
    quarter = NETWORKS["googlenet"](ImageSettings(), (28, 28, 1), 10)
    assert quarter.count_params() == parameters(16, 256, 1, 10)


# Table 1 of Szegedy et al. 2014: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
PAPER = [
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
]


def test_auxiliary_heads_learn_and_do_not_answer():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype("uint8")
    targets = np.array([0, 1, 2, 3])
    model = NETWORKS["googlenet"](ImageSettings(auxiliary=True), (28, 28, 1), 10)
    outputs = model(images, training=False)
    assert [tuple(head.shape) for head in outputs] == [(4, 10)] * 3
    losses = [
        keras.losses.sparse_categorical_crossentropy(targets, head, from_logits=True)
        for head in outputs
    ]
    expected = losses[0] + 0.3 * (losses[1] + losses[2])
    np.testing.assert_allclose(cross_entropy(targets, outputs), expected, rtol=1e-6)
    np.testing.assert_array_equal(main_output(outputs), outputs[0])


def test_depth_of_a_resnet_is_that_of_the_paper():
    for depth, count in ((3, 20), (9, 56)):
        model = NETWORKS["resnet"](ImageSettings(depth=depth), (32, 32, 3), 10)
        kernels = [w for w in model.weights if w.name == "kernel" and w.shape[:2] != (1, 1)]
        assert len(kernels) == count


def test_mlp_has_no_dropout_unless_asked():
    images = np.full((1, 28, 28, 1), 200, "uint8")
    for dropout, same in ((None, True), (0.5, False)):
        model = NETWORKS["mlp"](ImageSettings(dropout=dropout), (28, 28, 1), 10)
        outputs = [keras.ops.convert_to_numpy(model(images, training=True)) for _ in range(2)]
        assert np.array_equal(*outputs) == same


@pytest.mark.parametrize(
    "name, side", [("cnn", 8), ("alexnet", 8), ("lenet", 12), ("vgg", 6), ("googlenet", 8)]
)
def test_images_too_small(name, side):
    with pytest.raises(
        ValueError, match=rf"at least {side}x{side} pixels. Received: \({side - 1}, 28, 1\)"
    ):
        NETWORKS[name](ImageSettings(), (side - 1, 28, 1), 10)


def test_networks_work_in_plain_keras_fit(tmp_path):
    model = NETWORKS["cnn"](ImageSettings(filters=4), (12, 12, 1), 3)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (32, 12, 12, 1)).astype("uint8"),
        random.integers(0, 3, 32),
    )
    history = model.fit(images, labels, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6
    )
