"""Layers on token numbers, before they become vectors or in doing so."""

import math

import keras
from keras import ops

from deepapps.layers.shapes import check_positive, check_rate, output_shape

_MULTIPLIER = 0x9E3779B1  # 2^32 / golden ratio: spreads what is multiplied over the upper bits


@keras.saving.register_keras_serializable("deepapps")
class TokenDropout(keras.Layer):
    """Replaces some tokens by the unknown one in training, so that its vector is learnt and no
    single word is relied on (word dropout; Iyyer et al. 2015).

    Args:
        rate: Share of the tokens, 0 to below 1.
        unknown: Number of the unknown token. Defaults to 1; 0 is padding and stays.
        seed: Seed of the choice.
    Call arguments:
        inputs: Integers, `(B, T)`.
        training: Whether tokens are replaced.
    Returns: as the inputs.
    Raises: ValueError when `rate` is out of range.
    """

    def __init__(self, rate, unknown=1, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        self.rate, self.unknown, self.seed = rate, unknown, seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, inputs, training=None):
        if not training or not self.rate:
            return inputs
        chosen = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator) < self.rate
        chosen = ops.logical_and(chosen, ops.not_equal(inputs, 0))
        return ops.where(chosen, ops.cast(self.unknown, inputs.dtype), inputs)

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return output_shape(self, input_shape)

    def get_config(self):
        names = ("rate", "unknown", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("deepapps")
class NGramEmbedding(keras.Layer):
    """For each step, the sum of the vectors of the runs of 2, 3, ... `size` tokens that end with
    the next one.

    Runs are many, so they are not counted but hashed, and some share a vector (Joulin et al. 2016,
    "Bag of tricks for efficient text classification"; Bojanowski et al. 2017).

    Args:
        size: Tokens of the longest runs, at least 2.
        units: Width `D` of a vector.
        buckets: Vectors for the runs of each length, a power of 2. Defaults to 8,192.
        embeddings_initializer: Defaults to "uniform".
    Call arguments:
        inputs: Integers `(B, T)`. 0 is padding, and stands before the beginning and after the end.
    Returns: `(B, T, D)`.
    Raises: ValueError for arguments out of range.
    """

    def __init__(self, size, units, buckets=8192, embeddings_initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(size=size, units=units, buckets=buckets)
        if size < 2 or buckets < 2 or math.log2(buckets) % 1:
            raise ValueError(
                f"`size` must be at least 2 and `buckets` a power of 2. Received: size={size}, "
                f"buckets={buckets}"
            )
        self.size, self.units, self.buckets = size, units, buckets
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, inputs_shape):
        shape = ((self.size - 1) * self.buckets, self.units)
        self.embeddings = self.add_weight(
            name="embeddings", shape=shape, initializer=self.embeddings_initializer
        )

    def call(self, inputs):
        return ops.sum(ops.take(self.embeddings, self.places(inputs), axis=0), axis=-2)

    def places(self, inputs):
        """The row of `embeddings` of each run, `(B, T, size - 1)`."""
        tokens, places = ops.cast(inputs, "uint32"), []
        steps = ops.shape(inputs)[1]
        hashes = ops.pad(tokens, ((0, 0), (0, 1)))[:, 1:]
        for length in range(2, self.size + 1):
            earlier = ops.pad(tokens, ((0, 0), (length - 2, 0)))[:, :steps]
            hashes = (hashes + 1) * ops.cast(_MULTIPLIER, "uint32") + earlier
            spread = ops.right_shift(
                hashes * ops.cast(_MULTIPLIER, "uint32"), 32 - int(math.log2(self.buckets))
            )
            places.append(ops.cast(spread, "int32") + (length - 2) * self.buckets)
        return ops.stack(places, axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape, self.units), self.compute_dtype)

    def compute_output_shape(self, inputs_shape):
        return output_shape(self, inputs_shape)

    def get_config(self):
        names = ("size", "units", "buckets")
        initializer = keras.initializers.serialize(self.embeddings_initializer)
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "embeddings_initializer": initializer,
        }
