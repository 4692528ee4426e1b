"""With the same weights, a layer gives what the Keras layer of the same kind gives, gradients
too.
"""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepapps import layers


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng([seed, *shape]).normal(size=shape), "float32")


def boolean(*shape, seed=0):
    """A mask whose first column is True."""
    mask = np.random.default_rng([seed, *shape]).random(shape) < 0.6
    mask[..., 0] = True
    return tf.constant(mask)


def assert_same(call, other, inputs, weights, other_weights):
    """Outputs of both, and gradients of the inputs and of the weights that are listed."""
    results = []
    for function, variables in ((call, weights), (other, other_weights)):
        sources = [*inputs, *[variable.value for variable in variables]]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.nest.flatten(function(*inputs))
            loss = sum(tf.reduce_sum(tf.sin(output + 0.3)) for output in outputs)
        results.append([*outputs, *tape.gradient(loss, sources)])
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5)


def with_equal_weights(layer, other, *inputs):
    """Calls both once; random weights, biases not zero."""
    layer(*inputs), other(*inputs)
    assert [w.shape for w in layer.weights] == [w.shape for w in other.weights]
    weights = [
        np.random.default_rng(i).normal(size=w.shape) / 5 for i, w in enumerate(layer.weights)
    ]
    layer.set_weights(weights), other.set_weights(weights)
    return layer, other


OPTIONS = [
    {},
    {"use_gate": True, "value_dim": 17},
    {"use_bias": False, "output_shape": 19},
    pytest.param(
        {"sliding_window": 2},
        marks=pytest.mark.skipif(
            "sliding_window" not in inspect.signature(keras.layers.MultiHeadAttention).parameters,
            reason="Keras 3.14 has no `sliding_window`",
        ),
    ),
]


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_multi_head_attention(options, causal):
    query, value, key = normal(2, 5, 7), normal(2, 5, 11), normal(2, 5, 13)
    layer = layers.MultiHeadAttention(3, 23, **options)
    other = keras.layers.MultiHeadAttention(3, 23, **options)
    layer, other = with_equal_weights(layer, other, query, value, key)
    call = {"return_attention_scores": True, "use_causal_mask": causal}
    if "sliding_window" not in options:  # with it the masks would leave nothing
        call |= {"value_mask": boolean(2, 5), "attention_mask": boolean(2, 5, 5)}
    assert_same(
        lambda *inputs: layer(*inputs, **call),
        lambda *inputs: other(*inputs, **call),
        [query, value, key],
        layer.trainable_variables,
        other.trainable_variables,
    )


@pytest.mark.parametrize("axes", [None, 1, 2, (1, 2), -2], ids=str)
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_multi_head_attention_over_some_axes(axes, masked):
    query, value = normal(2, 5, 3, 7), normal(2, 5, 3, 11)
    layer = layers.MultiHeadAttention(13, 17, attention_axes=axes)
    other = keras.layers.MultiHeadAttention(13, 17, attention_axes=axes)
    layer, other = with_equal_weights(layer, other, query, value)
    call = {"return_attention_scores": True}
    if masked:
        pairs = {None: (5, 3, 5, 3), 1: (5, 5), 2: (3, 3), (1, 2): (5, 3, 5, 3), -2: (3, 3)}[axes]
        mask = np.random.default_rng(1).random((2, *pairs)) < 0.6
        mask.reshape(2, -1, int(np.prod(pairs[len(pairs) // 2 :])))[..., 0] = True
        call["attention_mask"] = tf.constant(mask)
    assert_same(
        lambda *inputs: layer(*inputs, **call),
        lambda *inputs: other(*inputs, **call),
        [query, value],
        layer.trainable_variables,
        other.trainable_variables,
    )


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("scaled", [False, True], ids=["dot", "scaled"])
def test_dot_product_attention(scaled, causal):
    query, value, key = normal(2, 5, 7), normal(2, 3, 11), normal(2, 3, 7)
    masks, call = (
        [boolean(2, 5), boolean(2, 3)],
        {"return_attention_scores": True, "use_causal_mask": causal},
    )
    layer = layers.ScaledDotProductAttention() if scaled else layers.DotProductAttention()
    other = keras.layers.Attention()
    root = 7**-0.5 if scaled else 1.0
    context, _ = other([query * root, value, key], mask=masks, **call)
    found, _ = layer(query, value, key, query_mask=masks[0], value_mask=masks[1], **call)
    # the weights of Keras ignore the mask of the query
    np.testing.assert_allclose(found, context, atol=1e-5)

    def equal(query, value, key):
        return other([query * root, value, key], mask=[None, masks[1]], **call)

    def ours(*inputs):
        return layer(*inputs, value_mask=masks[1], **call)

    assert_same(ours, equal, [query, value, key], [], [])


def test_additive_attention_with_a_dense_on_query_and_key():
    query, value, key, mask = normal(2, 5, 7), normal(2, 3, 11), normal(2, 3, 17), boolean(2, 3)
    layer, other = layers.AdditiveAttention(13), keras.layers.AdditiveAttention()
    first, second = keras.layers.Dense(13, use_bias=False), keras.layers.Dense(13, use_bias=False)

    def equal(query, value, key):
        inputs = [first(query), value, second(key)]
        return other(inputs, mask=[None, mask], return_attention_scores=True)

    def ours(*inputs):
        return layer(*inputs, value_mask=mask, return_attention_scores=True)

    equal(query, value, key), ours(query, value, key)
    layer.set_weights([*first.get_weights(), *second.get_weights(), *other.get_weights()])
    weights = [*first.trainable_variables, *second.trainable_variables, *other.trainable_variables]
    assert_same(ours, equal, [query, value, key], layer.trainable_variables, weights)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("kind", ["forwards", "backwards", "both"])
def test_lstm(kind, masked, sequences, training):
    options = {
        "return_sequences": sequences,
        "return_state": True,
        "go_backwards": kind == "backwards",
    }
    inputs, state = (
        normal(2, 5, 7),
        [normal(2, 13, seed=seed) for seed in range(4 if kind == "both" else 2)],
    )
    mask = (
        tf.constant([[False, True, True, False, True], [True, True, True, True, False]])
        if masked
        else None
    )
    made = [one.LSTM(13, **options) for one in (layers, keras.layers)]
    made = [keras.layers.Bidirectional(one) for one in made] if kind == "both" else made
    layer, other = with_equal_weights(*made, inputs)
    assert_same(
        lambda inputs, *state: layer(
            inputs, mask=mask, initial_state=list(state), training=training
        ),
        lambda inputs, *state: other(
            inputs, mask=mask, initial_state=list(state), training=training
        ),
        [inputs, *state],
        layer.trainable_variables,
        other.trainable_variables,
    )


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_lstm_of_whole_numbers_and_of_a_width_that_is_not_known(training):
    inputs = np.random.default_rng(0).integers(-2, 3, (2, 5, 7))
    mask = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]])
    layer, other = with_equal_weights(layers.LSTM(13), keras.layers.LSTM(13), inputs)
    wanted = other(inputs, mask=mask.astype(bool), training=training)
    traced = tf.function(
        lambda inputs: layer(inputs, mask=mask, training=training),
        input_signature=[tf.TensorSpec((None, None, None), "int64")],
        autograph=False,
    )
    np.testing.assert_allclose(traced(inputs), wanted, atol=1e-6)


def test_the_gradient_of_an_lstm_in_half_precision_is_summed_in_whole():
    """Of 25,600 steps, of which a sum in halves would lose some."""
    inputs, found = tf.ones((256, 100, 3)), []
    for dtype in ("float32", "mixed_float16"):
        zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
        layer = layers.LSTM(2, return_sequences=True, dtype=dtype, **zeros)
        layer.build(inputs.shape)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(inputs, training=True), "float32"))
        found.append(tape.gradient(loss, layer.cell.bias.value) / 256)
    np.testing.assert_allclose(*found, rtol=0.02)


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.3},
        {"recurrent_dropout": 0.3},
        {"activation": "relu"},
        {"use_bias": False},
        {"unroll": True},
    ],
    ids=str,
)
def test_an_lstm_that_has_more_to_do_is_keras_own(options):
    inputs = normal(2, 5, 7)
    layer, other = (one.LSTM(13, **options, seed=1) for one in (layers, keras.layers))
    layer, other = with_equal_weights(layer, other, inputs)
    np.testing.assert_array_equal(layer(inputs, training=True), other(inputs, training=True))


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_with_a_memory_of_zeros_it_is_the_layer_without_attention(kind, masked, backwards):
    options = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    inputs, memory = normal(2, 5, 7), tf.zeros((2, 3, 11))
    state = [normal(2, 13), normal(2, 13, seed=1)][: 2 if kind == "LSTM" else 1]
    mask = boolean(2, 5) if masked else None
    if kind == "LSTM":
        layer, other = layers.AttentionLSTM(13, **options), keras.layers.LSTM(13, **options)
    else:
        layer, other = (
            layers.AttentionGRU(13, **options),
            keras.layers.GRU(13, reset_after=False, **options),
        )
    layer(inputs, memory), other(inputs)
    kernel, recurrent, bias, *rest = layer.get_weights()
    bias = np.random.default_rng(5).normal(size=bias.shape)
    layer.set_weights([kernel, recurrent, bias, *rest])
    other.set_weights([kernel[:7], recurrent, bias])

    def ours(inputs, *state):
        return layer(inputs, memory, mask=mask, initial_state=list(state))

    def equal(inputs, *state):
        return other(inputs, mask=mask, initial_state=list(state))

    same = [layer.cell.recurrent_kernel, layer.cell.bias]
    assert_same(ours, equal, [inputs, *state], same, other.trainable_variables[1:])
