"""A sequence to a vector."""

import keras
from keras import ops

from deepapps.layers.attention import Attention
from deepapps.layers.products import project, weighted_sum
from deepapps.layers.shapes import (
    built_sizes,
    check_masks,
    check_positive,
    check_shapes,
    clone,
    output_shape,
)


@keras.saving.register_keras_serializable("deepapps")
class AttentionPooling(Attention):
    """A weighted sum over a sequence: `weights = softmax(v . tanh(W h + b))` (Yang et al. 2016, eq.
    5 to 7).

    Args:
        units: Width `U` of the hidden layer. Defaults to the width of the inputs.
        kernel_initializer: Of `W` and `v`. Defaults to "glorot_uniform".
        kwargs: `dropout`, `hard` and `seed` of `Attention`, and those of `keras.Layer`.
    Call arguments:
        inputs: `(B, T, D)`.
        mask: Boolean `(B, T)`. A sequence without a True position gives zeros.
        return_attention_scores: Also return the weights, `(B, T)`. Defaults to False.
        training: Whether dropout and hard samples are on.
    Returns: `(B, D)`; with the weights, a pair.
    Raises: ValueError for shapes that do not fit and masks that are not boolean.
    """

    def __init__(self, units=None, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(["units"], units=units)
        self.units, self.kernel_initializer = units, keras.initializers.get(kernel_initializer)

    def build(self, inputs_shape):
        units = self.units or inputs_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(inputs_shape[-1], units),
            initializer=clone(self.kernel_initializer),
        )
        self.bias_weight = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.scale = self.add_weight(
            name="scale", shape=(units,), initializer=clone(self.kernel_initializer)
        )

    def project_key(self, key):
        return ops.tanh(project(key, self.kernel) + self.bias_weight)

    def score(self, query, key):
        return weighted_sum(key, self.scale)[..., None, :]  # (B, 1, T): the query is not looked at

    def call(self, inputs, mask=None, return_attention_scores=False, training=None):
        self._check(inputs, mask)
        memory = self.prepare(inputs, mask=mask, training=training)
        nothing = ops.zeros((ops.shape(inputs)[0], 1, inputs.shape[-1]), memory.value.dtype)
        context, weights = self.attend(
            nothing, memory, return_attention_scores=return_attention_scores
        )
        return (context[:, 0], weights[:, 0]) if return_attention_scores else context[:, 0]

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, training=None):
        self._check(inputs, mask)
        context = keras.KerasTensor((inputs.shape[0], inputs.shape[2]), self.compute_dtype)
        weights = keras.KerasTensor(inputs.shape[:2], self.compute_dtype)
        return (context, weights) if return_attention_scores else context

    def _check(self, inputs, mask):
        check_masks(mask=mask)
        check_shapes(built_sizes(self, inputs="D"), inputs=(inputs, "B T D"), mask=(mask, "B T"))

    def compute_output_shape(self, inputs_shape):
        return output_shape(self, inputs_shape)

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "units": self.units, "kernel_initializer": initializer}
