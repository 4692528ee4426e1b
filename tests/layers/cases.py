"""The table of the conformance tests: one row for every exported layer, with its reference."""

import dataclasses
import functools
import typing

import keras
import numpy as np
from keras import ops
from layers import references

from deepapps import layers

# All sizes are different primes, so that a swapped axis cannot pass.
SIZES = {"B": 2, "Q": 5, "T": 5, "V": 3, "D": 7, "E": 11, "K": 17, "W": 7 * 11, "P": 2 * 11}
UNITS = 13
ATTENTION = {
    "tensors": {"query": "BQD", "value": "BVE", "key": "BVK"},
    "masks": {
        "query_mask": ("BQ", ["query"]),
        "value_mask": ("BV", ["value", "key"]),
        "attention_mask": ("BQV", []),
    },
    "call": {"return_attention_scores": True},
    "zeros": {"query_mask": [0, 1], "value_mask": [0, 1], "attention_mask": [0, 1]},
    "weights": 1,
}
SAME_WIDTH = {**ATTENTION, "tensors": {"query": "BQD", "value": "BVE", "key": "BVD"}}
CONTEXT = {  # without the weights the context is computed in another way
    "call": {"return_attention_scores": False},
    "zeros": {"query_mask": [0], "value_mask": [0], "attention_mask": [0]},
    "weights": None,
}
RNN = {
    "tensors": {"inputs": "BTD", "memory": "BVE"},
    "masks": {"mask": ("BT", ["inputs"]), "memory_mask": ("BV", ["memory"])},
    "zeros": {"mask": [0, -1], "memory_mask": [-1]},
    "weights": -1,
}
OWN_PAST = {
    "tensors": {"inputs": "BTD"},
    "masks": {"mask": ("BT", ["inputs"])},
    "zeros": {"mask": [0, -1]},
    "weights": -1,
}
ENCODER = {
    "tensors": {"inputs": "BTW"},
    "masks": {"mask": ("BT", ["inputs"])},
    "call": {"return_attention_scores": True},
    "zeros": {"mask": [1]},
    "weights": 1,
}
POSITIONS = {"tensors": {"inputs": "BTD"}}
ALL = {"return_sequences": True, "return_state": True, "return_attention_scores": True}


@keras.saving.register_keras_serializable("tests")
class BilinearWithDistance(layers.Attention):
    """A user's attention, with all three hooks."""

    def build(self, query_shape, value_shape, key_shape=None):
        key_width = (key_shape or value_shape)[-1]
        self.kernel = self.add_weight(name="kernel", shape=(query_shape[-1], key_width))

    def project_key(self, key):
        return ops.matmul(key, ops.transpose(self.kernel))

    def score(self, query, key):
        return ops.matmul(query, ops.swapaxes(key, -1, -2))

    def bias(self, query_positions, key_positions):
        return -ops.abs(query_positions[:, None] - key_positions) / 4


@keras.saving.register_keras_serializable("tests")
class GatedCell(layers.AttentionCell):
    """A user's cell: `h = c * tanh(W [context, x]) + (1 - s) * h` with gates c and s."""

    def build(self, inputs_shape, memory_shape=None):
        super().build(inputs_shape, memory_shape)
        width = inputs_shape[-1] + self.units
        for name, rows in (
            ("keep", width),
            ("forget", width),
            ("kernel", inputs_shape[-1] + self.context_width),
        ):
            setattr(self, name, self.add_weight(name=name, shape=(rows, self.units)))

    def update(self, inputs, context, state):
        (h,) = state
        joined = ops.concatenate([h, inputs], -1)
        keep, forget = (ops.sigmoid(ops.matmul(joined, w)) for w in (self.keep, self.forget))
        candidate = ops.tanh(ops.matmul(ops.concatenate([context, inputs], -1), self.kernel))
        return (keep * candidate + (1 - forget) * h,)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One layer.

    Args:
        covers: The exported classes that the row proves.
        make: Makes the layer, with arguments for `keras.Layer`.
        reference: See `references`.
        tensors: Axes of the call's tensors by their letters in `SIZES`.
        masks: Axes of the masks, and the tensors where what they cover must not matter.
        call: Further arguments of the call.
        zeros: By mask: the outputs that are zero in a batch row where the mask is False everywhere.
        weights: Index of the attention weights in the outputs.
        blocks: Whether the layer takes `block_size`.
        half: Tolerance under mixed precision (of bfloat16).
    """

    covers: tuple
    make: typing.Callable
    reference: typing.Callable
    tensors: dict
    masks: dict = dataclasses.field(default_factory=dict)
    call: dict = dataclasses.field(default_factory=dict)
    zeros: dict = dataclasses.field(default_factory=dict)
    weights: int | None = None
    blocks: bool = False
    half: float = 0.1
    name: str = ""

    def __str__(self):
        return self.name or self.covers[0].__name__

    def axes(self):
        """Letters of all tensors of the call."""
        return {**self.tensors, **{name: letters for name, (letters, _) in self.masks.items()}}

    def sized(self, letters):
        return [(letter, SIZES[letter]) for letter in letters]

    def expected(self, weights, arrays):
        """The outputs that the reference gives."""
        call = {
            name: value for name, value in self.call.items() if name != "return_attention_scores"
        }
        outputs = self.reference(weights, **arrays, **call)
        return outputs if self.call.get("return_attention_scores", True) else outputs[:1]

    def arrays(self, dtype="float32", seed=0, masked=True, **sizes):
        """Random tensors; masks that leave something everywhere, True everywhere if not
        `masked`.
        """
        random, sizes, found = np.random.default_rng(seed), SIZES | sizes, {}
        for name, letters in self.tensors.items():
            found[name] = random.normal(size=[sizes[letter] for letter in letters]).astype(dtype)
        for name, (letters, _) in self.masks.items():
            shape = [sizes[letter] for letter in letters]
            mask = random.random(shape) < 0.6
            np.put_along_axis(mask, random.integers(0, shape[-1], (*shape[:-1], 1)), True, -1)
            found[name] = mask if masked else np.ones(shape, "bool")
        return found

    @functools.cache  # noqa: B019
    def layer(self, dtype="float32", **kwargs):
        """A built layer, with weights all of which matter, the same for every dtype."""
        layer = self.make(dtype=dtype, **kwargs)
        self.run(layer, self.arrays())
        random = np.random.default_rng(7)
        layer.set_weights(
            [random.normal(size=w.shape) / max(w.shape) ** 0.5 for w in layer.weights]
        )
        return layer

    def run(self, layer, arrays, **changes):
        """The outputs of the layer, a list."""
        outputs = layer(**arrays, **{**self.call, **changes})
        return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def case(covers, make, reference, parts, **changes):
    covers = covers if isinstance(covers, tuple) else (covers,)
    return Case(covers, make, reference, **{**parts, **changes})


def recurrent(layer, cell, reference, parts=RNN, **changes):
    return case((layer, cell), lambda **k: layer(UNITS, **ALL, **k), reference, parts, **changes)


CASES = [
    case(
        layers.AdditiveAttention,
        lambda **k: layers.AdditiveAttention(UNITS, **k),
        references.additive,
        {**ATTENTION, **CONTEXT},
        blocks=True,
    ),
    case(
        layers.ConcatAttention,
        lambda **k: layers.ConcatAttention(UNITS, **k),
        references.concat,
        ATTENTION,
        blocks=True,
    ),
    case(
        layers.DotProductAttention,
        layers.DotProductAttention,
        references.dot_product,
        {**SAME_WIDTH, **CONTEXT},
        blocks=True,
    ),
    case(
        layers.ScaledDotProductAttention,
        layers.ScaledDotProductAttention,
        references.scaled_dot_product,
        SAME_WIDTH,
        blocks=True,
    ),
    case(
        layers.Attention,
        BilinearWithDistance,
        references.bilinear_with_distance,
        ATTENTION,
        blocks=True,
    ),
    case(
        layers.MultiHeadAttention,
        lambda **k: layers.MultiHeadAttention(19, 23, **k),
        references.multi_head,
        {**ATTENTION, **CONTEXT},
        blocks=True,
    ),
    case(
        layers.MultiHeadAttention,
        lambda **k: layers.MultiHeadAttention(
            3, 19, value_dim=23, use_gate=True, sliding_window=2, **k
        ),
        functools.partial(references.multi_head, use_gate=True, sliding_window=2),
        ATTENTION,
        call={"return_attention_scores": True, "use_causal_mask": True},
        name="MultiHeadAttention-gate",
    ),
    *(
        case(
            layers.LSTM,
            lambda **k: layers.LSTM(UNITS, return_sequences=True, return_state=True, **k),
            references.plain_lstm,
            {
                "tensors": {"sequences": "BTD"},
                "masks": {"mask": ("BT", ["sequences"])},
                "zeros": {"mask": [0, 1, 2]},
            },
            call={"training": training},
            name="LSTM-training" if training else "",
        )
        for training in (False, True)
    ),
    recurrent(layers.AttentionLSTM, layers.AttentionLSTMCell, references.bahdanau_lstm),
    recurrent(layers.LuongLSTM, layers.LuongLSTMCell, references.luong_lstm),
    recurrent(layers.AttentionGRU, layers.AttentionGRUCell, references.attention_gru),
    recurrent(layers.LSTMN, layers.LSTMNCell, references.lstmn, OWN_PAST),
    case(
        (layers.AttentionRNN, layers.AttentionCell),
        lambda dtype=None, **k: layers.AttentionRNN(
            GatedCell(UNITS, layers.ConcatAttention(29, dtype=dtype), dtype=dtype),
            dtype=dtype,
            **ALL,
            **k,
        ),
        references.gated_rnn,
        RNN,
    ),
    case(
        layers.AttentionPooling,
        lambda **k: layers.AttentionPooling(UNITS, **k),
        references.pooling,
        {
            "tensors": {"inputs": "BTD"},
            "masks": {"mask": ("BT", ["inputs"])},
            "zeros": {"mask": [0, 1]},
        },
        call={"return_attention_scores": True},
        weights=1,
    ),
    case(
        layers.TransformerEncoder,
        lambda **k: layers.TransformerEncoder(7, 13, **k),
        references.encoder,
        ENCODER,
        blocks=True,
    ),
    case(
        layers.TransformerEncoder,
        lambda **k: layers.TransformerEncoder(7, 13, norm_first=False, **k),
        functools.partial(references.encoder, norm_first=False),
        ENCODER,
        name="TransformerEncoder-norm-after",
    ),
    case(
        layers.TransformerDecoder,
        lambda **k: layers.TransformerDecoder(7, 13, **k),
        references.decoder,
        {
            "tensors": {"inputs": "BTW", "memory": "BVE"},
            "masks": RNN["masks"],
            "zeros": {"memory_mask": [1]},
        },
        call={"return_attention_scores": True},
        weights=1,
        blocks=True,
    ),
    case(layers.SinusoidalPositions, layers.SinusoidalPositions, references.sinusoidal, POSITIONS),
    case(
        layers.LearnedPositions,
        lambda **k: layers.LearnedPositions(29, **k),
        references.learned_positions,
        POSITIONS,
    ),
    case(
        layers.RotaryPositions,
        layers.RotaryPositions,
        references.rotary,
        {"tensors": {"inputs": "BTP"}},
    ),
]
