"""Dropout of whole tokens."""

import keras
from keras import ops

from deepapps.layers.shapes import check_rate


@keras.saving.register_keras_serializable("deepapps")
class TokenDropout(keras.Layer):
    """Replaces some tokens by the unknown one in training, so that its vector is learnt and no single word is
    relied on (word dropout; Iyyer et al. 2015).

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

    def get_config(self):
        names = ("rate", "unknown", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
