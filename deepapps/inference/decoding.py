"""Decoding: the sequences that a one-step function leads to, by beam search, greedily, or by
sampling.

A step function takes `(tokens (H,), state)` and returns `(logits (H, V), weights (H, Ts) or None,
state)`. A state is a named tuple of `memory`, the same for all hypotheses of a sentence, `carried`,
of each hypothesis its own, both nested tensors with hypotheses along their first axis, and
`position`, the number of steps so far. What else it has stays as it is.

All is TensorFlow, to be compiled as one graph. Finished sentences leave the batch and cost nothing
more. Every search ends after `length` steps at the latest.
"""

import dataclasses
import typing

import tensorflow as tf
from keras import tree

LOWEST = -1e9  # the score of what does not count
MOST = 2**20  # steps of a search, for its seeds


class Found(typing.NamedTuple):
    """What was found for each sentence, best first.

    Args:
        tokens: `(B, beam, length)`, 0 behind the end; the token that ends a sequence is part of it.
        scores: `(B, beam)`, log-probabilities under the penalties; `LOWEST` where fewer were found.
    """

    tokens: tf.Tensor
    scores: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Search:
    """How to choose the tokens.

    A sentence is done once its `wanted` best sequences that have ended score better than each that
    goes on.

    Attributes:
        beam: Hypotheses kept of each sentence; 1 is greedy search.
        wanted: Sequences asked for, at most `beam`.
        length_penalty: The log-probability is divided by the number of tokens to this power.
        coverage_penalty: Weight of the sum over the source of `log(min(attention received, 1))` (Wu
            et al. 2016, 7).
        no_repeat_ngram: Runs of this many tokens occur once at most. 0: no such rule.
        temperature: Draw tokens at this temperature instead of searching; needs a beam of 1. None:
            search.
        top_k: Draw from this many of the likeliest tokens. 0: from all.
        top_p: Draw from the likeliest tokens that together have this probability (Holtzman et al.
            2020).
        seed: Seed of what is drawn.
    Raises: ValueError for a value out of range, and when a beam is asked for in drawing.
    """

    beam: int = 1
    wanted: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    no_repeat_ngram: int = 0
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self):
        rules = {
            "beam": ("at least 1", self.beam >= 1),
            "wanted": ("1 to `beam`", 1 <= self.wanted <= self.beam),
            "no_repeat_ngram": ("at least 0", self.no_repeat_ngram >= 0),
            "temperature": ("greater than 0", self.temperature is None or self.temperature > 0),
            "top_k": ("at least 0", self.top_k >= 0),
            "top_p": ("greater than 0, and at most 1", 0 < self.top_p <= 1),
        }
        for name, (rule, is_kept) in rules.items():
            if not is_kept:
                value = getattr(self, name)
                raise ValueError(f"`{name}` must be {rule}. Received: {name}={value}")
        if self.temperature is not None and self.beam > 1:
            raise ValueError(
                "`temperature` draws a single sequence: `beam` must be 1. Received: "
                f"beam={self.beam}"
            )

    def __call__(self, step, state, size, length, begin, end, prefix=None, source_mask=None):
        """Searches.

        Args:
            step, state: See the module; the state has one hypothesis a sentence.
            size: Number of sentences `B`.
            length: Most tokens of a sequence, the one that ends it included.
            begin, end: The tokens before the first, which is not part of the results, and at the
                end.
            prefix: Tokens that sequences begin with, `(B, P)`, P at least 1, 0 where they are free.
                Defaults to none.
            source_mask: Boolean `(B, Ts)`, for the coverage penalty.
        Returns: `Found`.
        """
        # or constant folding would take the batch for one that never shrinks
        size = tf.raw_ops.PlaceholderWithDefault(input=size, shape=[])
        alive = {
            "sentence": tf.range(size),
            "tokens": tf.zeros([size, self.beam, length], "int32"),
            # all begin alike: one counts
            "scores": tf.tile([[0.0] + [LOWEST] * (self.beam - 1)], [size, 1]),
            "ended": tf.zeros([size, self.beam, length], "int32"),
            "ended_scores": tf.fill([size, self.beam], LOWEST),
            "last": tf.fill([size, self.beam], begin),
        }
        if prefix is not None:
            alive["prefix"] = prefix
        if self.coverage_penalty:
            alive |= {
                "mask": source_mask,
                "coverage": tf.zeros([size, self.beam, tf.shape(source_mask)[1]]),
            }
        hypotheses = tree.map_structure(
            lambda part: tf.repeat(part, self.beam, axis=0), (state.memory, state.carried)
        )

        def go_on(position, alive, hypotheses, results):
            return tf.logical_and(position < length, tf.size(alive["sentence"]) > 0)

        def body(position, alive, hypotheses, results):
            alive, hypotheses = self._advance(step, state, position, alive, hypotheses, end)
            done = self._done(position + 1, alive)
            alive, hypotheses, results = tf.cond(
                tf.reduce_any(done),
                lambda: self._retire(done, alive, hypotheses, results),
                lambda: (alive, hypotheses, results),
            )
            return position + 1, alive, hypotheses, results

        start = (0, alive, hypotheses, Found(alive["ended"], alive["ended_scores"]))
        shapes = tree.map_structure(_invariant, start)
        return tf.while_loop(go_on, body, start, shape_invariants=shapes)[-1]

    def _advance(self, step, state, position, alive, hypotheses, end):
        """One more token of every hypothesis."""
        logits, weights, new = step(
            tf.reshape(alive["last"], [-1]),
            state._replace(memory=hypotheses[0], carried=hypotheses[1], position=position),
        )
        size, length = tf.shape(alive["scores"])[0], tf.shape(alive["tokens"])[2]
        allowed = self._allowed(logits, alive, position)
        steps, tokens = self._likeliest(allowed, position)  # (A * beam, choices)
        free = allowed is logits and self.temperature is None
        steps -= log_sums(logits, tokens[:, 0] if free else tf.argmax(logits, 1, "int32"))
        choices = tf.shape(tokens)[1]
        scores = tf.reshape(
            alive["scores"][..., None] + tf.reshape(steps, [size, self.beam, choices]), [size, -1]
        )
        scores, chosen = tf.math.top_k(scores, tf.minimum(self._candidates, self.beam * choices))
        parents = chosen // choices
        last = tf.gather(tf.reshape(tokens, [size, -1]), chosen, batch_dims=1)

        def of_parents(part):
            return tf.gather(part, parents, batch_dims=1)

        here = tf.range(length) == position
        candidates = {
            "tokens": tf.where(here, last[..., None], of_parents(alive["tokens"])),
            "last": last,
            "parents": parents,
        }
        if self.coverage_penalty:
            seen = alive["coverage"] + tf.reshape(weights, tf.shape(alive["coverage"]))
            candidates["coverage"] = of_parents(seen)
        ends = tf.logical_or(last == end, position + 1 == length)
        alive = alive | self._end(alive, candidates, tf.where(ends, scores, LOWEST), position + 1)
        kept, order = tf.math.top_k(tf.where(ends, LOWEST, scores), self.beam)
        going = {name: tf.gather(part, order, batch_dims=1) for name, part in candidates.items()}
        rows = tf.reshape(going.pop("parents") + self.beam * tf.range(size)[:, None], [-1])
        carried = new.carried
        if self.beam > 1:
            carried = tree.map_structure(lambda part: tf.gather(part, rows), carried)
        return alive | going | {"scores": kept}, (hypotheses[0], carried)

    @property
    def _candidates(self):
        """Continuations of a sentence looked at: of twice as many as the beam some go on,
        whatever ends.
        """
        return 1 if self.beam == 1 else 2 * self.beam

    def _likeliest(self, logits, position):
        """The logits and the numbers of the next tokens to look at, for each row of logits `(H,
        V)`.
        """
        if self.temperature is None:
            return largest(logits, self._candidates)
        likely = filtered(logits / self.temperature, self.top_k, self.top_p)
        replica = getattr(tf.distribute.get_replica_context(), "replica_id_in_sync_group", 0)
        seed = self.seed, position + replica * MOST  # or all replicas would draw alike
        chosen = tf.random.stateless_categorical(likely, 1, seed, dtype="int32")
        return tf.gather(logits, chosen, batch_dims=1), chosen

    def _allowed(self, logits, alive, position):
        """Logits `(A * beam, V)` of the next tokens, `LOWEST` for those that may not come. A
        prefix may repeat itself.
        """
        allowed = logits
        if self.no_repeat_ngram:
            tokens = tf.reshape(alive["tokens"], [-1, tf.shape(alive["tokens"])[2]])
            allowed = without_repeats(logits, tokens, position, self.no_repeat_ngram)
        if "prefix" not in alive:
            return allowed
        prefix = alive["prefix"]
        places = tf.shape(prefix)[1]
        given = tf.repeat(tf.gather(prefix, tf.minimum(position, places - 1), axis=1), self.beam)[
            :, None
        ]
        given = tf.where(position < places, given, 0)
        forced = tf.where(tf.range(tf.shape(logits)[1]) == given, logits, LOWEST)
        return tf.where(given == 0, allowed, forced)

    def _end(self, alive, candidates, scores, count):
        """The best of what had ended and of the candidates that end now, with these scores after
        `count` tokens.
        """
        scores = tf.where(
            scores > LOWEST / 2, self._penalized(scores, count, candidates, alive), LOWEST
        )
        all_scores = tf.concat([alive["ended_scores"], scores], 1)
        best, order = tf.math.top_k(all_scores, self.beam)
        tokens = tf.concat([alive["ended"], candidates["tokens"]], 1)
        tokens = tf.gather(tokens, order, batch_dims=1)
        return {"ended": tf.where(best[..., None] > LOWEST / 2, tokens, 0), "ended_scores": best}

    def _penalized(self, scores, count, candidates, alive):
        scores = scores / tf.cast(count, scores.dtype) ** self.length_penalty
        if not self.coverage_penalty:
            return scores
        received = tf.math.log(tf.clip_by_value(candidates["coverage"], 1e-6, 1.0))
        received = tf.where(alive["mask"][:, None], received, 0.0)
        return scores + self.coverage_penalty * tf.reduce_sum(received, 2)

    def _done(self, count, alive):
        """Which sentences need no further step, `(A,)`."""
        going = alive["scores"][:, 0]
        ahead = going / tf.cast(count, going.dtype) ** self.length_penalty
        return tf.logical_or(alive["ended_scores"][:, self.wanted - 1] >= ahead, going < LOWEST / 2)

    def _retire(self, done, alive, hypotheses, results):
        """Hands over the results of the sentences that are done, and goes on without them."""
        places, kept = tf.where(done), tf.where(tf.logical_not(done))[:, 0]
        sentences = tf.gather_nd(alive["sentence"], places)[:, None]
        ended = (tf.gather_nd(alive[name], places) for name in ("ended", "ended_scores"))
        results = Found(
            *(
                tf.tensor_scatter_nd_update(old, sentences, new)
                for old, new in zip(results, ended, strict=True)
            )
        )
        rows = tf.reshape(kept[:, None] * self.beam + tf.range(self.beam, dtype="int64"), [-1])
        alive = tree.map_structure(lambda part: tf.gather(part, kept), alive)
        return alive, tree.map_structure(lambda part: tf.gather(part, rows), hypotheses), results


def largest(values, count):
    """The values and places of the largest ones of each row `(H, V)`, as `tf.math.top_k` gives
    them.

    Of long rows only those blocks are looked through that have the largest maxima, which is several
    times faster.
    """
    size = values.shape[1] or 0
    width = next((width for width in range(128, 31, -1) if size % width == 0), size)
    if 2 * count * width >= size:
        return tf.math.top_k(values, tf.minimum(count, tf.shape(values)[1]))
    blocks = tf.reshape(values, [-1, size // width, width])
    _, best = tf.math.top_k(tf.reduce_max(blocks, axis=2), count)
    best = tf.sort(best)  # of equal values the first ones count
    found, places = tf.math.top_k(
        tf.reshape(tf.gather(blocks, best, batch_dims=1), [-1, count * width]), count
    )
    return found, tf.gather(best, places // width, batch_dims=1) * width + places % width


def log_sums(logits, peaks):
    """The log of the sum of the exponentials of each row of logits `(H, V)`, `(H, 1)`, given the
    place of its maximum.

    By way of the softmax, which TensorFlow computes in one pass over the memory.
    """
    likeliest = tf.gather(tf.nn.softmax(logits), peaks, batch_dims=1)
    return (tf.gather(logits, peaks, batch_dims=1) - tf.math.log(likeliest))[:, None]


def filtered(logits, top_k=0, top_p=1.0):
    """Logits `(B, V)` of the `top_k` likeliest tokens that make up `top_p` together; `LOWEST`
    for the others. Of equal ones the first count.
    """
    if not top_k and top_p >= 1:
        return logits
    order = tf.argsort(logits, direction="DESCENDING", stable=True)
    ordered = tf.gather(logits, order, batch_dims=1)
    ranks = tf.range(tf.shape(logits)[1])
    before = tf.cumsum(tf.nn.softmax(ordered), axis=1, exclusive=True)
    in_reach = tf.logical_and(before < top_p, ranks < (top_k or tf.shape(logits)[1]))
    in_reach = tf.logical_or(in_reach, ranks == 0)
    in_reach = tf.gather(in_reach, tf.argsort(order), batch_dims=1)
    return tf.where(in_reach, logits, LOWEST)


def without_repeats(logits, tokens, position, size):
    """Logits `(H, V)`, `LOWEST` for tokens that would repeat a run of `size` of the tokens `(H,
    length)` before the position.
    """
    context = tf.gather(tokens, tf.maximum(position - size + 1 + tf.range(size - 1), 0), axis=1)
    starts = tf.maximum(tf.shape(tokens)[1] - size + 1, 0)
    alike = tf.tile(tf.range(starts)[None] + size - 1 < position, [tf.shape(tokens)[0], 1])
    for offset in range(size - 1):
        alike = tf.logical_and(
            alike, tokens[:, offset : offset + starts] == context[:, offset, None]
        )
    places = tf.where(alike)
    rows, after = places[:, 0], tf.gather_nd(tf.cast(tokens, "int64")[:, size - 1 :], places)
    lowest = tf.fill([tf.shape(places)[0]], LOWEST)
    return tf.tensor_scatter_nd_update(logits, tf.stack([rows, after], 1), lowest)


def _invariant(tensor):
    """The shape of a tensor of the loop: its first axis shrinks, and that before the last, of a
    cache, may grow.
    """
    shape = tf.convert_to_tensor(tensor).shape.as_list()
    changing = {0, max(len(shape) - 2, 0)}
    return tf.TensorShape([None if axis in changing else size for axis, size in enumerate(shape)])
