"""The layers on token numbers: which tokens they change, which runs share a vector."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepapps.layers import NGramEmbedding, TokenDropout

TOKENS = np.random.default_rng(0).integers(2, 500, (7, 11)).astype("int32")


def test_token_dropout_makes_some_tokens_unknown_in_training_alone():
    layer = TokenDropout(0.3, seed=1)
    inputs = np.tile(TOKENS, (30, 1))
    inputs[:, 9:] = 0
    dropped = np.asarray(layer(inputs, training=True))
    assert dropped.dtype == inputs.dtype
    changed = dropped != inputs
    assert (dropped[changed] == 1).all() and not changed[:, 9:].any()
    assert 0.27 < changed[:, :9].mean() < 0.33
    np.testing.assert_array_equal(layer(inputs), inputs)
    assert not np.array_equal(layer(inputs, training=True), dropped)


def test_a_run_has_the_same_vector_wherever_it_stands():
    layer = NGramEmbedding(3, 5)
    one, other = np.array([[7, 8, 9, 4]], "int32"), np.array([[2, 3, 7, 8, 9, 0]], "int32")
    np.testing.assert_allclose(layer(one)[:, 1], layer(other)[:, 3])
    assert np.abs(layer(one)[:, 0] - layer(other)[:, 2]).max() > 1e-3, (
        "3 comes before there, nothing here"
    )
    assert np.abs(layer(one)[:, 2] - layer(other)[:, 4]).max() > 1e-3, (
        "4 comes after here, nothing there"
    )
    np.testing.assert_allclose(layer(other[:, :5]), layer(other)[:, :5], rtol=1e-6)


def test_each_length_has_vectors_of_its_own_and_runs_are_spread():
    layer = NGramEmbedding(4, 5, buckets=1024)
    places = np.asarray(
        layer.places(np.random.default_rng(1).integers(2, 90, (400, 20)).astype("int32"))
    )
    for index in range(3):
        rows = places[..., index]
        assert rows.min() >= index * 1024 and rows.max() < (index + 1) * 1024
        assert len(np.unique(rows)) > 1000


@pytest.mark.parametrize("make", [lambda: NGramEmbedding(3, 5, 64), lambda: TokenDropout(0.2)])
def test_saved_compiled_and_symbolic_alike(make, tmp_path):
    layer = make()
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, layer(inputs))
    expected = model(TOKENS)
    assert model.output_shape[1:] == (None, *expected.shape[2:])
    np.testing.assert_array_equal(tf.function(layer, jit_compile=True)(TOKENS), expected)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(TOKENS), expected
    )


@pytest.mark.parametrize("arguments", [(1, 5), (3, 0), (3, 5, 100), (3, 5, 1)])
def test_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match="must be"):
        NGramEmbedding(*arguments)


@pytest.mark.parametrize("rate", [-0.1, 1, None])
def test_a_rate_out_of_range(rate):
    with pytest.raises(ValueError, match="`rate` must be at least 0 and less than 1"):
        TokenDropout(rate)
