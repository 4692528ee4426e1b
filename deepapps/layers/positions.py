"""Positions of a sequence: added as waves or as learned vectors, or turned into queries and
keys.
"""

import keras
from keras import ops

from deepapps.layers.shapes import built_sizes, check_positive, check_shapes, output_shape


@keras.saving.register_keras_serializable("deepapps")
class SinusoidalPositions(keras.Layer):
    """Adds sines and cosines of the position (Vaswani et al. 2017, 3.5).

    Feature 2i is `sin(position / wavelength ^ (2i / D))`, feature 2i + 1 the cosine.

    Args:
        wavelength: The longest is 2 pi times this. Defaults to 10,000.
    Call arguments:
        inputs: `(B, T, D)`.
        start: Position of the first row, a number or a scalar tensor. Defaults to 0.
    Returns: `(B, T, D)`.
    """

    def __init__(self, wavelength=10_000, **kwargs):
        super().__init__(**kwargs)
        self.wavelength, self.supports_masking = wavelength, True

    def call(self, inputs, start=0):
        check_shapes(inputs=(inputs, "B T D"))
        width = inputs.shape[-1]
        positions = ops.cast(start, "int32") + ops.arange(ops.shape(inputs)[1])
        angles = angles_of(positions, (width + 1) // 2, width, self.wavelength, inputs.dtype)
        waves = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        waves = ops.reshape(waves, (-1, 2 * angles.shape[-1]))[:, :width]
        return inputs + ops.cast(waves, inputs.dtype)

    def compute_output_spec(self, inputs, start=0):
        check_shapes(inputs=(inputs, "B T D"))
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return output_shape(self, input_shape)

    def get_config(self):
        return {**super().get_config(), "wavelength": self.wavelength}


@keras.saving.register_keras_serializable("deepapps")
class LearnedPositions(keras.Layer):
    """Adds a learned vector for each position (Gehring et al. 2017).

    Args:
        max_length: Number of positions.
        initializer: Of the vectors. Defaults to "glorot_uniform".
    Call arguments:
        inputs: `(B, T, D)`; `start + T` is at most `max_length`.
        start: Position of the first row, a number or a scalar tensor. Defaults to 0.
    Returns: `(B, T, D)`.
    Raises: ValueError for a longer sequence, where its length is known.
    """

    def __init__(self, max_length, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(max_length=max_length)
        self.max_length, self.supports_masking = max_length, True
        self.initializer = keras.initializers.get(initializer)

    def build(self, inputs_shape):
        shape = (self.max_length, inputs_shape[-1])
        self.embeddings = self.add_weight(
            name="embeddings", shape=shape, initializer=self.initializer
        )

    def call(self, inputs, start=0):
        self._check(inputs, start)
        table = ops.convert_to_tensor(self.embeddings)
        return inputs + ops.slice(table, (start, 0), (ops.shape(inputs)[1], table.shape[1]))

    def compute_output_spec(self, inputs, start=0):
        self._check(inputs, start)
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def _check(self, inputs, start):
        check_shapes(built_sizes(self, inputs="D"), inputs=(inputs, "B T D"))
        start = start if isinstance(start, int) else 0
        if (inputs.shape[1] or 0) + start > self.max_length:
            raise ValueError(
                f"`inputs` must have at most max_length={self.max_length} steps, those before "
                f"`start` included. Received: {inputs.shape[1]} steps, start={start}"
            )

    def compute_output_shape(self, inputs_shape):
        return output_shape(self, inputs_shape)

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "max_length": self.max_length, "initializer": initializer}


@keras.saving.register_keras_serializable("deepapps")
class RotaryPositions(keras.Layer):
    """Turns each pair of features by an angle that grows with the position (Su et al. 2021,
    RoFormer).

    Products of turned queries and keys depend on the distance of their positions alone. Pairs are
    features i and i + D/2. For `MultiHeadAttention(position_encoding=RotaryPositions())`.

    Args:
        wavelength: The longest is 2 pi times this. Defaults to 10,000.
    Call arguments:
        inputs: `(..., T, D)`, `D` even.
        positions: `(T,)`. Defaults to 0, 1, ..., T - 1.
    Returns: `(..., T, D)`.
    Raises: ValueError for an odd width.
    """

    def __init__(self, wavelength=10_000, **kwargs):
        super().__init__(**kwargs)
        self.wavelength, self.supports_masking = wavelength, True

    def call(self, inputs, positions=None):
        self._check(inputs)
        width = inputs.shape[-1]
        positions = ops.arange(ops.shape(inputs)[-2]) if positions is None else positions
        angles = angles_of(positions, width // 2, width, self.wavelength, inputs.dtype)
        sine = ops.cast(ops.sin(angles), inputs.dtype)
        cosine = ops.cast(ops.cos(angles), inputs.dtype)
        first, second = ops.split(inputs, 2, axis=-1)
        return ops.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], axis=-1
        )

    def _check(self, inputs):
        if inputs.shape[-1] % 2:
            raise ValueError(
                f"`inputs` must have an even number of features. Received: {inputs.shape[-1]}"
            )

    def compute_output_spec(self, inputs, positions=None):
        self._check(inputs)
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return output_shape(self, input_shape)

    def get_config(self):
        return {**super().get_config(), "wavelength": self.wavelength}


def angles_of(positions, count, width, wavelength, dtype):
    """The angles `position / wavelength ^ (2i / D)`, `(T, count)`, in float32 at least."""
    dtype = keras.backend.result_type(dtype, "float32")
    exponents = -2.0 * ops.arange(count, dtype=dtype) / width
    return ops.cast(positions, dtype)[:, None] * wavelength**exponents
