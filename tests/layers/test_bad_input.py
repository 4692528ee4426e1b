"""Bad input is a ValueError that names the argument, the rule and what was received."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from deepapps import layers


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


def mask(*shape):
    return np.ones(shape, "bool")


class Shapeless(layers.Attention):
    """A user's score that forgets the axis of the queries."""

    def score(self, query, key):
        return ops.sum(key, axis=-1)


class TooWide(layers.Attention):
    """A user's score that gives a number too many."""

    def score(self, query, key):
        return ops.matmul(query, ops.swapaxes(ops.concatenate([key, key[:, :1]], 1), -1, -2))


BAD_ARGUMENTS = {
    "units zero": (
        lambda: layers.AdditiveAttention(0),
        "`units` must be a positive whole number",
        "units=0",
    ),
    "units negative": (
        lambda: layers.ConcatAttention(-3),
        "`units` must be a positive",
        "units=-3",
    ),
    "units fraction": (
        lambda: layers.AttentionLSTM(2.5),
        "`units` must be a positive whole number",
        "units=2.5",
    ),
    "units of a GRU": (lambda: layers.AttentionGRU(0), "`units` must be a positive", "units=0"),
    "units of pooling": (
        lambda: layers.AttentionPooling(0),
        "`units` must be a positive",
        "units=0",
    ),
    "heads": (
        lambda: layers.MultiHeadAttention(0, 8),
        "`num_heads` must be a positive",
        "num_heads=0",
    ),
    "key_dim": (
        lambda: layers.MultiHeadAttention(2, -1),
        "`key_dim` must be a positive",
        "key_dim=-1",
    ),
    "value_dim": (
        lambda: layers.MultiHeadAttention(2, 8, 0),
        "`value_dim` must be a positive",
        "value_dim=0",
    ),
    "flash": (
        lambda: layers.MultiHeadAttention(2, 8, flash_attention=True),
        "`flash_attention` must be None",
        "",
    ),
    "dropout one": (
        lambda: layers.AdditiveAttention(3, dropout=1.0),
        "`dropout` must be at least 0",
        "dropout=1.0",
    ),
    "dropout below": (
        lambda: layers.AttentionLSTM(3, dropout=-0.1),
        "`dropout` must be at least 0",
        "dropout=-0.1",
    ),
    "window": (
        lambda: layers.DotProductAttention(sliding_window=0),
        "`sliding_window` must be",
        "sliding_window=0",
    ),
    "block size": (
        lambda: layers.DotProductAttention(block_size=0),
        "`block_size` must be",
        "block_size=0",
    ),
    "attention": (
        lambda: layers.AttentionLSTM(3, "dot"),
        "`attention` must be an `Attention`",
        "attention='dot'",
    ),
    "cell": (
        lambda: layers.AttentionRNN(keras.layers.LSTMCell(3)),
        "`cell` must be an `AttentionCell`",
        "LSTMCell",
    ),
    "heads of an encoder": (
        lambda: layers.TransformerEncoder(0, 8),
        "`num_heads` must be a positive",
        "num_heads=0",
    ),
    "hidden_dim": (
        lambda: layers.TransformerDecoder(2, 0),
        "`hidden_dim` must be a positive",
        "hidden_dim=0",
    ),
    "dropout of a block": (
        lambda: layers.TransformerEncoder(2, 8, dropout=2),
        "`dropout` must be",
        "dropout=2",
    ),
    "output shape of a fraction": (
        lambda: layers.MultiHeadAttention(2, 8, output_shape=8.0),
        "`output_shape` must be a positive whole",
        "output_shape=8.0",
    ),
    "output shape zero": (
        lambda: layers.MultiHeadAttention(2, 8, output_shape=0),
        "`output_shape` must be",
        "output_shape=0",
    ),
    "no output shape": (
        lambda: layers.MultiHeadAttention(2, 8, output_shape=()),
        "`output_shape` must hold",
        "output_shape=()",
    ),
    "max_length": (
        lambda: layers.LearnedPositions(0),
        "`max_length` must be a positive",
        "max_length=0",
    ),
}

QUERY, VALUE = ones(2, 5, 7), ones(2, 3, 11)
INPUTS, MEMORY = QUERY, VALUE
NARROW = ones(2, 3, 4)  # of another width than the layer was built with

# layer, the arguments of a good call, what is changed in it, rule, what was received
BAD_CALLS = {
    "query rank": ("query", ones(2, 7), "`query` must have the shape", "(2, 7)"),
    "value rank": ("value", ones(2, 3, 11, 1), "`value` must have the shape", "(2, 3, 11, 1)"),
    "value batch": ("value", ones(4, 3, 11), "`value` must have the shape", "(4, 3, 11)"),
    "key length": ("key", ones(2, 4, 11), "`key` must have the shape", "(2, 4, 11)"),
    "query width": ("query", ones(2, 5, 4), "`query` must", "(2, 5, 4)"),
    "value width": ("value", NARROW, "`value` must", "(2, 3, 4)"),
    "query_mask shape": ("query_mask", mask(2, 3), "`query_mask` must have the shape", "(2, 3)"),
    "query_mask rank": (
        "query_mask",
        mask(2, 5, 1),
        "`query_mask` must have the shape",
        "(2, 5, 1)",
    ),
    "value_mask shape": ("value_mask", mask(2, 5), "`value_mask` must have the shape", "(2, 5)"),
    "key_mask batch": ("key_mask", mask(1, 3), "`key_mask` must have the shape", "(1, 3)"),
    "value_mask type": ("value_mask", ones(2, 3), "`value_mask` must be boolean", "float32"),
    "attention_mask shape": (
        "attention_mask",
        mask(2, 3, 5),
        "`attention_mask` must have the shape",
        "(2, 3, 5)",
    ),
    "attention_mask batch": (
        "attention_mask",
        mask(4, 5, 3),
        "`attention_mask` must have the shape",
        "(4, 5, 3)",
    ),
    "attention_mask rank": (
        "attention_mask",
        mask(3),
        "`attention_mask` must have the shape",
        "(3,)",
    ),
    "attention_mask type": (
        "attention_mask",
        ones(2, 5, 3),
        "`attention_mask` must be boolean",
        "float32",
    ),
}
BAD_CALLS_OF_RECURRENCES = {
    "inputs rank": ("inputs", ones(2, 7), "`inputs` must have the shape", "(2, 7)"),
    "inputs width": ("inputs", ones(2, 5, 4), "`inputs` must", "(2, 5, 4)"),
    "memory rank": ("memory", ones(2, 11), "`memory` must have the shape", "(2, 11)"),
    "memory batch": ("memory", ones(4, 3, 11), "`memory` must have the shape", "(4, 3, 11)"),
    "memory width": ("memory", NARROW, "`memory` must", "(2, 3, 4)"),
    "memory missing": ("memory", None, "`memory` must be given", "None"),
    "mask shape": ("mask", mask(2, 3), "`mask` must have the shape", "(2, 3)"),
    "mask type": ("mask", ones(2, 5), "`mask` must be boolean", "float32"),
    "memory_mask shape": ("memory_mask", mask(2, 5), "`memory_mask` must have the shape", "(2, 5)"),
    "memory_mask type": ("memory_mask", ones(2, 3), "`memory_mask` must be boolean", "float32"),
    "state width": ("initial_state", [ones(2, 5)], "`initial_state", "(2, 5)"),
    "state batch": ("initial_state", [ones(3, 13)], "`initial_state", "(3, 13)"),
    "states too many": (
        "initial_state",
        [ones(2, 13)] * 4,
        "`initial_state` must hold at most",
        "(2, 13)",
    ),
}


def raises(rule, received):
    return pytest.raises(ValueError, match=f"(?s){re.escape(rule)}.*{re.escape(received)}")


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments(name):
    make, rule, received = BAD_ARGUMENTS[name]
    with raises(rule, received):
        make()


def built_and_new(calls):
    """A layer that is new takes any width."""
    pairs = [(name, built) for name in calls for built in (True, False)]
    return [
        (name, built)
        for name, built in pairs
        if built or name.split()[1:] != ["width"] or "state" in name
    ]


@pytest.mark.parametrize("name, built", built_and_new(BAD_CALLS))
@pytest.mark.parametrize("kind", ["additive", "multi-head"])
def test_bad_calls_of_attention(name, kind, built):
    argument, bad, rule, received = BAD_CALLS[name]
    layer = layers.AdditiveAttention(13) if kind == "additive" else layers.MultiHeadAttention(3, 13)
    good = {"query": QUERY, "value": VALUE}
    if built:
        layer(**good)
    elif name == "query rank" and kind == "multi-head":
        rule = "`query` must"
    with raises(rule, received):
        layer(**{**good, argument: bad})


@pytest.mark.parametrize("name, built", built_and_new(BAD_CALLS_OF_RECURRENCES))
def test_bad_calls_of_recurrences(name, built):
    argument, bad, rule, received = BAD_CALLS_OF_RECURRENCES[name]
    layer, good = layers.AttentionLSTM(13), {"inputs": INPUTS, "memory": MEMORY}
    if built:
        layer(**good)
    elif name == "memory missing":
        rule = "needs a `memory`"
    with raises(rule, received):
        layer(**{**good, argument: bad})


@pytest.mark.parametrize(
    "name", ["query rank", "value batch", "query_mask shape", "attention_mask type"]
)
@pytest.mark.parametrize("kind", ["additive", "multi-head"])
def test_bad_symbolic_calls(name, kind):
    """Already where a functional model is made."""
    argument, bad, rule, received = BAD_CALLS[name]
    layer = layers.AdditiveAttention(13) if kind == "additive" else layers.MultiHeadAttention(3, 13)
    arrays = {"query": QUERY, "value": VALUE, argument: bad}
    with raises(rule, received):
        layer(
            **{n: keras.KerasTensor(array.shape, str(array.dtype)) for n, array in arrays.items()}
        )


def test_bad_calls_of_recurrences_are_found_in_a_functional_model():
    layer, inputs = layers.AttentionLSTM(13), keras.KerasTensor((2, 5, 7))
    with raises("`memory` must have the shape", "(2, 11)"):
        layer(inputs, keras.KerasTensor((2, 11)))
    with raises("needs a `memory`", "None"):
        layers.AttentionLSTM(13)(inputs)


def test_a_bad_mask_is_found_while_tracing():
    layer = layers.AttentionLSTM(13)
    layer(INPUTS, MEMORY)
    traced = tf.function(lambda inputs, memory, mask: layer(inputs, memory, memory_mask=mask))
    specs = [
        tf.TensorSpec((None, None, 7)),
        tf.TensorSpec((None, 3, 11)),
        tf.TensorSpec((None, 5), "bool"),
    ]
    with raises("`memory_mask` must have the shape", "(None, 5)"):
        traced.get_concrete_function(*specs)


def test_an_lstmn_takes_no_memory():
    with raises("takes no `memory`", "(2, 3, 11)"):
        layers.LSTMN(13)(INPUTS, MEMORY)
    layer = layers.LSTMN(13)
    layer(INPUTS)
    with raises("`memory` must not be given", "(2, 3, 11)"):
        layer(INPUTS, MEMORY)


@pytest.mark.parametrize("kind", [layers.DotProductAttention, layers.ScaledDotProductAttention])
def test_a_dot_product_needs_equal_widths(kind):
    with raises("`query` and `value` must be of the same width", "(7, 11)"):
        kind()(QUERY, VALUE)
    with raises("`query` and `key` must be of the same width", "(7, 4)"):
        kind()(QUERY, VALUE, NARROW)


@pytest.mark.parametrize("kind, shape", [(Shapeless, "(2, 3)"), (TooWide, "(2, 5, 4)")])
def test_a_score_of_the_wrong_shape(kind, shape):
    with raises(f"`score` of {kind.__name__} must return the shape (2, 5, 3)", shape):
        kind()(QUERY, ones(2, 3, 7))
    with raises(f"`score` of {kind.__name__} must return the shape", "Received: shape"):
        tf.function(kind(block_size=2))(QUERY, ones(2, 3, 7))


def test_a_score_of_the_wrong_shape_in_a_recurrence():
    with raises("`score` of TooWide must return the shape (2, 1, 3)", "(2, 1, 4)"):
        layers.AttentionLSTM(7, TooWide())(INPUTS, ones(2, 3, 7))


def test_multi_head_attention_needs_a_value_or_a_cache():
    layer = layers.MultiHeadAttention(3, 13)
    layer(QUERY, VALUE)
    with raises("`value` must be given", "value=None"):
        layer(QUERY)


def test_a_mask_for_each_head_has_as_many_heads():
    layer = layers.MultiHeadAttention(3, 13)
    layer(QUERY, VALUE)
    with raises("`attention_mask` must have the shape", "(2, 2, 5, 3)"):
        layer(QUERY, VALUE, attention_mask=mask(2, 2, 5, 3))


def test_a_cache_of_another_batch():
    layer = layers.MultiHeadAttention(3, 13)
    layer(QUERY, QUERY)
    with raises("must have the shape", "(4, 3, 9, 13)"):
        layer(QUERY, QUERY, cache=layer.initial_cache(4, 9))


def test_a_grid_is_checked_like_a_sequence():
    layer, grid = layers.MultiHeadAttention(3, 13, attention_axes=(1, 2)), ones(2, 5, 3, 7)
    layer(grid, grid)
    with raises("`value` must", "(2, 3, 7)"):
        layer(grid, ones(2, 3, 7))
    with raises("`value_mask` must", "(2, 5)"):
        layer(grid, grid, value_mask=mask(2, 5))


def test_pooling():
    with raises("`inputs` must have the shape", "(2, 7)"):
        layers.AttentionPooling(3)(ones(2, 7))
    with raises("`mask` must have the shape", "(2, 3)"):
        layers.AttentionPooling(3)(INPUTS, mask=mask(2, 3))
    with raises("`mask` must be boolean", "float32"):
        layers.AttentionPooling(3)(INPUTS, mask=ones(2, 5))
    layer = layers.AttentionPooling(3)
    layer(INPUTS)
    with raises("`inputs` must", "(2, 5, 4)"):
        layer(ones(2, 5, 4))


@pytest.mark.parametrize("kind", [layers.TransformerEncoder, layers.TransformerDecoder])
def test_blocks_of_a_transformer(kind):
    with raises("`num_heads` must divide the width of the inputs", "num_heads=3, width 7"):
        kind(3, 13)(INPUTS)
    for call, rule, received in (
        ({"inputs": ones(2, 7)}, "`inputs` must have the shape", "(2, 7)"),
        ({"mask": mask(2, 3)}, "`mask` must have the shape", "(2, 3)"),
        ({"mask": ones(2, 5)}, "must be boolean", "float32"),
        ({"inputs": ones(2, 5, 14)}, "`inputs` must", "(2, 5, 14)"),
    ):
        layer = kind(7, 13)
        layer(INPUTS)
        with raises(rule, received):
            layer(**{"inputs": INPUTS, **call})


def test_the_memory_of_a_decoder():
    layer = layers.TransformerDecoder(7, 13)
    layer(INPUTS, MEMORY)
    with raises("`memory` must be given", "None"):
        layer(INPUTS)
    with raises("`memory` must have the shape", "(4, 3, 11)"):
        layer(INPUTS, ones(4, 3, 11))
    with raises("`memory_mask` must have the shape", "(2, 5)"):
        layer(INPUTS, MEMORY, memory_mask=mask(2, 5))
    without = layers.TransformerDecoder(7, 13)
    without(INPUTS)
    with raises("`memory` and `return_attention_scores` need", "without"):
        without(INPUTS, MEMORY)


def test_positions():
    with raises("`inputs` must have at most max_length=3 steps", "5"):
        layers.LearnedPositions(3)(INPUTS)
    with raises("`inputs` must have the shape", "(2, 7)"):
        layers.SinusoidalPositions()(ones(2, 7))
    with raises("`inputs` must have an even number of features", "7"):
        layers.RotaryPositions()(INPUTS)
    rotary = layers.MultiHeadAttention(3, 13, position_encoding=layers.RotaryPositions())
    with raises("must have an even number of features", "13"):
        rotary(QUERY, QUERY)
