"""The attention template: score, bias, mask, softmax, dropout, weighted sum."""

import inspect
import math
import typing

import keras
from keras import ops

from deepapps.keras_internals import is_compiled_by_xla
from deepapps.layers.blocks import map_blocks
from deepapps.layers.masks import LOWEST, both, choose, keep, mask_axes, masked_softmax, softmax_sum
from deepapps.layers.shapes import (
    built_sizes,
    check_masks,
    check_positive,
    check_rate,
    check_shapes,
    output_shape,
    same_shape,
)

BLOCK_ELEMENTS = 2**22  # what a block of scores holds
DIRECT_ELEMENTS = 2**24  # scores up to here are computed at once


class Memory(typing.NamedTuple):
    """What attention reads, made ready once by `Attention.prepare` and read any number of times.

    Args:
        value: `(..., Tv, Dv)`, zero where the mask is False.
        key: `(..., Tv, D)`, as `project_key` returned it.
        mask: Boolean `(..., Tv)`, or None.
        coverage: `(..., Tv)`: the sum of the weights of earlier steps, or None.
        position: Index of the first query: 0, or the step of an RNN or of decoding.
        seed: Seed of dropout and of hard samples in training; None at inference.
    """

    value: typing.Any
    key: typing.Any
    mask: typing.Any = None
    coverage: typing.Any = None
    position: typing.Any = 0
    seed: typing.Any = None


@keras.saving.register_keras_serializable("deepapps")
class Attention(keras.Layer):
    """The template of all attention here: a subclass writes `score`, and may write the other two
    hooks.

    `weights = softmax(score(query, project_key(key)) + bias)`, `context = weights . value`. A query
    with nothing to attend to, by whatever mask, gets zero weights and a zero context. What stands
    under `query_mask`, `value_mask` or `key_mask` changes nothing, NaN included. The softmax is
    computed in float32 at least. Large scores are computed in blocks of queries and again for the
    gradient, so that memory grows with `Tq + Tv` and not with their product.

    Hooks:
        score(query, key): Scores `(..., Tq, Tv)` of queries `(..., Tq, Dq)` and projected keys. A
            third parameter named `coverage` gets the sum of the weights of earlier steps in an
            attention RNN, `(..., Tv)`, and zeros elsewhere.
        project_key(key): What can be computed once for all queries. Defaults to the key itself.
        bias(query_positions, key_positions): Added to the scores: anything that broadcasts to `(Tq,
            Tv)`, from int32 positions `(Tq,)` and `(Tv,)`, or None, the default.

    Args:
        dropout: Rate of dropout on the weights. Defaults to 0.
        sliding_window: A query attends to keys at most `sliding_window - 1` positions away.
            Defaults to
            None: to all.
        hard: Attend to one position: in training a sample of the weights, with the gradient of the
            weights (straight-through; Bengio et al. 2013), at inference the best. Defaults to
            False.
        block_size: Queries of a block. Defaults to None: no blocks for small scores, else as many
            as keep a block at some megabytes.
        seed: Seed of dropout and of hard samples.
    Call arguments:
        query: `(B, Tq, Dq)`.
        value: `(B, Tv, Dv)`.
        key: `(B, Tv, Dk)`. Defaults to `value`.
        query_mask, value_mask, key_mask: Boolean `(B, Tq)` and `(B, Tv)`; True is kept. Keras fills
            them in from the masks that tensors carry.
        attention_mask: Boolean `(B, Tq, Tv)` or `(Tq, Tv)`.
        use_causal_mask: Query i attends to the keys up to i. Defaults to False.
        return_attention_scores: Also return the weights, `(B, Tq, Tv)`. Defaults to False.
        training: Whether dropout and hard samples are on.
    Returns: the context, `(B, Tq, Dv)`; with the weights, a pair.
    Raises: ValueError for shapes that do not fit, masks that are not boolean, and a `score` of
        another shape.
    """

    score_width = 1  # numbers that `score` holds for each pair of query and key

    def __init__(
        self, dropout=0.0, sliding_window=None, hard=False, block_size=None, seed=None, **kwargs
    ):
        super().__init__(**kwargs)
        check_rate(dropout=dropout)
        optional = {"sliding_window": sliding_window, "block_size": block_size}
        check_positive(optional, **optional)
        self.dropout, self.sliding_window, self.hard = dropout, sliding_window, hard
        self.block_size, self.seed = block_size, seed
        self.supports_masking = True
        has_bias = type(self).bias is not Attention.bias
        # an RNN then counts its steps
        self.uses_positions = bool(has_bias or sliding_window or dropout or hard)
        self.uses_coverage = "coverage" in inspect.signature(self.score).parameters
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout or hard else None

    def score(self, query, key):
        raise NotImplementedError(f"{type(self).__name__} must have a method `score(query, key)`.")

    def project_key(self, key):
        return key

    def bias(self, query_positions, key_positions):
        return None

    def build(self, query_shape, value_shape, key_shape=None):
        """For the weights of a subclass; the template has none."""

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        self._check(query, value, key, query_mask, value_mask, key_mask, attention_mask)
        mask = both(value_mask, key_mask)
        if attention_mask is not None:
            attention_mask = ops.cast(attention_mask, "bool")
            mask = both(mask, ops.any(attention_mask, axis=-2))
            query_mask = both(query_mask, ops.any(attention_mask, axis=-1))
        memory = self.prepare(value, key, mask, training)
        context, weights = self.attend(
            keep(query, query_mask),
            memory,
            attention_mask,
            use_causal_mask,
            return_attention_scores,
        )
        context = keep(context, query_mask)
        return (context, keep(weights, query_mask)) if return_attention_scores else context

    def prepare(self, value, key=None, mask=None, training=False):
        """Makes ready what is to be read: masked places become zero, keys are projected.

        Args:
            value, key: `(..., Tv, D)`; the key defaults to the value.
            mask: Boolean `(..., Tv)`.
            training: Whether dropout and hard samples are on in what reads it.
        Returns: `Memory`.
        """
        mask = both(mask, None)
        value = keep(value, mask)
        key = value if key is None else keep(key, mask)
        return Memory(value, self.project_key(key), mask, seed=self.draw_seed(training))

    def draw_seed(self, training):
        """The seed of a `Memory`: for dropout and hard samples in training, else None."""
        return self.seed_generator.next() if training and self.seed_generator else None

    def attend(
        self,
        query,
        memory,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=True,
    ):
        """Reads the memory.

        Args:
            query: `(..., Tq, Dq)`.
            memory: What `prepare` returned.
            attention_mask: Boolean, broadcasts to `(..., Tq, Tv)`.
            use_causal_mask, return_attention_scores: As in the call.
        Returns: context `(..., Tq, Dv)`, and weights `(..., Tq, Tv)`, None if they are not asked
            for.
        """
        positions = memory.position + ops.arange(ops.shape(query)[-2])
        *leading, queries = ops.shape(query)[:-1]
        # numbers that one row of scores takes
        row = math.prod(leading) * ops.shape(memory.value)[-2] * self.score_width

        def at_once():
            return self._rows(query, positions, memory, attention_mask, use_causal_mask, results)

        def in_blocks():
            larger = max if isinstance(row, int) else ops.maximum
            size = self.block_size or larger(1, BLOCK_ELEMENTS // larger(1, row))
            return self._blocks(
                query, positions, memory, attention_mask, use_causal_mask, size, results
            )

        results = 2 if return_attention_scores else 1
        if query.shape[-2] == 1:
            read = at_once()
        elif self.block_size:
            read = in_blocks()
        elif isinstance(row, int) and isinstance(queries, int):
            read = in_blocks() if row * queries > DIRECT_ELEMENTS else at_once()
        # which takes no gradient of a branch whose sizes it does not know
        elif is_compiled_by_xla():
            read = in_blocks()
        else:  # in floats, since 32 bits are too few
            elements = ops.cast(row, "float32") * ops.cast(queries, "float32")
            read = ops.cond(elements > DIRECT_ELEMENTS, in_blocks, at_once)
        return read[0], read[1] if return_attention_scores else None

    def _blocks(self, query, positions, memory, attention_mask, use_causal_mask, size, results):
        """The same as `_rows`, in blocks of `size` queries."""
        blocked = [query, positions[:, None], *([] if attention_mask is None else [attention_mask])]
        shared = {name: value for name, value in memory._asdict().items() if value is not None}
        del shared["position"]  # is in `positions`

        def block(query, positions, *tensors, known=None):
            mask = tensors[len(blocked) - 3] if attention_mask is not None else None
            view = Memory(
                **{"mask": None, **dict(zip(shared, tensors[len(blocked) - 2 :], strict=True))}
            )
            return self._rows(query, positions[:, 0], view, mask, use_causal_mask, results, known)

        return map_blocks(block, blocked, list(shared.values()), size, self, results)

    def _rows(self, query, positions, memory, attention_mask, use_causal_mask, results, known=None):
        """The context of the queries at these positions, and with two results the weights;
        `known` if known.
        """
        columns = ops.arange(ops.shape(memory.value)[-2])
        scores = self._scores(query, memory)
        mask = self._visible(positions, columns, memory.mask, attention_mask, use_causal_mask)
        bias = self.bias(positions, columns)
        if bias is not None:
            self._check_bias(bias, scores)
            bias = ops.cast(bias, scores.dtype)
            scores, mask = scores + bias, both(mask, bias > LOWEST)  # a bias may forbid by -inf
        if results == 1 and not self.hard and (memory.seed is None or not self.dropout):
            return [softmax_sum(scores, memory.value, mask, known and known[0])]
        weights = masked_softmax(scores, mask)
        seed = None if memory.seed is None else FixedSeed(memory.seed, positions[0])
        if self.hard:
            weights = choose(weights, seed)
        weights = ops.cast(weights, self.compute_dtype)
        dropped = (
            keras.random.dropout(weights, self.dropout, seed=seed)
            if self.dropout and seed
            else weights
        )
        return [ops.matmul(dropped, memory.value), weights][:results]

    def _visible(self, positions, columns, mask, attention_mask, use_causal_mask):
        """What may be attended to, all masks in one, broadcasts to `(..., Tq, Tv)`; None for
        everything.
        """
        visible = both(None if mask is None else mask[..., None, :], attention_mask)
        if use_causal_mask:
            visible = both(visible, positions[:, None] >= columns)
        if self.sliding_window:
            visible = both(visible, ops.abs(positions[:, None] - columns) < self.sliding_window)
        return visible

    def _scores(self, query, memory):
        """The scores in float32 or wider, of the shape they must have."""
        if self.uses_coverage:
            seen = (
                ops.zeros_like(memory.value[..., 0]) if memory.coverage is None else memory.coverage
            )
            scores = self.score(query, memory.key, seen)
        else:
            scores = self.score(query, memory.key)
        expected = (*query.shape[:-1], memory.value.shape[-2])
        shape = tuple(getattr(scores, "shape", ()))
        if not same_shape(shape, expected):
            raise ValueError(
                f"`score` of {type(self).__name__} must return the shape {expected}: one number "
                f"for each query and key. Received: {f'shape {shape}' if shape else repr(scores)}"
            )
        return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))

    def _check_bias(self, bias, scores):
        sizes = zip(reversed(tuple(bias.shape)), reversed(tuple(scores.shape)), strict=False)
        fits = all(
            1 in (size, wanted) or None in (size, wanted) or size == wanted
            for size, wanted in sizes
        )
        if not fits or len(bias.shape) > len(scores.shape):
            raise ValueError(
                f"`bias` of {type(self).__name__} must return what broadcasts to "
                f"{tuple(scores.shape)}. Received: shape {tuple(bias.shape)}"
            )

    def _check(self, query, value, key, query_mask, value_mask, key_mask, attention_mask):
        check_masks(
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
        )
        check_shapes(
            built_sizes(self, query="Dq", value="Dv", key="Dk"),
            query=(query, "B Tq Dq"),
            value=(value, "B Tv Dv"),
            key=(key, "B Tv Dk"),
            query_mask=(query_mask, "B Tq"),
            value_mask=(value_mask, "B Tv"),
            key_mask=(key_mask, "B Tv"),
            attention_mask=(attention_mask, mask_axes(attention_mask, "Tv")),
        )

    def compute_output_spec(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        self._check(query, value, key, query_mask, value_mask, key_mask, attention_mask)
        context = keras.KerasTensor((*query.shape[:-1], value.shape[-1]), self.compute_dtype)
        weights = keras.KerasTensor((*query.shape[:-1], value.shape[-2]), self.compute_dtype)
        return (context, weights) if return_attention_scores else context

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return output_shape(self, query_shape, value_shape, key_shape)

    def get_config(self):
        names = ("dropout", "sliding_window", "hard", "block_size", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class FixedSeed(keras.random.SeedGenerator):
    """A seed that is the same each time, so that a block that is computed again drops the same
    weights.

    Args:
        seed: What a `SeedGenerator` drew.
        position: Makes the seeds of other blocks, and of other steps of an RNN, different ones.
    """

    def __init__(self, seed, position):
        shift = ops.cast(7919 * position, seed.dtype)
        self._seed = seed + ops.stack([shift, ops.zeros_like(shift)])

    def next(self, ordered=True):
        return self._seed
