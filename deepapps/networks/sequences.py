"""Networks for sequences: functions from settings to a `keras.Model`, from token numbers to logits.

Padding, at the end of a sequence, is number 0, or a step of zeros. The layer `attention`, where a
network has one, gives the weight of each step, with `return_attention_scores=True`.
"""

import dataclasses

import keras
from keras import layers, ops

from deepapps.layers import (
    LSTM,
    AttentionPooling,
    NGramEmbedding,
    SinusoidalPositions,
    TokenDropout,
    TransformerEncoder,
)
from deepapps.layers.initializers import Orthogonal
from deepapps.networks.channels import channels_last


@channels_last()
def sequence_network(
    settings, outputs, vocabulary=None, ngrams=1, features=None, pairs=False, vectors=None
):
    """The network that `settings.network` names.

    Args:
        settings: The `SequenceSettings`.
        outputs: Number of logits.
        vocabulary: Number of tokens whose vectors are learnt, for inputs `(B, T)`; for pairs `(B,
            2, T)`.
        ngrams: Tokens of the longest runs that have vectors, where the settings do not say.
            Defaults to 1, none.
        features: Width of a step, for inputs `(B, T, features)`.
        pairs: Whether an example is two texts, which one encoder reads; u and v become (u, v, |u -
            v|, u v), as in InferSent (Conneau et al. 2017).
        vectors: Given vectors, `(V, D)`, of the tokens and of V - `vocabulary` further ones. They
            stay as they are, and beside them stand those that begin so and are learnt (two
            channels; Kim 2014). None: random ones.
    Returns: a model to logits `(B, outputs)`.
    """
    ngrams = 1 if vocabulary is None else settings.ngrams or ngrams
    settings = dataclasses.replace(settings, ngrams=ngrams)
    shape, kind = ((None,), "int32") if features is None else ((None, features), "float32")
    inputs = keras.Input(shape, dtype=kind, name="sequence")
    mask = ops.not_equal(inputs if features is None else inputs[..., 0], 0)
    x = inputs
    if vocabulary is not None:
        x = _embedded(settings, inputs, vocabulary, vectors)
    x = ENCODERS[settings.network](settings, x, mask)
    if pairs:
        inputs, x = _compared(settings, keras.Model(inputs, x, name="encoder"))
    x = layers.Dropout(settings.dropout)(x)
    x = layers.Dense(outputs, dtype="float32", name="logits")(x)
    model = keras.Model(inputs, x, name=settings.network.replace("-", "_"))
    if vectors is not None:
        reader = model.get_layer("encoder") if pairs else model
        reader.get_layer("embedding").set_weights([vectors[:vocabulary]])
        reader.get_layer("given").set_weights([vectors])
    return model


def rnn(settings, x, mask):
    """Elman's recurrence (1990), read left to right; its last state."""
    return _recurrent(settings, x, mask, layers.SimpleRNN)


def lstm(settings, x, mask):
    """LSTM (Hochreiter & Schmidhuber 1997), read left to right; its last state."""
    return _recurrent(settings, x, mask, layers.LSTM)


def gru(settings, x, mask):
    """GRU (Cho et al. 2014), read left to right; its last state."""
    return _recurrent(settings, x, mask, layers.GRU)


def bilstm(settings, x, mask):
    """LSTMs from both ends (Graves & Schmidhuber 2005); their last states."""
    return _recurrent(settings, x, mask, LSTM, both=True)


def attention_lstm(settings, x, mask):
    """A bidirectional LSTM whose outputs are summed by attention (Zhou et al. 2016; Yang et al.
    2016).

    With `embeddings`, and where runs of tokens have vectors, the filters of `cnn` stand beside it:
    one run may tell the class.
    """
    outputs = _recurrent(settings, x, mask, LSTM, both=True, whole=True)
    pooled = AttentionPooling(settings.units, name="attention")(outputs, mask=mask)
    if settings.embeddings is None and settings.ngrams == 1:
        return pooled
    return layers.Concatenate()([pooled, cnn(settings, x, mask)])


def transformer(settings, x, mask):
    """Blocks of self-attention (Vaswani et al. 2017), two unless `depth` says otherwise, and
    attention pooling.
    """
    heads = next(heads for heads in (4, 2, 1) if settings.units % heads == 0)
    x = layers.Dense(settings.units, name="width")(x)
    x = SinusoidalPositions()(x)
    for _ in range(settings.depth or 2):
        x = TransformerEncoder(heads, 2 * settings.units, dropout=settings.dropout)(x, mask=mask)
    x = layers.LayerNormalization()(x)
    return AttentionPooling(name="attention")(x, mask=mask)


def cnn(settings, x, mask):
    """Convolutions over 2, 3, 4 and 5 steps, and the largest value of each filter (Kim 2014)."""
    real, parts = ops.expand_dims(mask, -1), []
    x = ops.where(real, x, 0.0)
    for width in (2, 3, 4, 5):
        part = layers.Conv1D(settings.units // 2, width, padding="same", activation="relu")(x)
        parts.append(ops.max(ops.where(real, part, 0.0), axis=1))
    return layers.Concatenate()(parts)


ENCODERS = {
    "attention-lstm": attention_lstm,
    "bilstm": bilstm,
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
    "transformer": transformer,
    "cnn": cnn,
}


def _embedded(settings, inputs, vocabulary, vectors):
    """Tokens, some of them made unknown, as vectors, whose same units are dropped at all steps."""
    tokens = TokenDropout(settings.word_dropout)(inputs)
    if vectors is None:
        x = layers.Embedding(vocabulary, settings.embedding_size, name="embedding")(tokens)
    else:
        x = _two_channels(tokens, vocabulary, vectors.shape)
    if settings.ngrams > 1:
        x = layers.Add()([x, NGramEmbedding(settings.ngrams, x.shape[-1], name="ngrams")(tokens)])
    return layers.SpatialDropout1D(settings.embedding_dropout, name="embedded")(x)


def _two_channels(tokens, vocabulary, shape):
    """The vectors that are learnt beside those that are given, which stand for both where a
    token is a further one.
    """
    given = layers.Embedding(*shape, trainable=False, name="given")(tokens)
    learnt = layers.Embedding(vocabulary, shape[1], name="embedding")(
        ops.minimum(tokens, vocabulary - 1)
    )
    known = ops.expand_dims(tokens < vocabulary, axis=-1)
    return layers.Concatenate()([ops.where(known, learnt, given), given])


def _compared(settings, encoder):
    """Reads both texts of a pair, `(B, 2, T)`, with the same encoder, and compares the two
    vectors.
    """
    inputs = keras.Input((2, None), dtype="int32", name="pair")
    u, v = encoder(inputs[:, 0]), encoder(inputs[:, 1])
    x = layers.Concatenate()([u, v, ops.abs(u - v), u * v])
    return inputs, layers.Dense(settings.units, activation="relu")(x)


def _recurrent(settings, x, mask, kind, both=False, whole=False):
    """Layers of a recurrence; the last states of the last layer, or its `whole` outputs."""
    depth = settings.depth or 1
    for number in range(depth):
        layer = kind(
            settings.units,
            return_sequences=whole or number < depth - 1,
            recurrent_initializer=Orthogonal(),
        )
        x = (layers.Bidirectional(layer) if both else layer)(x, mask=mask)
        x = layers.Dropout(settings.dropout)(x) if number < depth - 1 else x
    return x
