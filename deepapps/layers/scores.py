"""Attention by its score: additive, concat, dot product, scaled dot product."""

import keras
from keras import ops

from deepapps.layers.attention import Attention
from deepapps.layers.products import matmul, project, weighted_sum
from deepapps.layers.shapes import check_positive, clone


@keras.saving.register_keras_serializable("deepapps")
class AdditiveAttention(Attention):
    """Attention of Bahdanau et al. (2015): `score = v . tanh(W_q q + W_k k)`.

    Unlike `keras.layers.AdditiveAttention` it has the projections of query and key, and never holds
    all `(B, Tq, Tv, U)` numbers of a long input.

    Args:
        units: Width `U` of the hidden layer that compares query and key.
        kernel_initializer: Of all weights. Defaults to "glorot_uniform".
        kwargs: Those of `Attention`, which also documents call, masks and errors.
    """

    def __init__(self, units, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = self.score_width = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, query_shape, value_shape, key_shape=None):
        key_width = (key_shape or value_shape)[-1]
        self.query_kernel = self._weight("query_kernel", (query_shape[-1], self.units))
        self.key_kernel = self._weight("key_kernel", (key_width, self.units))
        self.scale = self._weight("scale", (self.units,))

    def _weight(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer=clone(self.kernel_initializer))

    def project_key(self, key):
        return project(key, self.key_kernel)

    def score(self, query, key):
        hidden = ops.tanh(project(query, self.query_kernel)[..., :, None, :] + key[..., None, :, :])
        return weighted_sum(hidden, self.scale)  # (..., Tq, Tv)

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "units": self.units, "kernel_initializer": initializer}


@keras.saving.register_keras_serializable("deepapps")
class ConcatAttention(AdditiveAttention):
    """The "concat" score of Luong et al. (2015): `v . tanh(W [q; k])`, one matrix for the joined
    pair.

    Args: those of `AdditiveAttention`. The pair is never joined: each part meets its rows of `W`.
    """

    def build(self, query_shape, value_shape, key_shape=None):
        self._query_width = query_shape[-1]
        width = self._query_width + (key_shape or value_shape)[-1]
        self.kernel = self._weight("kernel", (width, self.units))
        self.scale = self._weight("scale", (self.units,))

    @property
    def query_kernel(self):
        return ops.convert_to_tensor(self.kernel)[: self._query_width]

    @property
    def key_kernel(self):
        return ops.convert_to_tensor(self.kernel)[self._query_width :]


@keras.saving.register_keras_serializable("deepapps")
class DotProductAttention(Attention):
    """Dot product attention (Luong et al. 2015, "dot"): `score = q . k`.

    Args: those of `Attention`. Query and key are of the same width.
    """

    def build(self, query_shape, value_shape, key_shape=None):
        widths = query_shape[-1], (key_shape or value_shape)[-1]
        if widths[0] != widths[1]:
            name = "value" if key_shape is None else "key"
            raise ValueError(
                f"`query` and `{name}` must be of the same width for a dot product. Received: "
                f"{widths}"
            )

    def score(self, query, key):
        return matmul(query, key, transpose_right=True)


@keras.saving.register_keras_serializable("deepapps")
class ScaledDotProductAttention(DotProductAttention):
    """Scaled dot product attention (Vaswani et al. 2017): `score = q . k / sqrt(D)`.

    Args: those of `Attention`. Query and key are of the same width `D`.
    """

    def score(self, query, key):
        return super().score(query * query.shape[-1] ** -0.5, key)
