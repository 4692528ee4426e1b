"""Losses by hand, and against Keras's."""

import keras
import numpy as np
import pytest

from deepapps.metrics.losses import all_labels_right, smoothed, smoothed_tokens

LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], "float32"))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothed_cross_entropy(smoothing):
    targets = np.array([[1, 0, 0], [0, 1, 0]]) * (1 - smoothing) + smoothing / 3
    expected = -(targets * LOGITS).sum(axis=1)
    np.testing.assert_allclose(smoothed(smoothing)(np.array([0, 1]), LOGITS), expected, rtol=1e-5)


def test_many_labels():
    targets = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], "float32")
    logits = np.array([[2.0, -1.0, 0.5], [-3.0, 0.1, -1.0]], "float32")
    likelihood = np.log(1 / (1 + np.exp(-np.where(targets > 0, logits, -logits))))
    np.testing.assert_allclose(
        smoothed(0.0, multi_label=True)(targets, logits), -likelihood.mean(axis=1), rtol=1e-5
    )
    assert np.asarray(all_labels_right(targets, logits)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_smoothed_tokens_is_the_cross_entropy_of_smoothed_targets(label_smoothing):
    random = np.random.default_rng(0)
    targets, logits = (
        random.integers(0, 11, (2, 5)),
        random.normal(size=(2, 5, 11)).astype("float32") * 3,
    )
    expected = keras.losses.categorical_crossentropy(
        keras.ops.one_hot(targets, 11), logits, from_logits=True, label_smoothing=label_smoothing
    )
    np.testing.assert_allclose(
        smoothed_tokens(label_smoothing)(targets, logits), expected, rtol=1e-5
    )
