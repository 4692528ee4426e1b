"""Integrated gradients and Grad-CAM against NumPy, and the explanations of a trained network."""

import types

import keras
import numpy as np
import pytest
from keras import layers

import deepapps
from deepapps.data.images.load import load_images
from deepapps.inference.image_explanation import explain_image, grad_cam, integrated_gradients
from deepapps.inference.predictor import Predictor
from deepapps.networks import IMAGE_NETWORKS as NETWORKS
from deepapps.tasks.image_classification import ImageSettings


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small Run on the sample, loaded from its folder."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    deepapps.mnist_classifier(network="mlp", units=32, epochs=2, output=folder, progress=False)
    return deepapps.load_run(folder)


@pytest.fixture(scope="module")
def digits():
    """Test images of the sample, `(20, 28, 28, 1)`."""
    return load_images("sample")[0].test[np.arange(20)][0]


def network(name, shape=(28, 28, 1)):
    return NETWORKS[name](ImageSettings(network=name, filters=4, units=8), shape, 10)


def correlation(first, second):
    """The rank correlation (Spearman) of two maps."""
    return np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1]


def test_a_linear_network_is_explained_exactly():
    inputs = keras.Input((3, 2, 1))
    model = keras.Model(
        inputs, layers.Dense(4, bias_initializer="normal")(layers.Flatten()(inputs))
    )
    weights, _ = model.get_weights()  # (6, 4)
    image, baseline = np.random.default_rng(0).uniform(0, 255, (2, 3, 2, 1)).astype("float32")
    for output in range(4):
        found = integrated_gradients(model, image, output, baseline, steps=3)
        np.testing.assert_allclose(
            found, (image - baseline) * weights[:, output].reshape(3, 2, 1), rtol=1e-4
        )
        scores = model(np.stack([image, baseline])).numpy()[:, output]
        assert found.sum() == pytest.approx(scores[0] - scores[1], rel=1e-4)


def test_integrated_gradients_of_a_curved_network_equal_numpy():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(7, "tanh")(inputs)))
    first, first_bias, second, _ = (weight.astype(float) for weight in model.get_weights())
    x = np.random.default_rng(1).normal(size=5)
    total = np.zeros(5)
    for place in (np.arange(20) + 0.5) / 20:
        slope = 1 - np.tanh(place * x @ first + first_bias) ** 2  # (7,)
        total += first @ (slope * second[:, 2])
    found = integrated_gradients(model, x, 2, steps=20)
    np.testing.assert_allclose(found, x * total / 20, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_integrated_gradients_are_complete(name, digits):
    explained = explain_image(network(name), digits[0], [str(c) for c in range(10)])
    difference = explained.score - explained.baseline_score
    assert abs(difference) > 1e-3
    assert explained.integrated_gradients.sum() == pytest.approx(difference, rel=0.03)


def test_grad_cam_of_a_mean_over_all_places_equals_numpy():
    """With a dense layer on the means the weight of a channel is that of the dense layer, over
    the places.
    """
    inputs = keras.Input((8, 6, 3))
    maps = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(5, 3)(inputs)))
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(maps)))
    image = np.random.default_rng(2).uniform(0, 255, (8, 6, 3))
    activations = keras.Model(inputs, maps)(image[None]).numpy()[0]  # (6, 4, 5)
    for output in range(4):
        expected = np.maximum(activations @ model.get_weights()[-2][:, output], 0)
        resized = keras.ops.image.resize(expected[..., None], (8, 6)).numpy()[..., 0]
        found = grad_cam(model, image, output)
        np.testing.assert_allclose(found * resized.max(), resized, rtol=1e-3, atol=1e-3)
        assert found.max() == pytest.approx(1) or not expected.any()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_explained(name, digits):
    explained = explain_image(network(name), digits[1], [str(c) for c in range(10)])
    assert explained.integrated_gradients.shape == (28, 28, 1)
    assert np.abs(explained.integrated_gradients).max() > 0
    if name == "mlp":
        assert explained.grad_cam is None
    else:
        assert explained.grad_cam.shape == (28, 28) and explained.grad_cam.min() >= 0
        assert explained.grad_cam.max() <= 1


def test_further_heads_and_frozen_weights_and_half_precision_do_not_matter(digits):
    names = [str(c) for c in range(10)]
    plain = network("lenet")
    expected = explain_image(plain, digits[0], names, "3")
    middle = next(
        layer.output for layer in plain.layers if isinstance(layer, layers.AveragePooling2D)
    )
    head = layers.Dense(10)(layers.Flatten()(layers.Conv2D(3, 1)(middle)))
    two_heads = keras.Model(plain.inputs, [plain.output, head])
    two_heads.trainable = False
    found = explain_image(two_heads, digits[0], names, "3")
    np.testing.assert_allclose(found.grad_cam, expected.grad_cam, atol=1e-5)
    np.testing.assert_allclose(found.integrated_gradients, expected.integrated_gradients, atol=1e-5)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = network("lenet")
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(plain.get_weights())
    found = explain_image(half, digits[0], names, "3")
    assert found.integrated_gradients.dtype == found.grad_cam.dtype == np.float32
    assert correlation(found.grad_cam.ravel(), expected.grad_cam.ravel()) > 0.98


def test_a_run_explains_its_answer_or_another_class(trained, digits):
    answer = trained.predict(digits[:1], probabilities=True)[0]
    explained = trained.explain(digits[0])
    assert explained.label == answer["label"] and explained.probability == max(
        explained.probabilities.values()
    )
    assert explained.probabilities == pytest.approx(answer["probabilities"], abs=1e-5)
    np.testing.assert_array_equal(explained.image, digits[0])
    other = trained.explain(digits[0, ..., 0], target=3 if answer["label"] != "3" else 4)
    assert other.label != answer["label"] and other.probability < explained.probability
    drawn = digits[0] > 0
    assert (
        correlation(other.integrated_gradients[drawn], explained.integrated_gradients[drawn]) < 0.5
    )


def test_random_weights_give_another_map(trained, digits):
    """The sanity check of Adebayo et al. (2018): a map of what the network has learnt must not
    survive.
    """
    keras.utils.set_random_seed(1)  # 0 would give what the training began with
    random = trained.task.network()
    found = []
    for image in digits:
        explained = trained.explain(image)
        other = trained.task.explain(Predictor(random), image, target=explained.label)
        drawn = image > 0
        found.append(
            correlation(explained.integrated_gradients[drawn], other.integrated_gradients[drawn])
        )
    assert abs(np.mean(found)) < 0.3
    again = trained.explain(image).integrated_gradients
    np.testing.assert_allclose(again, explained.integrated_gradients, atol=1e-5)


def test_what_cannot_be_explained(trained, digits, tmp_path):
    for mistake, words in (
        ({"one_input": digits[:2]}, "One image is explained at a time. Received: 2"),
        ({"one_input": digits[0], "target": "seven"}, "Unknown target 'seven'"),
        ({"one_input": tmp_path / "none.png"}, "none.png: no such file"),
        ({"one_input": digits[0] / 255}, "Images must be uint8"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            trained.explain(**mistake)
        assert "\n" not in str(error.value)
    explained = trained.explain(digits[0])
    with pytest.raises(ValueError, match=r"written as \.png here\. Received: .*why\.html"):
        explained.plot(tmp_path / "why.html")
    with pytest.raises(ValueError, match="'Task' cannot explain"):
        deepapps.Task().explain(None, digits[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture(channels, tmp_path):
    rng = np.random.default_rng(0)
    explained = types.SimpleNamespace(
        image=rng.integers(0, 256, (20, 30, channels), np.uint8),
        label="a rather long name of a class $x",
        probability=0.25,
        probabilities={"a rather long name of a class $x": 0.25, "b": 0.75},
        integrated_gradients=np.zeros((20, 30, channels))
        if channels == 1
        else rng.normal(size=(20, 30, 3)),
        grad_cam=None if channels == 1 else rng.uniform(size=(20, 30)),
    )
    from deepapps.reporting.plots import plot_explanation

    plot_explanation(explained, tmp_path / "new" / "why.PNG")
    pixels = keras.utils.load_img(tmp_path / "new" / "why.PNG")
    assert pixels.width == (960 if channels == 1 else 1440) and np.asarray(pixels).std() > 5
