"""Attention where it is odd: windows, hard choices, dropout, coverage, masks that tensors carry."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from deepapps import layers


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


QUERY, VALUE = normal(2, 5, 7), normal(2, 5, 7, seed=1)


def weights_of(layer, query=QUERY, value=VALUE, **call):
    return np.asarray(layer(query, value, return_attention_scores=True, **call)[1])


def even(size, **options):
    """Attention with the weights `1 / size` or, with a bias, those that it gives."""

    class Even(layers.Attention):
        def score(self, query, key):
            return ops.zeros((*ops.shape(query)[:-1], ops.shape(key)[-2]))

    return Even(**options)


def gradients(layer, tensors, **call):
    """Of a projection of the context, for the tensors and the weights."""
    tensors = [tf.constant(tensor) for tensor in tensors]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        context = tf.reshape(layer(*tensors, **call), [-1])
        loss = tf.reduce_sum(context * tf.cos(tf.range(len(context), dtype=context.dtype)))
    return tape.gradient(
        loss, [*tensors, *[variable.value for variable in layer.trainable_variables]]
    )


def test_a_window_keeps_the_keys_near_the_query():
    weights = weights_of(layers.AdditiveAttention(3, sliding_window=2))
    near = np.abs(np.arange(5)[:, None] - np.arange(5)) < 2
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(near, weights.shape))
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)


def test_causal_attention_keeps_the_keys_up_to_the_query():
    weights = weights_of(layers.AdditiveAttention(3), use_causal_mask=True)
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(np.tri(5) > 0, weights.shape))


def test_window_causal_and_masks_work_together():
    mask = np.array([[True, False, True, True, False], [False] * 5])
    layer = layers.AdditiveAttention(3, sliding_window=3)
    weights = weights_of(layer, value_mask=mask, use_causal_mask=True)
    distance = np.arange(5)[:, None] - np.arange(5)
    np.testing.assert_array_equal(weights > 0, (distance >= 0) & (distance < 3) & mask[:, None])


def test_an_attention_mask_that_is_the_same_for_all_rows_of_the_batch():
    mask = np.random.default_rng(0).random((5, 5)) < 0.5
    layer = layers.AdditiveAttention(3)
    alike = weights_of(layer, attention_mask=np.stack([mask, mask]))
    np.testing.assert_array_equal(weights_of(layer, attention_mask=mask), alike)
    np.testing.assert_array_equal(weights_of(layer, attention_mask=mask[None]), alike)
    np.testing.assert_array_equal(weights_of(layer, attention_mask=mask.astype("int32")), alike)


def test_large_scores_do_not_overflow():
    layer = layers.DotProductAttention()
    context, weights = layer(QUERY * 1e4, VALUE * 1e4, return_attention_scores=True)
    assert np.isfinite(context).all()
    np.testing.assert_allclose(np.sum(weights, -1), 1, atol=1e-6)
    half = layers.DotProductAttention(dtype="mixed_float16")
    assert np.isfinite(half(QUERY * 50, VALUE * 50)).all()  # scores beyond 65504 would be infinite


def test_hard_attention_takes_the_best_at_inference():
    soft, hard = layers.ScaledDotProductAttention(), layers.ScaledDotProductAttention(hard=True)
    weights = weights_of(hard)
    np.testing.assert_array_equal(weights.argmax(-1), weights_of(soft).argmax(-1))
    np.testing.assert_array_equal(
        np.sort(weights, -1), np.broadcast_to([0, 0, 0, 0, 1.0], weights.shape)
    )
    np.testing.assert_allclose(hard(QUERY, VALUE), weights @ VALUE, atol=1e-6)


def test_hard_attention_samples_as_often_as_the_weights_say():
    soft, hard = (
        layers.ScaledDotProductAttention(),
        layers.ScaledDotProductAttention(hard=True, seed=5),
    )
    mask = np.array([[True, True, False, True, True]] * 2)
    query, value = np.repeat(QUERY, 1000, axis=0)[:, :2], np.repeat(VALUE, 1000, axis=0)
    masks = np.repeat(mask, 1000, axis=0)
    samples = weights_of(hard, query, value, value_mask=masks, training=True)
    np.testing.assert_allclose(samples.max(-1), 1, atol=1e-6)
    np.testing.assert_allclose(samples.sum(-1), 1, atol=1e-6)
    frequencies = samples.reshape(2, 1000, 2, 5).mean(1)
    np.testing.assert_allclose(frequencies, weights_of(soft, value_mask=mask)[:, :2], atol=0.06)
    assert not np.any(frequencies[:, :, 2])


def test_hard_attention_draws_anew_at_each_call():
    hard = even(5, hard=True, seed=5)
    assert not np.array_equal(weights_of(hard, training=True), weights_of(hard, training=True))


def test_hard_attention_has_the_gradient_of_the_soft_weights():
    soft, hard = (
        layers.ScaledDotProductAttention(),
        layers.ScaledDotProductAttention(hard=True, seed=5),
    )
    found = gradients(hard, [QUERY, VALUE], key=VALUE, training=True)[0]
    np.testing.assert_allclose(found, gradients(soft, [QUERY, VALUE], key=VALUE)[0], atol=1e-6)


def test_hard_attention_with_nothing_to_attend_to_gives_zeros():
    hard = layers.ScaledDotProductAttention(hard=True, seed=5)
    for training in (False, True):
        assert not np.any(weights_of(hard, value_mask=np.zeros((2, 5), "bool"), training=training))


def test_dropout_drops_at_its_rate_and_is_off_at_inference():
    layer, ones = even(50, dropout=0.3, seed=1), tf.eye(50, batch_shape=[2])
    context = np.asarray(layer(ones, ones, training=True)) * 50  # the weights after dropout
    assert np.mean(context == 0) == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(context[context > 0], 1 / 0.7, rtol=1e-5)
    np.testing.assert_allclose(layer(ones, ones), 1 / 50, rtol=1e-5)
    assert not np.array_equal(context, layer(ones, ones, training=True))


@pytest.mark.parametrize("options", [{}, {"block_size": 2}], ids=["whole", "blocks"])
def test_dropout_drops_the_same_for_the_gradient(options):
    """The gradient equals differences of calls that start from the same seed."""
    layer = layers.AdditiveAttention(3, dropout=0.5, seed=1, dtype="float64", **options)
    query, value = (tf.cast(tensor, "float64") for tensor in (QUERY, VALUE))
    layer(query, value)
    state, direction = (
        layer.seed_generator.state.numpy(),
        tf.cast(normal(2, 5, 7, seed=9), "float64"),
    )
    projection = tf.cast(normal(2, 5, 7, seed=3), "float64")

    def loss(query):
        layer.seed_generator.state.assign(state)
        return tf.reduce_sum(layer(query, value, training=True) * projection)

    with tf.GradientTape() as tape:
        tape.watch(query)
        total = loss(query)
    slope = tf.reduce_sum(tape.gradient(total, query) * direction)
    difference = (loss(query + 1e-6 * direction) - loss(query - 1e-6 * direction)) / 2e-6
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)


def test_blocks_of_a_layer_with_dropout_drop_different_weights():
    layer, ones = even(8, dropout=0.5, seed=1, block_size=2), tf.eye(8)[None]
    kept = np.asarray(layer(ones, ones, training=True))[0] > 0
    assert len({row.tobytes() for row in kept[::2]}) > 1


def test_blocks_with_masks_of_pairs_and_hard_choices():
    mask = np.random.default_rng(0).random((2, 5, 5)) < 0.6
    for attention_mask in (mask, mask[:1], mask[0]):
        whole, blocks = (
            layers.ScaledDotProductAttention(hard=True, sliding_window=3, block_size=size)
            for size in (None, 2)
        )
        call = {"attention_mask": attention_mask, "use_causal_mask": True}
        np.testing.assert_allclose(weights_of(blocks, **call), weights_of(whole, **call), atol=1e-6)


def test_long_inputs_go_through_blocks_by_themselves(monkeypatch):
    """The same numbers as at once, eagerly and where the length is not known."""
    layer = layers.AdditiveAttention(3)
    wanted = gradients(layer, [QUERY, VALUE])
    monkeypatch.setattr("deepapps.layers.attention.DIRECT_ELEMENTS", 10)
    monkeypatch.setattr("deepapps.layers.attention.BLOCK_ELEMENTS", 70)
    for found in (gradients(layer, [QUERY, VALUE]), _gradients_of_unknown_length(layer)):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def _gradients_of_unknown_length(layer):
    projection = tf.cos(tf.range(70, dtype="float32"))

    @tf.function(input_signature=[tf.TensorSpec((None, None, 7))] * 2)
    def traced(query, value):
        with tf.GradientTape() as tape:
            tape.watch([query, value])
            loss = tf.reduce_sum(tf.reshape(layer(query, value), [-1]) * projection)
        return tape.gradient(
            loss, [query, value, *[variable.value for variable in layer.trainable_variables]]
        )

    return traced(QUERY, VALUE)


@keras.saving.register_keras_serializable("tests")
class CoverageAttention(layers.AdditiveAttention):
    """A place that was read much is read less."""

    def score(self, query, key, coverage):
        return super().score(query, key) - 2.0 * coverage[..., None, :]


def test_coverage_is_the_sum_of_the_earlier_weights():
    layer = layers.AttentionLSTM(
        13, CoverageAttention(3), return_sequences=True, return_attention_scores=True
    )
    inputs, memory = normal(2, 5, 7), normal(2, 3, 11)
    outputs, weights = layer(inputs, memory)
    prepared = layer.prepare_memory(memory)
    state, seen = layer.initial_state(2, prepared), np.zeros((2, 3), "float32")
    for now in range(5):
        query = layer.cell.make_query(inputs[:, now], state)[:, None]
        scores = np.asarray(layer.attention.score(query, prepared.key, tf.constant(seen)))[:, 0]
        np.testing.assert_allclose(weights[:, now], tf.nn.softmax(scores), atol=1e-5)
        _, state, read = layer.step(inputs[:, now], state, prepared)
        np.testing.assert_allclose(read, weights[:, now], atol=1e-6)
        seen += weights[:, now].numpy()
        np.testing.assert_allclose(state[2], seen, atol=1e-5)


def test_coverage_is_zero_outside_of_a_recurrence():
    plain, coverage = layers.AdditiveAttention(3), CoverageAttention(3)
    plain(QUERY, VALUE), coverage(QUERY, VALUE)
    coverage.set_weights(plain.get_weights())
    np.testing.assert_array_equal(coverage(QUERY, VALUE), plain(QUERY, VALUE))


def test_masks_of_an_embedding_flow_in_and_that_of_the_query_out():
    embedding = keras.layers.Embedding(11, 7, mask_zero=True)
    queries, values = np.array([[1, 2, 0], [3, 0, 0]]), np.array([[4, 5, 6, 0], [7, 0, 0, 0]])
    layer = layers.AdditiveAttention(3)
    context, weights = layer(embedding(queries), embedding(values), return_attention_scores=True)
    np.testing.assert_array_equal(weights > 0, (queries > 0)[..., None] & (values > 0)[:, None])
    np.testing.assert_array_equal(context._keras_mask, queries > 0)
    first, second = keras.Input((None,)), keras.Input((None,))
    model = keras.Model([first, second], layer(embedding(first), embedding(second)))
    np.testing.assert_allclose(model([queries, values]), context, atol=1e-6)
    np.testing.assert_array_equal(model([queries, values])._keras_mask, queries > 0)
