"""MultiHeadAttention where it is more than Keras's: cache, biases, encodings of positions,
blocks.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from layers import references

from deepapps import layers


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def randomized(layer, *inputs, **call):
    """The layer, built by a call, with weights and biases that are not zero."""
    layer(*inputs, **call)
    layer.set_weights([normal(*w.shape, seed=i) / 3 for i, w in enumerate(layer.weights)])
    return layer


@keras.saving.register_keras_serializable("tests")
class Alibi(layers.MultiHeadAttention):
    """Press et al. (2022): the farther, the less, each head at its own rate."""

    def bias(self, query_positions, key_positions):
        slopes = 2.0 ** (-8 * ops.arange(1, self.num_heads + 1, dtype="float32") / self.num_heads)
        distance = ops.cast(query_positions[:, None] - key_positions, "float32")
        return -slopes[:, None, None] * ops.abs(distance)


@keras.saving.register_keras_serializable("tests")
class RelativeBias(layers.MultiHeadAttention):
    """Shaw et al. (2018) as a bias: a learned number for each head and distance, up to 3 each
    way.
    """

    def build(self, query_shape, value_shape, key_shape=None):
        super().build(query_shape, value_shape, key_shape)
        self.table = self.add_weight(name="table", shape=(self.num_heads, 7))

    def bias(self, query_positions, key_positions):
        distance = ops.clip(query_positions[:, None] - key_positions, -3, 3)
        return ops.take(self.table, distance + 3, axis=1)


KINDS = {
    "plain": lambda **k: layers.MultiHeadAttention(3, 8, **k),
    "rotary": lambda **k: layers.MultiHeadAttention(
        3, 8, position_encoding=layers.RotaryPositions(), **k
    ),
    "window": lambda **k: layers.MultiHeadAttention(3, 8, sliding_window=2, **k),
    "gate": lambda **k: layers.MultiHeadAttention(3, 8, value_dim=5, use_gate=True, **k),
    "alibi": lambda **k: Alibi(3, 8, **k),
    "relative": lambda **k: RelativeBias(3, 8, **k),
}


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_with_a_cache_equals_the_whole_causal_call(kind):
    """A prompt of three positions, then one by one."""
    inputs = normal(2, 7, 11)
    layer = randomized(KINDS[kind](), inputs, inputs)
    whole, weights = layer(inputs, inputs, use_causal_mask=True, return_attention_scores=True)
    cache, outputs = layer.initial_cache(2, 7), []
    for start, end in ((0, 3), (3, 4), (4, 5), (5, 6), (6, 7)):
        part = inputs[:, start:end]
        output, read, cache = layer(
            part, part, cache=cache, cache_index=start, return_attention_scores=True
        )
        outputs.append(output)
        np.testing.assert_allclose(read, weights[:, :, start:end], atol=1e-5)
    np.testing.assert_allclose(tf.concat(outputs, 1), whole, atol=1e-5)


def test_decoding_takes_the_position_as_a_tensor_in_one_trace():
    inputs = normal(2, 5, 11)
    layer = randomized(KINDS["rotary"](), inputs, inputs)
    step = tf.function(lambda part, cache, index: layer(part, part, cache=cache, cache_index=index))
    cache, outputs = layer.initial_cache(2, 5), []
    for now in range(5):
        output, cache = step(tf.constant(inputs[:, now : now + 1]), cache, tf.constant(now))
        outputs.append(output)
    assert step.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(
        tf.concat(outputs, 1), layer(inputs, inputs, use_causal_mask=True), atol=1e-5
    )


def test_a_mask_of_the_cache_hides_its_positions():
    """A batch of prompts with padding on the left."""
    inputs, mask = normal(2, 5, 11), np.array([[True] * 5, [False, False, True, True, True]])
    layer = randomized(KINDS["plain"](), inputs, inputs)
    whole = layer(inputs, inputs, value_mask=mask, use_causal_mask=True)
    first, cache = layer(
        inputs[:, :4], inputs[:, :4], value_mask=mask, cache=layer.initial_cache(2, 5)
    )
    last, _ = layer(inputs[:, 4:], inputs[:, 4:], value_mask=mask, cache=cache, cache_index=4)
    np.testing.assert_allclose(tf.concat([first, last], 1), whole, atol=1e-5)
    assert not np.any(first[1, :2])


def test_a_memory_is_projected_once_for_all_steps():
    query, memory, mask = (
        normal(2, 5, 11),
        normal(2, 3, 13),
        np.array([[True, True, False], [False] * 3]),
    )
    layer = randomized(KINDS["plain"](), query, memory)
    whole, weights = layer(query, memory, value_mask=mask, return_attention_scores=True)
    cache = layer.project_memory(memory)
    for now in range(5):
        output, read, same = layer(
            query[:, now : now + 1], cache=cache, value_mask=mask, return_attention_scores=True
        )
        np.testing.assert_allclose(output, whole[:, now : now + 1], atol=1e-5)
        np.testing.assert_allclose(read, weights[:, :, now : now + 1], atol=1e-5)
        assert same[0] is cache[0]


def test_the_cache_has_the_compute_dtype():
    inputs, layer = normal(2, 5, 11), KINDS["plain"](dtype="mixed_bfloat16")
    layer(inputs, inputs)
    output, cache = layer(inputs[:, :1], inputs[:, :1], cache=layer.initial_cache(2, 5))
    assert {part.dtype.name for part in (output, *cache)} == {"bfloat16"}


def test_rotary_positions_are_in_queries_and_keys():
    query, value = normal(2, 5, 11), normal(2, 3, 13)
    layer = randomized(KINDS["rotary"](), query, value)
    found = layer(query, value, return_attention_scores=True)
    wanted = references.multi_head(
        layer.get_weights(), query, value, encode=lambda heads: references.rotary([], heads)[0]
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("kind", ["alibi", "relative"])
def test_a_bias_by_distance_is_a_few_lines(kind):
    query, value = normal(2, 5, 11), normal(2, 7, 13)
    layer, plain = (
        randomized(KINDS[kind](), query, value),
        randomized(KINDS["plain"](), query, value),
    )
    plain.set_weights([w for w in layer.get_weights() if w.shape != (3, 7)])
    logits = np.log(np.asarray(plain(query, value, return_attention_scores=True)[1]))
    distance = np.arange(5)[:, None] - np.arange(7)
    if kind == "alibi":
        bias = -np.abs(distance) * 2.0 ** np.array([-8 / 3, -16 / 3, -8])[:, None, None]
    else:
        bias = layer.table.numpy()[:, np.clip(distance, -3, 3) + 3]
    weights = layer(query, value, return_attention_scores=True)[1]
    np.testing.assert_allclose(weights, references.softmax(logits + bias, True), atol=1e-5)


@pytest.mark.parametrize("kind", ["rotary", "window", "gate", "alibi", "relative"])
def test_blocks_change_neither_outputs_nor_gradients(kind):
    query, value = tf.constant(normal(2, 5, 11)), tf.constant(normal(2, 7, 13))
    mask = np.random.default_rng(0).random((2, 3, 5, 7)) < 0.7
    weights, found = None, []
    for size in (None, 2, 3):
        layer = randomized(KINDS[kind](block_size=size), query, value)
        weights = weights or layer.get_weights()
        layer.set_weights(weights)
        variables = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([query, value])
            output, read = layer(query, value, attention_mask=mask, return_attention_scores=True)
            loss = tf.reduce_sum(tf.sin(output)) + tf.reduce_sum(tf.sin(3 * read))
        gradients = tape.gradient(loss, [query, value, *variables])
        found.append([output, read, *map(tf.convert_to_tensor, gradients)])
    for blocks in found[1:]:
        for one, other in zip(blocks, found[0], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_mask_for_each_head():
    query, mask = normal(2, 5, 11), np.random.default_rng(0).random((2, 3, 5, 5)) < 0.6
    mask[:, :, 0] = False  # a query that no head lets see anything
    mask[:, 0, 1] = False  # one that one head lets see nothing
    mask[:, 1:, 1, 1] = True
    layer = randomized(KINDS["plain"](), query, query)
    output, weights = layer(query, query, attention_mask=mask, return_attention_scores=True)
    np.testing.assert_array_equal(weights > 0, mask)
    assert not np.any(output[:, 0])
    assert np.all(np.any(output[:, 1:], -1))


def test_weights_are_returned_before_dropout():
    query = normal(2, 5, 11)
    layer = randomized(KINDS["plain"](dropout=0.5, seed=2), query, query)
    plain = layer(query, query, return_attention_scores=True)
    dropped = layer(query, query, return_attention_scores=True, training=True)
    np.testing.assert_allclose(dropped[1], plain[1], atol=1e-6)
    assert not np.allclose(dropped[0], plain[0])


def test_what_stands_under_a_mask_of_a_grid_changes_nothing():
    """Attention over both axes of `(B, 5, 3, 7)`, with masks `(B, 5, 3)`."""
    inputs, mask = normal(2, 5, 3, 7), np.random.default_rng(0).random((2, 5, 3)) < 0.6
    layer = randomized(KINDS["plain"](), inputs, inputs)
    spoilt = np.where(mask[..., None], inputs, np.nan)
    wanted = layer(inputs, inputs, query_mask=mask, value_mask=mask)
    np.testing.assert_allclose(
        layer(spoilt, spoilt, query_mask=mask, value_mask=mask), wanted, atol=1e-6
    )
    assert not np.any(wanted[~mask])
    flat = (part.reshape(2, 15, *part.shape[3:]) for part in (inputs, inputs, mask, mask))
    query, value, query_mask, value_mask = flat
    rows = layer(query, value, query_mask=query_mask, value_mask=value_mask)
    np.testing.assert_allclose(tf.reshape(wanted, rows.shape), rows, atol=1e-5)


def test_a_grid_has_the_same_symbolic_shapes():
    for axes, expected in ((None, (2, 3, 5, 3, 5, 3)), (1, (2, 3, 3, 5, 5)), (2, (2, 5, 3, 3, 3))):
        layer, inputs = layers.MultiHeadAttention(3, 8, attention_axes=axes), normal(2, 5, 3, 7)
        symbolic = keras.KerasTensor(inputs.shape)
        shapes = [
            tensor.shape for tensor in layer(symbolic, symbolic, return_attention_scores=True)
        ]
        assert shapes == [(2, 5, 3, 7), expected]
        eager = layer(inputs, inputs, return_attention_scores=True)
        assert [tuple(tensor.shape) for tensor in eager] == shapes


def test_an_output_of_several_axes():
    layer, query = layers.MultiHeadAttention(3, 8, output_shape=(5, 2)), normal(2, 7, 11)
    assert layer(query, query).shape == (2, 7, 5, 2)
    assert layer(keras.Input((None, 11)), keras.Input((None, 11))).shape == (None, None, 5, 2)
    assert not np.any(layer(query, query, value_mask=np.zeros((2, 7), "bool")))


def test_masks_of_an_embedding_reach_all_heads_and_go_on():
    tokens = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    embedded = keras.layers.Embedding(7, 11, mask_zero=True)(tokens)
    output, weights = KINDS["plain"]()(embedded, embedded, return_attention_scores=True)
    kept = tokens > 0
    np.testing.assert_array_equal(
        weights > 0, np.repeat((kept[..., None] & kept[:, None])[:, None], 3, 1)
    )
    np.testing.assert_array_equal(output._keras_mask, kept)


def test_all_options_come_back_from_a_file(tmp_path):
    layer = Alibi(
        3,
        8,
        value_dim=5,
        dropout=0.1,
        use_bias=True,
        output_shape=13,
        sliding_window=3,
        use_gate=True,
        seed=1,
        block_size=2,
        position_encoding=layers.RotaryPositions(wavelength=100),
        kernel_initializer="he_normal",
        bias_initializer="ones",
        kernel_regularizer="l2",
        bias_regularizer="l1",
        kernel_constraint="max_norm",
        bias_constraint="non_neg",
    )
    inputs = keras.Input((None, 11))
    model = keras.Model(inputs, layer(inputs, inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    wanted = json.loads(json.dumps(layer.get_config()))  # with lists for tuples
    assert json.loads(json.dumps(loaded.layers[-1].get_config())) == wanted
    tokens = normal(2, 5, 11)
    np.testing.assert_allclose(loaded(tokens), model(tokens), atol=1e-6)
    assert len(model.losses) == len(loaded.losses) == 10


def test_as_many_steps_as_heads_of_width_one():
    """Keras's own layer adds the biases of the heads to the steps then."""
    layer = layers.MultiHeadAttention(2, 1, bias_initializer="normal")
    inputs = normal(3, 2, 5)
    whole = layer(inputs, inputs)
    kernel, bias = layer.value_dense.kernel, layer.value_dense.bias
    expected = np.einsum("btd,dhw->bthw", inputs, kernel) + np.asarray(bias)
    np.testing.assert_allclose(layer.value_dense(inputs), expected, atol=1e-6)
    longer = np.concatenate([inputs, np.zeros_like(inputs)], 1)
    mask = np.arange(4) < 2
    masked = layer(longer, longer, value_mask=np.broadcast_to(mask, (3, 4)))
    np.testing.assert_allclose(whole, masked[:, :2], atol=1e-6)
