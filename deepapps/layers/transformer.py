"""The blocks of a Transformer (Vaswani et al. 2017)."""

import keras

from deepapps.keras_internals import attached_mask
from deepapps.layers.masks import keep
from deepapps.layers.multi_head import MultiHeadAttention
from deepapps.layers.shapes import (
    built_sizes,
    check_built,
    check_masks,
    check_positive,
    check_rate,
    check_shapes,
    output_shape,
)


class TransformerBlock(keras.Layer):
    """What encoder and decoder share: residuals, norms before or after, and the feed-forward
    layers.

    Args: see `TransformerEncoder`.
    """

    def __init__(
        self,
        num_heads,
        hidden_dim,
        dropout=0.0,
        activation="relu",
        norm_first=True,
        epsilon=1e-6,
        seed=None,
        sliding_window=None,
        block_size=None,
        position_encoding=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads, hidden_dim=hidden_dim)
        check_rate(dropout=dropout)
        self.num_heads, self.hidden_dim = num_heads, hidden_dim
        self.dropout, self.norm_first = dropout, norm_first
        self.activation, self.epsilon, self.seed = keras.activations.get(activation), epsilon, seed
        self.sliding_window, self.block_size = sliding_window, block_size
        self.position_encoding = position_encoding
        self.supports_masking, self._seeds = True, -1

    @property
    def _options(self):
        """Arguments of all layers inside."""
        return {"dtype": self.dtype_policy, "trainable": self.trainable}

    def _build_self_attention(self, width):
        options = {
            "sliding_window": self.sliding_window,
            "position_encoding": self.position_encoding,
        }
        self.attention, self.attention_norm = self._build_attention("attention", width, **options)

    def _build_attention(self, name, width, memory_shape=None, **options):
        if width % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the width of the inputs. Received: "
                f"num_heads={self.num_heads}, width {width}"
            )
        attention = MultiHeadAttention(
            self.num_heads,
            width // self.num_heads,
            dropout=self.dropout,
            seed=self._next_seed(),
            block_size=self.block_size,
            name=name,
            **options,
            **self._options,
        )
        attention.build((None, None, width), memory_shape or (None, None, width))
        return attention, self._build_norm(f"{name}_norm", width)

    def _build_norm(self, name, width):
        norm = keras.layers.LayerNormalization(epsilon=self.epsilon, name=name, **self._options)
        norm.build((None, None, width))
        return norm

    def _build_feed_forward(self, width):
        self.hidden_dense = keras.layers.Dense(
            self.hidden_dim, self.activation, name="hidden", **self._options
        )
        self.hidden_dense.build((None, None, width))
        self.output_dense = keras.layers.Dense(width, name="output", **self._options)
        self.output_dense.build((None, None, self.hidden_dim))
        self.feed_forward_norm = self._build_norm("feed_forward_norm", width)
        self.dropout_layer = keras.layers.Dropout(
            self.dropout, seed=self._next_seed(), **self._options
        )

    def _next_seed(self):
        """Another seed for each part, or all would drop alike."""
        self._seeds += 1
        return None if self.seed is None else self.seed + self._seeds

    def _residual(self, inputs, part, norm, training):
        """`inputs + dropout(part)`, normed in the place that `norm_first` says; also what else
        `part` returns.
        """
        result = part(norm(inputs) if self.norm_first else inputs)
        output, *rest = result if isinstance(result, tuple) else (result,)
        output = inputs + self.dropout_layer(output, training=training)
        return output if self.norm_first else norm(output), rest

    def _feed_forward(self, inputs, training):
        parts = (inputs, lambda x: self.output_dense(self.hidden_dense(x)), self.feed_forward_norm)
        return self._residual(*parts, training)[0]

    def get_config(self):
        names = (
            "num_heads",
            "hidden_dim",
            "dropout",
            "norm_first",
            "epsilon",
            "seed",
            "sliding_window",
            "block_size",
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
            "position_encoding": keras.saving.serialize_keras_object(self.position_encoding),
        }

    @classmethod
    def from_config(cls, config):
        encoding = keras.saving.deserialize_keras_object(config.get("position_encoding"))
        return cls(**{**config, "position_encoding": encoding})


@keras.saving.register_keras_serializable("deepapps")
class TransformerEncoder(TransformerBlock):
    """Self-attention and feed-forward layers, each with a residual (Vaswani et al. 2017, 3.1).

    Args:
        num_heads: Number of heads; divides the width `D` of the inputs.
        hidden_dim: Width of the feed-forward layer.
        dropout: Rate on the weights of attention and on what each part adds. Defaults to 0.
        activation: Of the feed-forward layer. Defaults to "relu".
        norm_first: Norm before each part (Xiong et al. 2020), which trains without a warm-up but
            wants a `LayerNormalization` after the last block; False norms after, as in the first
            paper. Defaults to True.
        epsilon: Of the norms. Defaults to 1e-6.
        seed: Seed of dropout.
        sliding_window, block_size, position_encoding: As in `MultiHeadAttention`, for
            self-attention.
    Call arguments:
        inputs: `(B, T, D)`.
        mask: Boolean `(B, T)`. Defaults to the mask that the inputs carry.
        attention_mask, use_causal_mask, return_attention_scores, training: As in
        `MultiHeadAttention`.
    Returns: `(B, T, D)`; with the weights `(B, H, T, T)`, a pair.
    Raises: ValueError for arguments out of range and shapes that do not fit.
    """

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        self._build_self_attention(width)
        self._build_feed_forward(width)

    def call(
        self,
        inputs,
        mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        mask = attached_mask(inputs) if mask is None else mask
        self._check(inputs, mask)

        def attend(x):
            return self.attention(
                x,
                x,
                query_mask=mask,
                value_mask=mask,
                attention_mask=attention_mask,
                training=training,
                use_causal_mask=use_causal_mask,
                return_attention_scores=return_attention_scores,
            )

        output, weights = self._residual(keep(inputs, mask), attend, self.attention_norm, training)
        output = self._feed_forward(output, training)
        return (output, *weights) if return_attention_scores else output

    def _check(self, inputs, mask):
        check_masks(mask=mask)
        check_shapes(built_sizes(self, inputs="D"), inputs=(inputs, "B T D"), mask=(mask, "B T"))

    def compute_output_spec(
        self,
        inputs,
        mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        self._check(inputs, mask)
        batch, steps, _ = inputs.shape
        output = keras.KerasTensor(inputs.shape, self.compute_dtype)
        weights = keras.KerasTensor((batch, self.num_heads, steps, steps), self.compute_dtype)
        return (output, weights) if return_attention_scores else output

    def compute_output_shape(self, inputs_shape):
        return output_shape(self, inputs_shape)


@keras.saving.register_keras_serializable("deepapps")
class TransformerDecoder(TransformerBlock):
    """Causal self-attention, attention to a memory, and feed-forward layers (Vaswani et al. 2017,
    3.1).

    Built without a memory it has no attention to one: a block of a language model.

    Args: those of `TransformerEncoder`.
    Call arguments:
        inputs: `(B, T, D)`.
        memory: `(B, Tm, Dm)`, or None. A cache has its projections, so it is not given with one.
        mask: Boolean `(B, T)`. Defaults to the mask that the inputs carry. With a cache it speaks
            of the positions of the cache, `(B, length)`.
        memory_mask: Boolean `(B, Tm)`. Defaults to the mask that the memory carries.
        cache: What `initial_cache` or the call before returned.
        cache_index: Position of the first row of the inputs, a number or a scalar tensor. Defaults
            to 0.
        return_attention_scores: Also return the weights of the attention to the memory, `(B, H, T,
            Tm)`.
        training: Whether dropout is on.
    Returns: `(B, T, D)`; then the weights if asked for; then the cache if one was given. More make
        a tuple.
    Raises: ValueError for arguments out of range and shapes that do not fit.
    """

    def build(self, inputs_shape, memory_shape=None):
        width = inputs_shape[-1]
        self._build_self_attention(width)
        self.reads_memory = memory_shape is not None
        if self.reads_memory:
            self.memory_attention, self.memory_norm = self._build_attention(
                "memory_attention", width, memory_shape
            )
        self._build_feed_forward(width)

    def call(
        self,
        inputs,
        memory=None,
        mask=None,
        memory_mask=None,
        cache=None,
        cache_index=0,
        return_attention_scores=False,
        training=None,
    ):
        if mask is None and cache is None:
            mask = attached_mask(inputs)
        self._check(inputs, memory, mask, memory_mask, cache, return_attention_scores)
        own, read = (None, None) if cache is None else cache

        def attend(x):
            masks = (
                {"value_mask": mask}
                if cache is not None
                else {"value_mask": mask, "query_mask": mask}
            )
            return self.attention(
                x,
                x,
                use_causal_mask=True,
                cache=own,
                cache_index=cache_index,
                training=training,
                **masks,
            )

        def read_memory(x):
            return self.memory_attention(
                x,
                memory,
                value_mask=memory_mask,
                return_attention_scores=return_attention_scores,
                cache=read,
                training=training,
            )

        weights, inputs = [], keep(inputs, mask if cache is None else None)
        output, written = self._residual(inputs, attend, self.attention_norm, training)
        if self.reads_memory:
            output, rest = self._residual(output, read_memory, self.memory_norm, training)
            weights = rest[:1] if return_attention_scores else []
        results = [self._feed_forward(output, training), *weights]
        if cache is not None:
            results.append((written[0], read))
        return results[0] if len(results) == 1 else tuple(results)

    def initial_cache(self, batch_size, length, memory=None, memory_mask=None):
        """The cache before the first step: room for `length` positions, and the projections of the
        memory.

        Args:
            batch_size: `B`.
            length: The most positions there will be.
            memory: `(B, Tm, Dm)`, where the block was built with one.
            memory_mask: Boolean `(B, Tm)`.
        """
        check_built(self, "initial_cache")
        if self.reads_memory == (memory is None):
            raise ValueError(
                f"`memory` must {'' if self.reads_memory else 'not '}be given. Received: "
                f"{type(memory).__name__}"
            )
        memory_mask = attached_mask(memory) if memory_mask is None else memory_mask
        read = (
            self.memory_attention.project_memory(keep(memory, memory_mask))
            if self.reads_memory
            else None
        )
        return self.attention.initial_cache(batch_size, length), read

    def compute_output_spec(
        self,
        inputs,
        memory=None,
        mask=None,
        memory_mask=None,
        cache=None,
        cache_index=0,
        return_attention_scores=False,
        training=None,
    ):
        self._check(inputs, memory, mask, memory_mask, cache, return_attention_scores)
        results = [keras.KerasTensor(inputs.shape, self.compute_dtype)]
        if return_attention_scores:
            places = memory.shape[1] if cache is None else cache[1][0].shape[2]
            shape = (inputs.shape[0], self.num_heads, inputs.shape[1], places)
            results.append(keras.KerasTensor(shape, self.compute_dtype))
        if cache is not None:
            results.append(
                keras.tree.map_structure(
                    lambda part: keras.KerasTensor(part.shape, part.dtype), cache
                )
            )
        return results[0] if len(results) == 1 else tuple(results)

    def compute_output_shape(self, inputs_shape, memory_shape=None):
        return output_shape(self, inputs_shape, memory_shape)

    def _check(self, inputs, memory, mask, memory_mask, cache, return_attention_scores):
        if cache is not None and memory is not None:
            raise ValueError(
                "`memory` must not be given with a `cache`, which has its projections. Received: "
                "both"
            )
        if cache is None and self.reads_memory and memory is None:
            raise ValueError(
                "`memory` must be given: this decoder was built with one. Received: None"
            )
        if not self.reads_memory and (memory is not None or return_attention_scores):
            raise ValueError(
                "`memory` and `return_attention_scores` need a decoder built with a memory. "
                "Received: one built without"
            )
        check_masks(mask=mask, memory_mask=memory_mask)
        check_shapes(
            built_sizes(self, inputs="D", memory="Dm"),
            inputs=(inputs, "B T D"),
            memory=(memory, "B Tm Dm"),
            memory_mask=(memory_mask, "B Tm"),
            mask=(mask, "B T" if cache is None else "B L"),
        )
