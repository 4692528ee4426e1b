"""Multi-head attention on the template, with a cache for decoding."""

import keras
from keras import ops

from deepapps.keras_internals import attached_mask
from deepapps.layers.attention import Attention, Memory
from deepapps.layers.folding import call_folded
from deepapps.layers.masks import both, keep, keep_rows, mask_axes
from deepapps.layers.precision import in_compute_dtype
from deepapps.layers.products import matmul
from deepapps.layers.shapes import (
    built_sizes,
    check_masks,
    check_positive,
    check_shapes,
    clone,
    positive_axes,
)


class HeadsDense(keras.layers.EinsumDense):
    """Keras's layer, with a bias that is added to its own axes.

    Keras (3.14 to 3.16) on TensorFlow adds a bias of the shape (H, 1) to the steps, if there are H
    of them.
    """

    def call(self, inputs, training=None):
        if self.bias is None or len(self.bias.shape) == 1:
            return super().call(inputs, training)
        outputs = ops.einsum(self.equation, inputs, self.kernel) + ops.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)


@keras.saving.register_keras_serializable("deepapps")
class MultiHeadAttention(Attention):
    """Multi-head scaled dot product attention (Vaswani et al. 2017), on the template `Attention`.

    Takes the constructor and call arguments of `keras.layers.MultiHeadAttention` and has its
    weights, in its order and shapes. Beside that: blocks for long inputs, the hooks `score` and
    `bias` of the template, on tensors `(B, H, T, width)`, an encoding of positions in queries and
    keys, and a cache for decoding step by step. An output row with nothing to attend to is zero.

    Args:
        num_heads: Number of heads `H`.
        key_dim: Width of a head for query and key.
        value_dim: Width of a head for value. Defaults to `key_dim`.
        dropout: Rate of dropout on the weights. Defaults to 0.
        use_bias: Whether the projections have biases. Defaults to True.
        output_shape: Width of the output, or a tuple of its axes. Defaults to the width of the
            query.
        attention_axes: Axes attended over. Defaults to all between the batch and the features.
        sliding_window, block_size, seed: As in `Attention`.
        flash_attention: Taken for Keras's sake; True is a ValueError, since blocks take its place.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint, bias_constraint: Of the projections. Default to "glorot_uniform",
            "zeros" and None.
        use_gate: Multiply the heads by a sigmoid of the query (arXiv:2505.06708). Defaults to
            False.
        position_encoding: A layer called on projected queries and keys, `(B, H, T, key_dim)`, with
            `positions=(T,)`: `RotaryPositions()`. Defaults to None.
    Call arguments: those of `Attention`; `attention_mask` may also be `(B, H, Tq, Tv)`; and
        cache: What `initial_cache` or the call before returned. The projections of `value` are
            written from `cache_index` on, and row i of the query attends to all positions up to
            `cache_index + i`. With `value=None` nothing is written and all positions are attended
            to: so a memory that does not change is projected once, by `project_memory`.
            `value_mask` speaks of the positions of the cache.
        cache_index: Position of the first row, a number or a scalar tensor. Defaults to 0.
    Returns: the output `(B, Tq, D)`; then the weights `(B, H, Tq, Tv)` if asked for, before
        dropout; then the cache if one was given. More than one make a tuple.
    Raises: ValueError for arguments out of range and shapes that do not fit.
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        block_size=None,
        position_encoding=None,
        **kwargs,
    ):
        super().__init__(
            dropout=dropout,
            sliding_window=sliding_window,
            block_size=block_size,
            seed=seed,
            **kwargs,
        )
        check_positive(["value_dim"], num_heads=num_heads, key_dim=key_dim, value_dim=value_dim)
        if flash_attention:
            raise ValueError(
                "`flash_attention` must be None or False: blocks bound the memory here."
            )
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.use_bias, self.use_gate, self.position_encoding = use_bias, use_gate, position_encoding
        self._output_shape = positive_axes("output_shape", output_shape)
        is_one = isinstance(attention_axes, int)
        self.attention_axes = (attention_axes,) if is_one else attention_axes
        self._initializers = {
            "kernel_initializer": keras.initializers.get(kernel_initializer),
            "bias_initializer": keras.initializers.get(bias_initializer),
        }
        self._regularizers = {
            "kernel_regularizer": keras.regularizers.get(kernel_regularizer),
            "bias_regularizer": keras.regularizers.get(bias_regularizer),
        }
        self._constraints = {
            "kernel_constraint": keras.constraints.get(kernel_constraint),
            "bias_constraint": keras.constraints.get(bias_constraint),
        }

    def build(self, query_shape, value_shape, key_shape=None):
        heads = self.num_heads
        self.query_dense = self._projection("query", query_shape[-1], (heads, self.key_dim))
        self.key_dense = self._projection(
            "key", (key_shape or value_shape)[-1], (heads, self.key_dim)
        )
        if self.use_gate:
            self.gate_dense = self._projection(
                "gate", query_shape[-1], (heads, self.value_dim), "sigmoid"
            )
        self.value_dense = self._projection("value", value_shape[-1], (heads, self.value_dim))
        output_shape = self._output_shape or (query_shape[-1],)
        axes = "efghij"[: len(output_shape)]
        self.output_dense = self._dense(
            "attention_output", f"abcd,cd{axes}->ab{axes}", axes, output_shape
        )
        self.output_dense.build((None, None, heads, self.value_dim))

    def _projection(self, name, width, shape, activation=None):
        dense = self._dense(name, "abc,cde->abde", "de", shape, activation)
        dense.build((None, None, width))
        return dense

    def _dense(self, name, equation, bias_axes, shape, activation=None):
        initializers = {
            name: clone(initializer) for name, initializer in self._initializers.items()
        }
        dense = HeadsDense(
            equation,
            (None, *shape),
            activation,
            bias_axes=bias_axes if self.use_bias else None,
            name=name,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            **initializers,
            **self._regularizers,
            **self._constraints,
        )
        dense.supports_masking = True  # Keras would warn
        return dense

    def score(self, query, key):
        return matmul(query * self.key_dim**-0.5, key, transpose_right=True)

    def call(
        self,
        query,
        value=None,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
        cache=None,
        cache_index=0,
    ):
        tensors = (query, value, key, query_mask, value_mask, key_mask, attention_mask)
        if len(query.shape) > 3:
            if cache is not None:
                raise ValueError(
                    f"`cache` needs a query of 3 axes. Received: shape {tuple(query.shape)}"
                )
            return call_folded(self, tensors, use_causal_mask, return_attention_scores, training)
        if cache is not None and value is not None:
            # a mask that Keras took from the new rows is not the cache's
            value_mask = None if value_mask is attached_mask(value) else value_mask
            key_mask = None if key is None or key_mask is attached_mask(key) else key_mask
        self._check_call(
            query, value, key, query_mask, value_mask, key_mask, attention_mask, cache, cache_index
        )
        cache_index = (
            cache_index if isinstance(cache_index, int) else ops.cast(cache_index, "int32")
        )
        if attention_mask is not None and len(attention_mask.shape) < 4:
            pairs = ops.shape(attention_mask)[-2:]
            attention_mask = ops.reshape(attention_mask, (-1, 1, *pairs))  # for all heads
        mask, query = both(value_mask, key_mask), keep(query, query_mask)
        if cache is None:
            keys, values = self.project_memory(keep(value, mask), keep(key, mask))
        else:
            cache = self._written(cache, value, key, cache_index)
            keys, values = (keep(part, None if mask is None else mask[:, None]) for part in cache)
            use_causal_mask = use_causal_mask or value is not None
        mask = None if mask is None else mask[:, None]  # for all heads
        memory = Memory(values, keys, mask, position=cache_index, seed=self.draw_seed(training))
        heads = self._heads(self.query_dense, query, cache_index)
        context, weights = self.attend(
            heads, memory, attention_mask, use_causal_mask, return_attention_scores
        )
        reached = both(self._reached(query, memory, attention_mask, use_causal_mask), query_mask)
        results = [keep_rows(self._output(query, context), reached)]
        if return_attention_scores:
            results.append(keep(weights, None if query_mask is None else query_mask[:, None]))
        if cache is not None:
            results.append(cache)
        return results[0] if len(results) == 1 else tuple(results)

    def initial_cache(self, batch_size, length):
        """An empty cache: projected keys `(B, H, length, key_dim)` and values `(B, H, length,
        value_dim)`.
        """
        shape = (batch_size, self.num_heads, length)
        return tuple(
            ops.zeros((*shape, width), self.compute_dtype)
            for width in (self.key_dim, self.value_dim)
        )

    @in_compute_dtype
    def project_memory(self, value, key=None, position=0):
        """Projected keys and values, `(B, H, Tv, width)`: also the cache of a memory that does not
        change.

        Args:
            value, key: `(B, Tv, D)`; the key defaults to the value.
            position: Position of the first row, for `position_encoding`.
        """
        keys = self._heads(self.key_dense, value if key is None else key, position)
        return keys, self._heads(self.value_dense, value)

    def _written(self, cache, value, key, index):
        """The cache with the projections of the value in it, from the index on."""
        if value is None:
            return cache
        new = self.project_memory(value, key, index)
        return tuple(
            ops.slice_update(old, (0, 0, index, 0), part)
            for old, part in zip(cache, new, strict=True)
        )

    def _heads(self, dense, inputs, position=None):
        """The projection `(B, H, T, width)`, with the positions in it where they are given and
        encoded.
        """
        heads = ops.swapaxes(dense(inputs), 1, 2)
        if position is None or self.position_encoding is None:
            return heads
        positions = position + ops.arange(ops.shape(heads)[-2])
        return ops.cast(self.position_encoding(heads, positions=positions), heads.dtype)

    def _output(self, query, context):
        context = ops.swapaxes(context, 1, 2)
        return self.output_dense(context * self.gate_dense(query) if self.use_gate else context)

    def _reached(self, query, memory, attention_mask, use_causal_mask):
        """Which queries have anything to attend to, `(B, Tq)` or `(Tq,)`; None for all of them."""
        positions = memory.position + ops.arange(ops.shape(query)[1])
        columns = ops.shape(memory.key)[-2]
        if attention_mask is not None:
            visible = self._visible(
                positions, ops.arange(columns), memory.mask, attention_mask, use_causal_mask
            )
            return ops.any(visible, axis=(1, 3))
        if memory.mask is None and not self.sliding_window:
            return None
        # Without a mask of pairs a query sees an interval: count what the mask leaves of it.
        mask = ops.ones((1, columns), "bool") if memory.mask is None else memory.mask[:, 0]
        first, last = ops.zeros_like(positions), ops.zeros_like(positions) + columns - 1
        if self.sliding_window:
            first = ops.clip(positions - self.sliding_window + 1, 0, columns)
            last = ops.minimum(last, positions + self.sliding_window - 1)
        if use_causal_mask:
            last = ops.minimum(last, positions)
        count = ops.cumsum(ops.pad(ops.cast(mask, "int32"), ((0, 0), (1, 0))), axis=-1)
        return ops.take(count, last + 1, axis=-1) > ops.take(count, first, axis=-1)

    def _check_call(
        self,
        query,
        value,
        key,
        query_mask,
        value_mask,
        key_mask,
        attention_mask,
        cache=None,
        cache_index=0,
    ):
        check_masks(
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
        )
        if value is None and cache is None:
            raise ValueError(
                "`value` must be given where there is no `cache`. Received: value=None"
            )
        if cache is not None and (not isinstance(cache, (tuple, list)) or len(cache) != 2):
            raise ValueError(
                f"`cache` must be a pair of keys and values. Received: {type(cache).__name__}"
            )
        keys, values = (None, None) if cache is None else cache
        if cache is not None and value is not None and isinstance(cache_index, int):
            last, room = cache_index + (value.shape[1] or 0), keys.shape[2]
            if room is not None and last > room:
                raise ValueError(
                    "`cache` must have room for the rows from `cache_index` on. Received: rows up "
                    f"to {last}, a cache of {room} positions"
                )
        places = "Tv" if cache is None else "L"
        sizes = built_sizes(self, query="Dq", value="Dv", key="Dk")
        sizes = {"Dk": sizes.get("Dv"), "H": self.num_heads, **sizes}
        check_shapes(
            sizes,
            query=(query, "B Tq Dq"),
            value=(value, "B Tv Dv"),
            key=(key, "B Tv Dk"),
            query_mask=(query_mask, "B Tq"),
            value_mask=(value_mask, f"B {places}"),
            key_mask=(key_mask, f"B {places}"),
            attention_mask=(attention_mask, mask_axes(attention_mask, places)),
            **{"cache[0]": (keys, "B H L key_dim"), "cache[1]": (values, "B H L value_dim")},
        )

    def compute_output_spec(
        self,
        query,
        value=None,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
        cache=None,
        cache_index=0,
    ):
        last = len(query.shape) - 1
        if last < 3:
            self._check_call(
                query, value, key, query_mask, value_mask, key_mask, attention_mask, cache
            )
        axes = tuple(axis % (last + 1) for axis in self.attention_axes or range(1, last))
        outside = [query.shape[axis] for axis in range(last) if axis not in axes]
        columns = [cache[0].shape[2]] if cache is not None else [value.shape[axis] for axis in axes]
        output_shape = (*query.shape[:-1], *(self._output_shape or (query.shape[-1],)))
        results = [keras.KerasTensor(output_shape, self.compute_dtype)]
        if return_attention_scores:
            shape = (*outside, self.num_heads, *[query.shape[axis] for axis in axes], *columns)
            results.append(keras.KerasTensor(shape, self.compute_dtype))
        if cache is not None:
            results.append(
                tuple(keras.KerasTensor(part.shape, self.compute_dtype) for part in cache)
            )
        return results[0] if len(results) == 1 else tuple(results)

    def get_config(self):
        config = super().get_config()
        del config["hard"]
        names = ("num_heads", "key_dim", "value_dim", "use_bias", "attention_axes", "use_gate")
        parts = {
            **self._initializers,
            **self._regularizers,
            **self._constraints,
            "position_encoding": self.position_encoding,
        }
        return {
            **config,
            "output_shape": self._output_shape,
            **{name: getattr(self, name) for name in names},
            **{name: keras.saving.serialize_keras_object(part) for name, part in parts.items()},
        }

    @classmethod
    def from_config(cls, config):
        encoding = keras.saving.deserialize_keras_object(config.get("position_encoding"))
        return cls(**{**config, "position_encoding": encoding})
