"""Recurrences that attend, where they are odd: padding, states, steps, the fast path, models
around them.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from layers import references
from layers.cases import GatedCell

from deepapps import layers

KINDS = {
    "bahdanau": layers.AttentionLSTM,
    "luong": layers.LuongLSTM,
    "gru": layers.AttentionGRU,
    "lstmn": layers.LSTMN,
}
ALL = {"return_sequences": True, "return_state": True, "return_attention_scores": True}
SIZES = {"bahdanau": 2, "luong": 3, "gru": 1, "lstmn": 3}  # of the state
every_kind = pytest.mark.parametrize("kind", KINDS)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


INPUTS, MEMORY = normal(2, 5, 7), normal(2, 3, 11)
MEMORY_MASK = np.array([[True, False, True], [True, True, False]])
PADDING = {
    "left": [[False, False, True, True, True], [False, True, True, True, True]],
    "middle": [[True, False, False, True, True], [True, True, False, True, True]],
    "right": [[True, True, True, False, False], [True, False, False, False, False]],
    "all": [[False] * 5, [True] * 5],
}


def make(kind, **options):
    """A layer, and the arguments of its call beside the inputs."""
    return KINDS[kind](13, **options), {} if kind == "lstmn" else {"memory": MEMORY}


def assert_close(found, wanted, tolerance=1e-5):
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@every_kind
def test_padding_steps_carry_the_state_on(kind):
    """Each sequence gives what it gives alone, without its padding."""
    layer, call = make(kind, **ALL)
    mask = np.array([PADDING[name][0] for name in ("left", "middle", "right", "all")])
    inputs = normal(4, 5, 7)
    call = {name: normal(4, 3, 11) for name in call}
    outputs, *state, weights = (np.asarray(part) for part in layer(inputs, **call, mask=mask))
    assert not np.any(weights[~mask])
    assert not np.any(outputs[0, :2]) and not np.any(outputs[3])
    np.testing.assert_array_equal(outputs[1, 1:3], outputs[1, [0, 0]])
    np.testing.assert_array_equal(outputs[2, 3:], outputs[2, [2, 2]])
    for row in range(3):
        own = {name: tensor[row : row + 1] for name, tensor in call.items()}
        alone, *last, read = layer(inputs[row : row + 1, mask[row]], **own)
        assert_close([part[row : row + 1] for part in state], last)
        assert_close(outputs[row, mask[row]], alone[0])
        kept = weights[row, mask[row]]
        assert_close(kept[:, mask[row]] if kind == "lstmn" else kept, read[0])


@every_kind
def test_what_is_returned_is_what_is_asked_for(kind):
    layer, call = make(kind, **ALL)
    mask = np.array(PADDING["right"])
    outputs, *state, weights = layer(INPUTS, **call, mask=mask)
    assert len(state) == SIZES[kind]
    last = mask.sum(1) - 1
    for sequences, states, scores in ((0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0)):
        other, _ = make(
            kind, return_sequences=sequences, return_state=states, return_attention_scores=scores
        )
        other.build(INPUTS.shape, *[tensor.shape for tensor in call.values()])
        other.set_weights(layer.get_weights())
        wanted = [outputs if sequences else outputs[:, -1], *(state if states else [])]
        if scores:
            wanted.append(
                weights if sequences else tf.stack([weights[row, last[row]] for row in (0, 1)])
            )
        found = other(INPUTS, **call, mask=mask)
        assert isinstance(found, tuple) == (len(wanted) > 1)
        assert_close(found, wanted)
        shapes = other.compute_output_shape((2, 5, 7), None if kind == "lstmn" else (2, 3, 11))
        shapes = shapes if isinstance(shapes, tuple) and isinstance(shapes[0], tuple) else [shapes]
        assert [tuple(shape) for shape in shapes] == [tuple(tensor.shape) for tensor in wanted]


@every_kind
def test_single_steps_equal_the_whole_call(kind):
    layer, call = make(kind, **ALL)
    if call:
        call["memory_mask"] = MEMORY_MASK
    outputs, *state, weights = layer(INPUTS, **call)
    memory = layer.prepare_memory(**call)
    carried, parts, reads = layer.initial_state(2, memory, length=5), [], []
    for now in range(5):
        output, carried, read = layer.step(INPUTS[:, now], carried, memory)
        parts.append(output)
        reads.append(read)
    assert_close([tf.stack(parts, 1), tf.stack(reads, 1)], [outputs, weights])
    assert_close(carried[: SIZES[kind]], state)


@every_kind
def test_goes_backwards(kind):
    layer, call = make(kind, **ALL)
    layer(INPUTS, **call)
    other, _ = make(kind, go_backwards=True, **ALL)
    other(INPUTS, **call)
    other.set_weights(layer.get_weights())
    mask = np.array(PADDING["right"])
    wanted = layer(INPUTS[:, ::-1], **call, mask=mask[:, ::-1])
    assert_close(other(INPUTS, **call, mask=mask), wanted)


@pytest.mark.parametrize("kind", ["bahdanau", "luong", "gru"])
def test_a_sequence_goes_on_from_the_state_of_its_beginning(kind):
    layer, call = make(kind, **ALL)
    outputs, *state, weights = layer(INPUTS, **call)
    first, *middle, _ = layer(INPUTS[:, :2], **call)
    second, *last, read = layer(INPUTS[:, 2:], **call, initial_state=middle)
    assert_close([tf.concat([first, second], 1), last, read], [outputs, state, weights[:, 2:]])


def test_an_initial_state_may_be_its_beginning():
    layer, call = make("bahdanau", **ALL)
    h = normal(2, 13)
    found = layer(INPUTS, **call, initial_state=[h])
    assert_close(found, layer(INPUTS, **call, initial_state=[h, np.zeros((2, 13), "float32")]))
    wanted = references.bahdanau_lstm(layer.get_weights(), INPUTS, MEMORY, initial_state=[h, 0 * h])
    assert_close(found, wanted)


def sources_and_results(layer, inputs, memory, state, call, training=False):
    """Outputs, and the gradients of a projection of all of them."""
    sources = [inputs, memory, *state, *[variable.value for variable in layer.trainable_variables]]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = layer(inputs, memory, initial_state=state or None, training=training, **call)
        loss = sum(tf.reduce_sum(tf.sin(output + 0.3)) for output in outputs)
    return outputs, tape.gradient(loss, sources)


CALLS = {
    "bare": ({}, False),
    "padding": ({"mask": PADDING["left"]}, False),
    "all": ({"mask": PADDING["middle"], "memory_mask": MEMORY_MASK}, True),
    "started padding": ({"mask": PADDING["left"]}, True),
    "nothing": ({"mask": PADDING["all"], "memory_mask": [[False] * 3, [True] * 3]}, True),
}


def fast_and_slow(monkeypatch, call, state, run, use_bias=True):
    """What the hand-written gradient gives, and what the general loop gives."""
    layer = layers.AttentionLSTM(13, use_bias=use_bias, **ALL)
    tensors = [tf.constant(tensor) for tensor in (INPUTS, MEMORY)]
    state = [tf.constant(normal(2, 13, seed=seed)) for seed in (1, 2)] if state else []
    call = {name: tf.constant(mask) for name, mask in call.items()}
    layer(*tensors)
    layer.set_weights([normal(*w.shape, seed=i) / 2 for i, w in enumerate(layer.weights)])
    assert layers.attention_lstm.fused.fits(layer.cell, layer.prepare_memory(tensors[1]))
    found = run(layer, *tensors, state, call)
    monkeypatch.setattr("deepapps.layers.fused.fits", lambda *_: False)
    return found, sources_and_results(layer, *tensors, state, call)


@pytest.mark.parametrize("name", CALLS)
def test_the_fast_path_equals_the_general_loop(name, monkeypatch):
    assert_close(
        *fast_and_slow(monkeypatch, *CALLS[name], sources_and_results, use_bias=name != "all")
    )


@pytest.mark.parametrize("name", ["bare", "all"])
def test_the_fast_path_in_a_training_function_equals_the_general_loop(name, monkeypatch):
    """All shapes are known: XLA compiles the loops."""

    def run(layer, inputs, memory, state, call):
        return tf.function(
            lambda: sources_and_results(layer, inputs, memory, state, call, training=True)
        )()

    assert_close(*fast_and_slow(monkeypatch, *CALLS[name], run))


def test_the_fast_path_with_unknown_shapes_equals_the_general_loop(monkeypatch):
    def run(layer, *arguments):
        def traced(*arguments):
            return sources_and_results(layer, *arguments, training=True)

        specs = tf.nest.map_structure(
            lambda t: tf.TensorSpec(
                [None, None, *t.shape[2:]][: t.ndim] if t.ndim > 2 else [None] * t.ndim, t.dtype
            ),
            arguments,
        )
        specs[2][:] = [tf.TensorSpec((None, 13)) for _ in specs[2]]
        return tf.function(traced, input_signature=specs)(*arguments)

    assert_close(*fast_and_slow(monkeypatch, *CALLS["all"], run))


def test_the_gradient_of_the_last_output_alone(monkeypatch):
    """Where nothing is asked of weights and states their gradient is missing, not zero."""
    layer, found = layers.AttentionLSTM(13), []
    layer(INPUTS, MEMORY)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(INPUTS, MEMORY)))
        found.append(
            tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
        )
        monkeypatch.setattr("deepapps.layers.fused.fits", lambda *_: False)
    assert_close(*found)


@pytest.mark.parametrize(
    "options", [{}, {"sliding_window": 2}, {"block_size": 2}], ids=["plain", "window", "blocks"]
)
def test_any_attention_plugs_in(options):
    """At step t it reads as a query at position t does."""
    layer = layers.AttentionLSTM(13, layers.ConcatAttention(5, **options), **ALL)
    outputs, *_, weights = layer(INPUTS, MEMORY)
    queries = tf.concat([tf.zeros((2, 1, 13)), outputs[:, :-1]], 1)
    assert_close(weights, layer.attention(queries, MEMORY, return_attention_scores=True)[1])


def test_a_row_does_not_depend_on_the_padding_of_another():
    """With an attention that looks at positions: the step of a row is its own."""
    layer = layers.AttentionLSTM(13, layers.AdditiveAttention(5, sliding_window=1), **ALL)
    mask = np.array([[False, False, True, True, True], [True] * 5])
    _, *_, weights = layer(INPUTS, MEMORY, mask=mask)
    _, *_, alone = layer(INPUTS[:1], MEMORY[:1], mask=mask[:1])
    assert_close(weights[:1], alone)


class Even(layers.Attention):
    """The same weight for every place."""

    def score(self, query, key):
        return ops.zeros((*query.shape[:-1], key.shape[-2]))


def test_hard_attention_draws_anew_at_each_step():
    layer = layers.AttentionLSTM(13, Even(hard=True, seed=1), **ALL)
    inputs, memory = normal(2, 23, 7), normal(2, 11, 3)
    *_, weights = layer(inputs, memory, training=True)
    np.testing.assert_allclose(np.max(weights, -1), 1, atol=1e-6)
    places = np.argmax(weights, -1)
    assert len(set(places[0])) > 4 and len(set(places[1])) > 4


def test_hard_attention_trains_and_is_the_best_place_at_inference():
    layer = layers.AttentionLSTM(13, layers.AdditiveAttention(5, hard=True, seed=1), **ALL)
    with tf.GradientTape() as tape:
        outputs = layer(INPUTS, MEMORY, training=True)[0]
        loss = tf.reduce_sum(outputs)
    gradients = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
    assert all(np.any(gradient) for gradient in gradients)
    assert set(np.unique(layer(INPUTS, MEMORY)[-1])) == {0.0, 1.0}


def test_dropout_drops_the_same_inputs_at_all_steps():
    layer = layers.AttentionLSTM(13, dropout=0.5, seed=1, return_sequences=True)
    layer(INPUTS, MEMORY)
    assert np.array_equal(layer(INPUTS, MEMORY), layer(INPUTS, MEMORY, training=False))
    kernel, *rest = layer.get_weights()
    inputs = tf.constant(INPUTS)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs, MEMORY, training=True))
    used = np.asarray(tape.gradient(loss, inputs)) != 0
    assert 0 < used.mean() < 1
    np.testing.assert_array_equal(used, np.broadcast_to(used[:, :1], used.shape))


def test_luong_feeds_the_attentional_vector_back():
    layer, call = make("luong", **ALL)
    with tf.GradientTape() as tape:
        inputs = tf.constant(INPUTS)
        tape.watch(inputs)
        outputs, h, c, vector, _ = layer(inputs, **call)
    assert_close(outputs[:, -1], vector)
    changed = layer.step(INPUTS[:, 0], [h, c, 0 * vector], layer.prepare_memory(MEMORY))[0]
    assert not np.allclose(
        changed, layer.step(INPUTS[:, 0], [h, c, vector], layer.prepare_memory(MEMORY))[0]
    )


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_lstmn_works_in_both_directions(masked):
    layer = keras.layers.Bidirectional(layers.LSTMN(13, return_sequences=True))
    call = {"mask": np.array(PADDING["right"])} if masked else {}
    found = layer(INPUTS, **call)
    forward, backward = layer.forward_layer, layer.backward_layer
    wanted = tf.concat([forward(INPUTS, **call), tf.reverse(backward(INPUTS, **call), [1])], -1)
    assert_close(found, wanted)
    inputs = keras.Input((None, 7))
    model = keras.Model(inputs, keras.layers.Bidirectional(layers.LSTMN(13))(inputs))
    assert model.output_shape == (None, 26)
    assert model(INPUTS).shape == (2, 26)


def test_lstmn_reads_its_past_alone():
    layer, _ = make("lstmn", **ALL)
    outputs, *_, weights = layer(INPUTS)
    assert not np.any(np.triu(weights))
    np.testing.assert_allclose(np.sum(weights, -1), [[0, 1, 1, 1, 1]] * 2, atol=1e-6)
    assert_close(layer(INPUTS[:, :3])[0], outputs[:, :3])


def test_masks_of_embeddings_flow_in_and_that_of_the_inputs_out():
    tokens, words = np.array([[1, 2, 3, 0], [4, 0, 0, 0]]), np.array([[5, 6, 0], [1, 0, 0]])
    embedding, layer = (
        keras.layers.Embedding(7, 11, mask_zero=True),
        layers.AttentionLSTM(13, **ALL),
    )
    outputs, *state, weights = layer(embedding(tokens), embedding(words))
    np.testing.assert_array_equal(weights > 0, (tokens > 0)[..., None] & (words > 0)[:, None])
    np.testing.assert_array_equal(outputs._keras_mask, tokens > 0)
    assert_close(outputs[:, -1], state[0])
    first, second = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    model = keras.Model([first, second], layer(embedding(first), embedding(second)))
    assert_close(model([tokens, words]), [outputs, *state, weights])


@pytest.mark.parametrize(
    "layer",
    [layers.AttentionLSTM, layers.LSTMN, layers.AttentionPooling, layers.TransformerEncoder],
)
def test_a_mask_reaches_a_layer_of_another_dtype(layer):
    """Autocasting makes a new tensor of the inputs; their mask must come along."""
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(7, 6, mask_zero=True)(tokens)
    options = {"return_attention_scores": True}
    call, policy = {}, {"dtype": "mixed_bfloat16"}
    if layer is layers.AttentionLSTM:
        made, call = layer(13, **ALL, **policy), {"memory": MEMORY}
    elif layer is layers.LSTMN:
        made = layer(13, **ALL, **policy)
    else:
        made, call = (
            (layer(13, **policy) if layer is layers.AttentionPooling else layer(2, 13, **policy)),
            options,
        )
    weights = np.float32(made(embedded, **call)[-1])
    wanted = np.float32(made(np.asarray(embedded), **call, mask=tokens > 0)[-1])
    np.testing.assert_allclose(weights, wanted, atol=1e-2)


class Translator(keras.Model):
    """A subclassed model that attends to a second input."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.layers.Dense(5, "tanh")
        self.decoder = layers.AttentionLSTM(13, return_sequences=True, return_attention_scores=True)
        self.head = keras.layers.Dense(3)

    def call(self, inputs, training=None):
        source, target = inputs
        outputs, _ = self.decoder(target, self.encoder(source), training=training)
        return self.head(outputs)


def test_trains_in_a_subclassed_model(tmp_path):
    model, source, target = Translator(), normal(8, 3, 7), normal(8, 5, 11)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    labels = np.random.default_rng(0).integers(0, 3, (8, 5))
    history = model.fit([source, target], labels, batch_size=4, epochs=4, verbose=0).history["loss"]
    assert history == sorted(history, reverse=True)
    model.save_weights(tmp_path / "model.weights.h5")
    other = Translator()
    other([source, target])
    other.load_weights(tmp_path / "model.weights.h5")
    assert_close(other([source, target]), model([source, target]))


class PastCell(GatedCell):
    """A user's cell over its own past."""

    attends_to_past = True


def test_a_cell_of_a_user_over_its_own_past():
    layer = layers.AttentionRNN(PastCell(13), **ALL)
    outputs, h, weights = layer(INPUTS)
    assert_close(outputs[:, -1], h)
    np.testing.assert_allclose(np.sum(weights, -1), [[0, 1, 1, 1, 1]] * 2, atol=1e-6)
    assert not np.any(np.triu(weights))
    past = np.concatenate([np.zeros((2, 1, 13)), outputs], 1)[:, :-1]
    keep, forget, kernel, query_kernel, key_kernel, scale = layer.get_weights()
    hidden = np.tanh((past @ query_kernel)[:, :, None] + (outputs @ key_kernel)[:, None])
    read = references.softmax(hidden @ scale, np.tril(np.ones((5, 5), "bool"), -1))
    assert_close(weights, read)
    joined, context = np.concatenate([past, INPUTS], -1), read @ np.asarray(outputs)
    candidate = np.tanh(np.concatenate([context, INPUTS], -1) @ kernel)
    gates = references.sigmoid(joined @ keep), references.sigmoid(joined @ forget)
    assert_close(outputs, gates[0] * candidate + (1 - gates[1]) * past)


def test_options_of_the_cell_reach_it_and_come_back():
    layer = layers.AttentionLSTM(
        13,
        activation="relu",
        recurrent_activation="hard_sigmoid",
        use_bias=False,
        kernel_initializer="he_normal",
        recurrent_initializer="zeros",
        kernel_regularizer="l2",
        recurrent_regularizer="l1",
        go_backwards=True,
    )
    layer(INPUTS, MEMORY)
    assert [w.path.split("/")[-1] for w in layer.weights] == [
        "kernel",
        "recurrent_kernel",
        "query_kernel",
        "key_kernel",
        "scale",
    ]
    assert len(layer.losses) == 2
    assert not np.any(layer.get_weights()[1])
    copy = layers.AttentionLSTM.from_config(layer.get_config())
    assert copy.cell.activation is keras.activations.relu and copy.go_backwards


def test_the_forget_gate_starts_open():
    layer = layers.AttentionLSTM(13)
    layer(INPUTS, MEMORY)
    np.testing.assert_array_equal(layer.cell.bias, [0] * 13 + [1] * 13 + [0] * 26)
    closed = layers.AttentionLSTM(13, unit_forget_bias=False)
    closed(INPUTS, MEMORY)
    assert not np.any(closed.cell.bias)
