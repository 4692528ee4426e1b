"""The search, on scripts of logits: no model, and exhaustive search to hold it against."""

import itertools
import typing

import numpy as np
import pytest
import tensorflow as tf

from deepapps.inference.decoding import (
    LOWEST,
    Found,
    Search,
    filtered,
    largest,
    log_sums,
    without_repeats,
)

SENTENCES, TOKENS, LENGTH, END = 3, 5, 4, 1
# the logits after the last two tokens, (sentence, before last, last, next)
SCRIPT = 2 * np.random.default_rng(0).normal(size=(SENTENCES, TOKENS, TOKENS, TOKENS)).astype(
    "float32"
)
PLACES = 6  # of the source
WEIGHTS = (
    np.random.default_rng(1).dirichlet(np.full(PLACES, 0.3), (SENTENCES, TOKENS)).astype("float32")
)


class State(typing.NamedTuple):
    memory: typing.Any
    carried: typing.Any
    position: typing.Any = 0


def found(script=SCRIPT, weights=WEIGHTS, length=LENGTH, prefix=None, mask=None, **settings):
    """What a search finds in a script, compiled, as arrays."""
    rows = []

    def step(tokens, state):
        tf.py_function(lambda count: rows.append(int(count)), [tf.size(tokens)], [])
        places = tf.stack([tf.range(tf.size(tokens)), state.carried, tokens], 1)
        weights = tf.gather(state.memory[1], tokens, batch_dims=1)
        return tf.gather_nd(state.memory[0], places), weights, State(state.memory, tokens)

    @tf.function(autograph=False)
    def call():
        state = State((tf.constant(script), tf.constant(weights)), tf.zeros([len(script)], "int32"))
        return Search(**settings)(step, state, len(script), length, END, END, prefix, mask)

    result = Found(*map(np.asarray, call()))
    return result, rows


def log_probability(sentence, tokens):
    before, last, total = 0, END, 0.0
    for token in tokens:
        logits = SCRIPT[sentence, before, last]
        total += logits[token] - np.log(np.exp(logits).sum())
        before, last = last, token
    return total


def all_sequences():
    for length in range(1, LENGTH + 1):
        for tokens in itertools.product(range(TOKENS), repeat=length):
            if END not in tokens[:-1] and (tokens[-1] == END or length == LENGTH):
                yield tokens


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_that_holds_all_finds_what_exhaustive_search_finds(length_penalty):
    result, _ = found(beam=TOKENS**LENGTH, wanted=4, length_penalty=length_penalty)
    for sentence in range(SENTENCES):
        scores = {
            tokens: log_probability(sentence, tokens) / len(tokens) ** length_penalty
            for tokens in all_sequences()
        }
        best = sorted(scores, key=scores.get, reverse=True)[:4]
        expected = [list(tokens) + [0] * (LENGTH - len(tokens)) for tokens in best]
        assert result.tokens[sentence, :4].tolist() == expected
        np.testing.assert_allclose(
            result.scores[sentence, :4], [scores[tokens] for tokens in best], rtol=1e-4
        )


def test_coverage_penalty_is_that_of_the_formula():
    mask = np.arange(PLACES) < np.array([[6], [4], [2]])
    result, _ = found(
        beam=TOKENS**LENGTH,
        wanted=1,
        length_penalty=0.0,
        coverage_penalty=0.5,
        mask=tf.constant(mask),
    )
    for sentence in range(SENTENCES):

        def score(tokens, sentence=sentence):
            # received as each token was chosen
            attention = WEIGHTS[sentence, [END, *tokens[:-1]]].sum(0)
            covered = np.log(np.clip(attention, 1e-6, 1))[mask[sentence]].sum()
            return log_probability(sentence, tokens) + 0.5 * covered

        best = max(all_sequences(), key=score)
        assert result.tokens[sentence, 0, : len(best)].tolist() == list(best)
        np.testing.assert_allclose(result.scores[sentence, 0], score(best), rtol=1e-4)


def test_greedy_search_takes_the_likeliest_token_each_time():
    result, _ = found()
    for sentence in range(SENTENCES):
        tokens, last = [], (0, END)
        while len(tokens) < LENGTH and END not in tokens:
            tokens.append(int(SCRIPT[sentence, last[0], last[1]].argmax()))
            last = (last[1], tokens[-1])
        assert result.tokens[sentence, 0, : len(tokens)].tolist() == tokens
        assert not result.tokens[sentence, 0, len(tokens) :].any()


@pytest.mark.parametrize("beam", [1, 3])
def test_finished_sentences_cost_nothing_and_the_search_ends(beam):
    script = np.full((3, TOKENS, TOKENS, TOKENS), -9.0, "float32")
    script[..., 3] = 0.0  # goes on for ever
    script[0, ..., END] = 20.0
    script[1, END, 3, END] = 20.0
    result, rows = found(script, length=7, beam=beam)
    assert rows == [3 * beam, 2 * beam, *[beam] * 5]
    assert result.tokens[:, 0].tolist() == [[1, 0, 0, 0, 0, 0, 0], [3, 1, 0, 0, 0, 0, 0], [3] * 7]


def test_a_prefix_is_kept_and_where_it_is_free_the_search_is():
    result, _ = found(beam=2, prefix=tf.constant([[3, 3], [2, 0], [0, 0]]))
    assert result.tokens[0, 0, :2].tolist() == [3, 3] and result.tokens[1, 0, 0] == 2
    np.testing.assert_array_equal(result.tokens[2], found(beam=2)[0].tokens[2])


def test_no_run_of_tokens_comes_twice():
    script = np.zeros((2, TOKENS, TOKENS, TOKENS), "float32")
    script[..., 3], script[..., END] = 5.0, -20.0
    plain, strict = (
        found(script, WEIGHTS[:2], 8, no_repeat_ngram=size)[0].tokens[0, 0].tolist()
        for size in (0, 2)
    )
    assert plain == [3] * 8
    pairs = list(zip(strict, strict[1:], strict=False))
    assert len(set(pairs)) == len(pairs) == 7


def test_without_repeats_forbids_what_followed_the_same_tokens():
    tokens = tf.constant([[2, 3, 4, 2, 3, 0, 0], [2, 3, 2, 3, 2, 0, 0]])
    steps = np.asarray(without_repeats(tf.zeros([2, 5]), tokens, 5, 3))
    assert np.argwhere(steps == LOWEST).tolist() == [[0, 4], [1, 3]]
    assert not np.asarray(without_repeats(tf.zeros([2, 5]), tokens, 1, 3)).any()


def test_filtered_keeps_the_likeliest():
    logits = tf.math.log([[0.5, 0.2, 0.15, 0.1, 0.05], [0.05, 0.1, 0.15, 0.2, 0.5]])

    def kept(**options):
        return (np.asarray(filtered(logits, **options)) > LOWEST).tolist()

    assert kept(top_k=2) == [[True, True, False, False, False], [False, False, False, True, True]]
    assert kept(top_p=0.6) == kept(top_k=2) and kept(top_p=0.01) == kept(top_k=1)
    assert np.all(kept())


@pytest.mark.parametrize("options, kept", [({"top_k": 2}, 2), ({"top_p": 0.5}, 3)])
def test_of_equal_tokens_the_first_are_kept_and_no_more(options, kept):
    logits = np.asarray(filtered(tf.constant([[-1.0, 0, 0, 0, 0, 0]] * 3), **options))
    places = [(row > LOWEST).nonzero()[0].tolist() for row in logits]
    assert places == [list(range(1, kept + 1))] * 3


@pytest.mark.parametrize("prefix", [[2, 2], [3, 2, 2]])
@pytest.mark.parametrize("beam", [1, 3])
def test_a_prefix_may_repeat_itself(prefix, beam):
    """And what comes behind it may not."""
    given = tf.constant([prefix] * SENTENCES)
    result, _ = found(prefix=given, length=len(prefix) + 2, no_repeat_ngram=1, beam=beam)
    for tokens, score in zip(result.tokens[:, 0], result.scores[:, 0], strict=True):
        assert score > LOWEST / 2 and tokens[: len(prefix)].tolist() == prefix
        assert not {2, 3}.intersection(tokens[len(prefix) :].tolist()) - ({3} - set(prefix))


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 0},
        {"wanted": 3, "beam": 2},
        {"temperature": -1.0},
        {"temperature": 0.0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"no_repeat_ngram": -2},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}={value}"):
        Search(**options)


def test_sampling_follows_the_distribution():
    script = np.tile(
        np.log(np.array([0.05, 0.5, 0.25, 0.15, 0.05], "float32")), (600, TOKENS, TOKENS, 1)
    )
    options = {"weights": np.zeros((600, TOKENS, PLACES), "float32"), "length": 1}
    drawn, again, cold = (
        found(script, temperature=temperature, seed=3, **options)[0].tokens[:, 0, 0]
        for temperature in (1.0, 1.0, 0.01)
    )
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=5) / 600, [0.05, 0.5, 0.25, 0.15, 0.05], atol=0.06
    )
    np.testing.assert_array_equal(drawn, again)
    assert (cold == 1).all()


def test_a_beam_cannot_be_drawn():
    with pytest.raises(ValueError, match="`beam` must be 1. Received: beam=2"):
        Search(beam=2, temperature=1.0)


@pytest.mark.parametrize("size", [3, 127, 2332, 8000])
@pytest.mark.parametrize("count", [1, 10])
def test_the_largest_of_rows_of_any_length(size, count):
    rows = np.random.default_rng(2).normal(size=(7, size)).astype("float32")
    rows[3], rows[4, ::5] = 0.0, 9.0  # equal values
    values, places = (part.numpy() for part in largest(tf.constant(rows), count))
    expected = tf.math.top_k(rows, min(count, size))
    np.testing.assert_array_equal(values, expected.values)
    np.testing.assert_array_equal(places, expected.indices)


def test_log_sums_of_large_and_small_logits():
    rows = np.random.default_rng(3).normal(size=(4, 50)) * [[0.1], [3], [200], [1]] + [
        [0],
        [0],
        [0],
        [1e4],
    ]
    expected = np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1)) + rows.max(1)
    found = log_sums(tf.constant(rows, "float32"), tf.constant(rows.argmax(1), "int32"))
    np.testing.assert_allclose(found.numpy()[:, 0], expected, rtol=1e-5, atol=1e-5)
