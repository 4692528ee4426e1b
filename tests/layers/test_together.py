"""What meets when the layers are used together: masks in a cache, frozen layers, dtypes,
functional models.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from deepapps import layers


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_close(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_blocks_of_a_frozen_layer_have_the_gradient_of_their_inputs():
    gradients = []
    for size in (None, 2):
        layer = layers.AdditiveAttention(3, block_size=size, kernel_initializer="ones")
        layer.build((None, None, 7), (None, None, 7))
        layer.trainable = False
        inputs = tf.convert_to_tensor(normal(2, 5, 7))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, inputs)
        gradients.append(tape.gradient(outputs, inputs))
    assert_close(*gradients)


@pytest.mark.parametrize("rows", [3, 2048])
def test_a_length_unknown_when_tracing_changes_nothing(rows):
    """The long one takes blocks, of more than 2**31 numbers in all."""
    layer, inputs = layers.MultiHeadAttention(2, 8), normal(9, rows, 4)
    wanted = layer(inputs, inputs, use_causal_mask=True)
    traced = tf.function(
        lambda x: layer(x, x, use_causal_mask=True),
        input_signature=[tf.TensorSpec((None, None, 4))],
    )
    assert_close(traced(inputs), wanted)


def test_a_cache_takes_tokens_that_carry_a_mask():
    embedding = keras.layers.Embedding(9, 8, mask_zero=True)
    decoder, tokens = layers.TransformerDecoder(2, 16), np.array([[1, 2, 3], [4, 5, 6]])
    wanted, cache = decoder(embedding(tokens)), decoder.initial_cache(2, 3)
    for step in range(3):
        output, cache = decoder(
            embedding(tokens[:, step : step + 1]), cache=cache, cache_index=np.int64(step)
        )
        assert_close(output[:, 0], wanted[:, step])


def test_what_a_mask_hides_in_a_cache_may_be_nan():
    layer, inputs = layers.MultiHeadAttention(2, 8), normal(2, 3, 4)
    mask = np.array([[True, False, True]] * 2)
    spoiled = np.where(mask[..., None], inputs, np.nan).astype("float32")
    layer(inputs, inputs)
    found = [
        layer(x, x, cache=layer.initial_cache(2, 3), value_mask=mask)[0] for x in (inputs, spoiled)
    ]
    assert_close(found[1][:, 2], found[0][:, 2])


def test_a_memory_brings_its_mask():
    memory = keras.layers.Embedding(9, 8, mask_zero=True)(np.array([[1, 2, 0], [3, 0, 0]]))
    inputs, mask = normal(2, 1, 4), np.array([[1, 1, 0], [1, 0, 0]])
    layer = layers.AttentionLSTM(5)
    wanted = layer(inputs, memory)
    # integers serve as well
    assert_close(layer(inputs, np.asarray(memory), memory_mask=mask), wanted)
    ready = layer.prepare_memory(memory)
    assert_close(layer.step(inputs[:, 0], layer.initial_state(2, ready), ready)[0], wanted)
    decoder, inputs = layers.TransformerDecoder(2, 16), normal(2, 1, 8)
    assert_close(
        decoder(inputs, memory),
        decoder(inputs, cache=decoder.initial_cache(2, 1, memory), memory_mask=mask)[0],
    )


@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", [layers.AttentionLSTM, layers.LuongLSTM])
def test_an_attention_of_another_dtype_serves(kind, dtype):
    layer = kind(5, layers.AdditiveAttention(3), dtype=dtype)
    assert layer(normal(2, 3, 4), normal(2, 6, 7)).dtype == layer.compute_dtype
    with pytest.raises(ValueError, match="`dtype` must be that of the cell"):
        layers.AttentionRNN(layers.AttentionLSTMCell(5), dtype=dtype)


def test_positions_of_another_dtype_serve_a_cache():
    layer = layers.MultiHeadAttention(
        2, 8, position_encoding=layers.RotaryPositions(), dtype="mixed_bfloat16"
    )
    inputs = normal(2, 3, 4)
    layer(inputs, inputs)
    output, _ = layer(inputs, inputs, cache=layer.initial_cache(2, 3))
    assert output.dtype == "bfloat16"


def test_a_decoder_step_is_a_functional_model():
    decoder, memory, inputs = layers.TransformerDecoder(2, 16), normal(2, 5, 8), normal(2, 1, 8)
    decoder(inputs, memory)
    cache = decoder.initial_cache(2, 3, memory)
    given = keras.tree.map_structure(lambda part: keras.Input(part.shape[1:]), cache)
    token = keras.Input((1, 8))
    model = keras.Model([token, given], decoder(token, cache=given))
    assert_close(model([ops.convert_to_tensor(inputs), cache])[0], decoder(inputs, cache=cache)[0])


def test_calls_of_a_cache_that_would_be_wrong():
    decoder, memory, inputs = layers.TransformerDecoder(2, 16), normal(2, 5, 8), normal(2, 2, 8)
    with pytest.raises(ValueError, match="needs the weights"):
        decoder.initial_cache(2, 3)
    decoder(inputs, memory)
    cache = decoder.initial_cache(2, 3, memory)
    with pytest.raises(ValueError, match="`memory` must not be given with a `cache`"):
        decoder(inputs, memory, cache=cache)
    with pytest.raises(ValueError, match="`cache` must have room"):
        decoder(inputs, cache=cache, cache_index=2)
    with pytest.raises(ValueError, match="`memory` must be given"):
        decoder.initial_cache(2, 3)
    heads = layers.MultiHeadAttention(2, 4)
    with pytest.raises(ValueError, match="`cache` needs a query of 3 axes"):
        heads(normal(2, 3, 3, 8), normal(2, 3, 3, 8), cache=cache[0])


def test_a_mask_of_a_grid_may_lack_the_axes_that_are_not_attended_over():
    layer, inputs = layers.MultiHeadAttention(2, 4, attention_axes=(2,)), normal(2, 3, 5, 8)
    mask = np.tri(5, dtype="bool")
    wanted = layer(inputs, inputs, use_causal_mask=True)
    for shape in ((5, 5), (2, 5, 5), (2, 3, 5, 5)):
        assert_close(layer(inputs, inputs, attention_mask=np.broadcast_to(mask, shape)), wanted)
    with pytest.raises(ValueError, match=r"`attention_mask` must have the axes.*\(5,\)"):
        layer(inputs, inputs, attention_mask=mask[0])


def test_a_bias_may_forbid():
    class Forbidding(layers.ScaledDotProductAttention):
        def bias(self, query_positions, key_positions):
            return ops.where(key_positions < query_positions[:, None], 0.0, -np.inf)

    context, weights = Forbidding()(normal(2, 3, 4), normal(2, 3, 4), return_attention_scores=True)
    assert_close(weights[:, 0], np.zeros((2, 3)))
    assert_close(context[:, 0], np.zeros((2, 4)))
    assert_close(ops.sum(weights, -1)[:, 1:], np.ones((2, 2)))


def test_lstmn_in_both_directions_gives_its_states():
    both = keras.layers.Bidirectional(layers.LSTMN(5, return_state=True))
    outputs, *states = both(normal(2, 3, 4))
    assert outputs.shape == (2, 10) and len(states) == 6
    with pytest.raises(ValueError, match="`initial_state` must not be given"):
        layers.LSTMN(5)(normal(2, 3, 4), initial_state=[normal(2, 5)])


@pytest.mark.parametrize("kind", [layers.AttentionLSTM, layers.LSTMN])
def test_a_frozen_layer_stays_frozen(kind, tmp_path):
    layer, inputs = kind(5, trainable=False), keras.Input((3, 4))
    call = [] if kind is layers.LSTMN else [keras.Input((6, 7))]
    model = keras.Model([inputs, *call], layer(inputs, *call))
    assert not layer.trainable_variables and not layer.cell.trainable_variables
    model.save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").trainable_variables


def test_an_empty_batch():
    assert layers.LSTMN(5, return_sequences=True)(normal(0, 3, 4)).shape == (0, 3, 5)


class Wide(layers.AttentionLSTMCell):
    def update(self, inputs, context, state):
        return (*state, state[0])


class Single(layers.AttentionLSTMCell):
    def attend(self, query, memory):
        return super().attend(query, memory)[0]


@pytest.mark.parametrize(
    "make, rule",
    [
        (
            lambda: layers.AttentionRNN(Wide(5)),
            "`update` of Wide must return tensors of the widths",
        ),
        (
            lambda: layers.AttentionRNN(Single(5)),
            "`attend` of Single must return context and weights",
        ),
        (
            lambda: layers.AttentionLSTM(5, layers.MultiHeadAttention(1, 2)),
            "`attention` must read single queries",
        ),
        (lambda: layers.AttentionGRU(5, unit_forget_bias=True), "`unit_forget_bias` must be False"),
        (lambda: layers.AdditiveAttention(None), "`units` must be a positive whole number"),
        (lambda: layers.AdditiveAttention(3, dropout=None), "`dropout` must be"),
    ],
)
def test_a_user_is_told(make, rule):
    with pytest.raises(ValueError, match=rule):
        make()(normal(2, 3, 4), normal(2, 6, 7))


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_second_derivatives_through_blocks(wrap):
    inputs, found = tf.convert_to_tensor(normal(2, 5, 8)), []
    for size in (None, 2):
        layer = layers.MultiHeadAttention(2, 4, block_size=size)
        layer.build(inputs.shape, inputs.shape)
        layer.set_weights([normal(*weight.shape) for weight in layer.weights])

        def second(inputs, layer=layer):
            with tf.GradientTape() as outer:
                outer.watch(inputs)
                with tf.GradientTape() as inner:
                    inner.watch(inputs)
                    total = tf.reduce_sum(tf.sin(layer(inputs, inputs)))
                square = tf.reduce_mean(tf.square(inner.gradient(total, inputs)))
            return outer.gradient(square, inputs)

        found.append(wrap(second)(inputs))
    assert_close(
        found[1] / tf.reduce_max(tf.abs(found[0])), found[0] / tf.reduce_max(tf.abs(found[0]))
    )
