"""Networks for translation: functions from settings to a model from source and target numbers to
logits.

A translator is a `keras.Model`, called on `(sources (B, Ts), targets (B, Tt))`; for each step of
the target, read behind it, it puts out logits of the next one, `(B, Tt, vocabulary)`. Padding, at
the end, is number 0. For decoding
the same layers work step by step: `start` reads the sources, `step` takes one token each.
"""

import typing

import keras
from keras import layers, ops

from deepapps.layers import (
    LSTM,
    AttentionLSTM,
    LuongLSTM,
    Memory,
    ScaledDotProductAttention,
    SinusoidalPositions,
    TransformerDecoder,
    TransformerEncoder,
)


class State(typing.NamedTuple):
    """What decoding hands from step to step; all tensors have the hypotheses along their first
    axis.

    Args:
        memory: What was read of the sources: the same for all hypotheses of a sentence.
        carried: What the steps so far have left behind: each hypothesis has its own.
        position: The number of steps so far.
        table: The vectors of the target vocabulary as columns `(D, vocabulary)`, laid out once for
            all steps.
    """

    memory: typing.Any
    carried: typing.Any
    position: typing.Any = 0
    table: typing.Any = None


class Translator(keras.Model):
    """What both networks share: embeddings, and logits by their transpose (Press & Wolf 2017).

    Args:
        vocabularies: Number of tokens of source and target.
        units: Width `D` of the network.
        shared: Whether one embedding serves both sides, which then have one vocabulary.
        dropout: Share of outputs dropped in training.
    """

    def __init__(self, vocabularies, units, shared, dropout, **kwargs):
        super().__init__(**kwargs)
        self.vocabularies = list(vocabularies)
        self.units = units
        self.shared = shared
        self.dropout = dropout
        self.source_embedding = self._embedding("source_embedding", vocabularies[0])
        self.target_embedding = (
            self.source_embedding
            if shared
            else self._embedding("target_embedding", vocabularies[1])
        )
        self.bias = self.add_weight(
            name="bias", shape=(vocabularies[1],), initializer="zeros", autocast=False
        )
        self.dropout_layer = layers.Dropout(dropout)

    def call(self, inputs, training=None):
        sources, targets = inputs
        return self.logits(self.read(targets, *self.encode(sources, training), training))

    def logits(self, outputs, table=None):
        """Outputs `(..., D)` to logits of the target vocabulary, in float32, by the table of a
        `State` if given.
        """
        table = self.table() if table is None else table
        return ops.cast(ops.matmul(outputs, table), "float32") + ops.cast(self.bias, "float32")

    def table(self):
        """The vectors of the target vocabulary as columns `(D, vocabulary)`."""
        return ops.transpose(ops.cast(self.target_embedding.embeddings, self.compute_dtype))

    def encode(self, sources, training=False):
        """The memory `(B, Ts, D)` of sources `(B, Ts)`, and its mask."""
        raise NotImplementedError

    def read(self, targets, memory, mask, training=False, return_attention_scores=False):
        """The outputs `(B, Tt, D)` behind each step of the targets `(B, Tt)`, and if asked for the
        weights of the attention to the sources, `(B, Tt, Ts)`: of several heads their mean, of
        several blocks those of the last.
        """
        raise NotImplementedError

    def start(self, sources):
        """The `State` before the first step."""
        raise NotImplementedError

    def step(self, tokens, state):
        """Takes one token of each hypothesis.

        Args:
            tokens: `(B,)`.
            state: From `start` or the last step.
        Returns: logits of the next token `(B, vocabulary)`, weights of the attention to the source
            `(B, Ts)`, state.
        """
        raise NotImplementedError

    def _embedding(self, name, vocabulary):
        spread = keras.initializers.RandomNormal(stddev=self.units**-0.5)
        embedding = layers.Embedding(
            vocabulary, self.units, embeddings_initializer=spread, name=name
        )
        embedding.build((None, None))
        return embedding

    def build(self, input_shape=None):
        """Nothing is left to do: all layers are built as they are made."""

    def get_config(self):
        names = ("vocabularies", "units", "shared", "dropout")
        return {"name": self.name, **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("deepapps")
class RecurrentTranslator(Translator):
    """A bidirectional LSTM reads, an `AttentionLSTM` writes (Bahdanau et al. 2015; or Luong et al.
    2015).

    Args: those of `Translator`, and
        depth: Layers of the encoder.
        attention: "bahdanau" or "luong".
    """

    def __init__(
        self, vocabularies, units, shared, dropout, depth=1, attention="bahdanau", **kwargs
    ):
        super().__init__(vocabularies, units, shared, dropout, **kwargs)
        self.depth, self.attention = depth, attention
        self.encoders = [
            layers.Bidirectional(LSTM(units // 2, return_sequences=True), name=f"encoder_{number}")
            for number in range(depth)
        ]
        options = {"return_sequences": True, "return_attention_scores": True, "name": "decoder"}
        luong = attention == "luong"
        self.decoder = (
            LuongLSTM(units, ScaledDotProductAttention(), **options)
            if luong
            else AttentionLSTM(units, **options)
        )
        self.beginning = [layers.Dense(units, "tanh", name=f"beginning_{part}") for part in "hc"]
        self.readout = layers.Dense(units, "tanh", name="readout")
        width = 2 * (units // 2)
        for layer in self.encoders:
            layer.build((None, None, units if layer is self.encoders[0] else width))
        self.decoder.build((None, None, units), (None, None, width))
        for layer in self.beginning:
            layer.build((None, width))
        self.readout.build((None, None, 2 * units + width))
        self.built = True

    def encode(self, sources, training=False):
        mask = ops.not_equal(sources, 0)
        memory = self.dropout_layer(self.source_embedding(sources), training=training)
        for layer in self.encoders:
            memory = self.dropout_layer(layer(memory, mask=mask), training=training)
        return memory, mask

    def read(self, targets, memory, mask, training=False, return_attention_scores=False):
        inputs = self.dropout_layer(self.target_embedding(targets), training=training)
        outputs, weights = self.decoder(
            inputs,
            memory,
            memory_mask=mask,
            initial_state=self._first(memory, mask),
            training=training,
        )
        outputs = self._out(inputs, outputs, ops.matmul(weights, memory), training)
        return (outputs, weights) if return_attention_scores else outputs

    def start(self, sources):
        memory, mask = self.encode(sources)
        ready = self.decoder.prepare_memory(memory, mask)
        first = self._first(memory, mask)
        carried = self.decoder.initial_state(ops.shape(sources)[0], ready)
        carried = [*first, *carried[len(first) :]]
        return State((ready.value, ready.key, mask), carried, table=self.table())

    def step(self, tokens, state):
        inputs, memory = self.target_embedding(tokens), Memory(*state.memory)
        output, carried, weights = self.decoder.step(inputs, state.carried, memory)
        context = ops.squeeze(ops.matmul(weights[:, None], memory.value), 1)
        logits = self.logits(self._out(inputs, output, context, False), state.table)
        return logits, weights, state._replace(carried=carried, position=state.position + 1)

    def _first(self, memory, mask):
        """h and c before the first step, from the mean of the memory."""
        real = ops.cast(mask, memory.dtype)[..., None]
        mean = ops.sum(memory * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1)
        return [layer(mean) for layer in self.beginning]

    def _out(self, inputs, outputs, context, training):
        joined = ops.concatenate([inputs, outputs, context], axis=-1)
        return self.dropout_layer(self.readout(joined), training=training)

    def get_config(self):
        return {**super().get_config(), "depth": self.depth, "attention": self.attention}


@keras.saving.register_keras_serializable("deepapps")
class TransformerTranslator(Translator):
    """Encoder and decoder of Vaswani et al. (2017), with norms before each part.

    Args: those of `Translator`, and
        depth: Blocks of encoder and decoder each.
        heads: Heads of attention; divide `units`.
    """

    def __init__(self, vocabularies, units, shared, dropout, depth=3, heads=4, **kwargs):
        super().__init__(vocabularies, units, shared, dropout, **kwargs)
        self.depth, self.heads = depth, heads
        self.positions = SinusoidalPositions()
        shape = (None, None, units)
        self.encoders = [
            TransformerEncoder(heads, 4 * units, dropout, name=f"encoder_{number}")
            for number in range(depth)
        ]
        self.decoders = [
            TransformerDecoder(heads, 4 * units, dropout, name=f"decoder_{number}")
            for number in range(depth)
        ]
        self.norms = [
            layers.LayerNormalization(name=f"norm_{side}") for side in ("source", "target")
        ]
        for layer in (*self.encoders, *self.norms):
            layer.build(shape)
        for layer in self.decoders:
            layer.build(shape, shape)
        self.built = True

    def encode(self, sources, training=False):
        mask = ops.not_equal(sources, 0)
        x = self._embedded(self.source_embedding(sources), 0, training)
        for layer in self.encoders:
            x = layer(x, mask=mask, training=training)
        return self.norms[0](x), mask

    def read(self, targets, memory, mask, training=False, return_attention_scores=False):
        x = self._embedded(self.target_embedding(targets), 0, training)
        options, (*others, last) = {"memory_mask": mask, "training": training}, self.decoders
        for layer in others:
            x = layer(x, memory, **options)
        if not return_attention_scores:
            return self.norms[1](last(x, memory, **options))
        x, weights = last(x, memory, return_attention_scores=True, **options)
        return self.norms[1](x), ops.mean(weights, axis=1)

    def start(self, sources):
        memory, mask = self.encode(sources)
        caches = [
            layer.initial_cache(ops.shape(sources)[0], 0, memory, mask) for layer in self.decoders
        ]
        own, read = zip(*caches, strict=True)
        return State((list(read), mask), list(own), table=self.table())

    def step(self, tokens, state):
        (read, mask), carried = state.memory, []
        x = self._embedded(self.target_embedding(tokens[:, None]), state.position, False)
        for layer, own, memory in zip(self.decoders, state.carried, read, strict=True):
            # room for this step
            own = tuple(ops.pad(part, ((0, 0), (0, 0), (0, 1), (0, 0))) for part in own)
            x, weights, (own, _) = layer(
                x,
                cache=(own, memory),
                cache_index=state.position,
                memory_mask=mask,
                return_attention_scores=True,
            )
            carried.append(own)
        weights = ops.mean(weights[:, :, 0], axis=1)  # of the heads of the last block
        logits = self.logits(self.norms[1](x)[:, 0], state.table)
        return logits, weights, state._replace(carried=carried, position=state.position + 1)

    def _embedded(self, vectors, position, training):
        return self.dropout_layer(
            self.positions(vectors * self.units**0.5, start=position), training=training
        )

    def get_config(self):
        return {**super().get_config(), "depth": self.depth, "heads": self.heads}


def attention_lstm(settings, vocabularies, shared):
    """A BiLSTM that reads and an LSTM that attends at every step (Bahdanau et al. 2015)."""
    return RecurrentTranslator(
        vocabularies,
        settings.units,
        shared,
        settings.dropout,
        settings.depth or 1,
        settings.attention,
        name="attention_lstm",
    )


def transformer(settings, vocabularies, shared):
    """Blocks of attention and nothing else (Vaswani et al. 2017), three on each side unless
    `depth` says otherwise.
    """
    heads = next(
        heads for heads in (8, 4, 2, 1) if settings.units % (32 * heads) == 0 or heads == 1
    )
    return TransformerTranslator(
        vocabularies,
        settings.units,
        shared,
        settings.dropout,
        settings.depth or 3,
        heads,
        name="transformer",
    )
