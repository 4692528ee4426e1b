"""The losses that Keras has in other forms equal Keras's."""

import keras
import numpy as np
import pytest

from deepapps.losses import smoothed_tokens


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_smoothed_tokens_is_the_cross_entropy_of_smoothed_targets(label_smoothing):
    random = np.random.default_rng(0)
    targets, logits = random.integers(0, 11, (2, 5)), random.normal(size=(2, 5, 11)).astype("float32") * 3
    expected = keras.losses.categorical_crossentropy(
        keras.ops.one_hot(targets, 11), logits, from_logits=True, label_smoothing=label_smoothing
    )
    np.testing.assert_allclose(smoothed_tokens(label_smoothing)(targets, logits), expected, rtol=1e-5)
