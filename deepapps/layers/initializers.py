"""Initializers that work under every dtype policy."""

import keras
from keras import ops


def drawn_wide(initializer):
    """The initializer as a function that draws in float32 what is of a narrower dtype: there is
    no QR in bfloat16.
    """

    def draw(shape, dtype=None):
        dtype = dtype or keras.config.floatx()
        return ops.cast(initializer(shape, keras.backend.result_type(dtype, "float32")), dtype)

    return draw


@keras.saving.register_keras_serializable("deepapps")
class Orthogonal(keras.initializers.Orthogonal):
    """Keras's orthogonal initializer (Saxe et al. 2014), under bfloat16, too. Arguments are
    those of Keras's.
    """

    def __call__(self, shape, dtype=None):
        return drawn_wide(super().__call__)(shape, dtype)
