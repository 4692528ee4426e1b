"""Pooling, the blocks of a Transformer, and positions, where they are odd."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepapps import layers


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def test_pooling_takes_the_mask_of_its_inputs_and_passes_none_on():
    embedding, layer = keras.layers.Embedding(11, 7, mask_zero=True), layers.AttentionPooling()
    pooled, weights = layer(
        embedding(np.array([[1, 2, 0], [0, 0, 0]])), return_attention_scores=True
    )
    np.testing.assert_array_equal(weights > 0, [[True, True, False], [False] * 3])
    assert getattr(pooled, "_keras_mask", None) is None
    assert layer.get_weights()[0].shape == (7, 7)


@pytest.mark.parametrize("kind", [layers.TransformerEncoder, layers.TransformerDecoder])
def test_blocks_of_a_transformer_pass_their_mask_on(kind):
    layer = kind(2, 13)
    embedding, tokens = (
        keras.layers.Embedding(11, 6, mask_zero=True),
        np.array([[1, 2, 3, 0], [4, 0, 0, 0]]),
    )
    output = layer(embedding(tokens))
    np.testing.assert_array_equal(output._keras_mask, tokens > 0)
    shorter = layer(embedding(tokens[:1, :3]))
    np.testing.assert_allclose(output[:1, :3], shorter, atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_decoder_with_a_cache_equals_the_whole_call(norm_first):
    """A prompt of three positions, then one by one."""
    layer = layers.TransformerDecoder(
        2, 13, norm_first=norm_first, position_encoding=layers.RotaryPositions()
    )
    inputs, memory = normal(2, 5, 12), normal(2, 3, 11)
    mask = np.array([[True, True, False], [False, True, True]])
    whole, weights = layer(inputs, memory, memory_mask=mask, return_attention_scores=True)
    cache = layer.initial_cache(2, 5, memory, mask)
    parts = []
    for start, end in ((0, 3), (3, 4), (4, 5)):
        part, read, cache = layer(
            inputs[:, start:end],
            cache=cache,
            cache_index=start,
            memory_mask=mask,
            return_attention_scores=True,
        )
        parts.append(part)
        np.testing.assert_allclose(read, weights[:, :, start:end], atol=1e-5)
    np.testing.assert_allclose(tf.concat(parts, 1), whole, atol=1e-5)


def test_a_decoder_without_a_memory_is_causal():
    layer, inputs = layers.TransformerDecoder(2, 13), normal(2, 5, 12)
    whole = layer(inputs)
    np.testing.assert_allclose(layer(inputs[:, :3]), whole[:, :3], atol=1e-5)
    cache, parts = layer.initial_cache(2, 5), []
    for now in range(5):
        part, cache = layer(inputs[:, now : now + 1], cache=cache, cache_index=now)
        parts.append(part)
    np.testing.assert_allclose(tf.concat(parts, 1), whole, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [layers.SinusoidalPositions, lambda: layers.LearnedPositions(9)],
    ids=["sinusoidal", "learned"],
)
def test_positions_go_on_from_a_start(make):
    layer, inputs = make(), normal(2, 5, 7)
    np.testing.assert_allclose(layer(inputs[:, 3:], start=3), layer(inputs)[:, 3:], atol=1e-6)
    np.testing.assert_allclose(
        layer(inputs[:, 3:], start=tf.constant(3)), layer(inputs)[:, 3:], atol=1e-6
    )


def test_rotary_products_depend_on_the_distance_alone():
    layer, query, key = layers.RotaryPositions(), normal(1, 1, 8), normal(1, 1, 8, seed=1)

    def product(first, second):
        return float(
            tf.reduce_sum(layer(query, positions=[first]) * layer(key, positions=[second]))
        )

    assert product(2, 5) == pytest.approx(product(12, 15), abs=1e-4)
    assert product(2, 5) != pytest.approx(product(2, 6), abs=1e-4)


def test_dropout_of_a_transformer_is_off_at_inference():
    layer, inputs = layers.TransformerEncoder(2, 13, dropout=0.5, seed=3), normal(2, 5, 6)
    np.testing.assert_array_equal(layer(inputs), layer(inputs, training=False))
    assert not np.allclose(layer(inputs), layer(inputs, training=True))
