"""A trained translator at work: sentences of like length in batches, through one compiled
search.
"""

import typing

import numpy as np
import tensorflow as tf

from deepapps.data.pairs.encoder import BOUNDARY
from deepapps.inference.decoding import LOWEST, Search
from deepapps.inference.progress import progress_bar

BEAM = 4
BATCH_TOKENS = 8192  # of the sources of a batch, all hypotheses counted


class Sentence(typing.NamedTuple):
    """A sentence that was found, and its log-probability under the penalties."""

    text: str
    score: float


def translate(predictor, encoder, sources, settings, longest, wanted=None, progress=False):
    """Translates sentences.

    Args:
        predictor: The `Predictor` of a `networks.translation.Translator`.
        encoder: The `PairEncoder`.
        sources: `Ragged` numbers of N sentences.
        settings: `TranslatingSettings`.
        longest: `(times, more)`: a translation has at most this many times the subwords of its
            source, and more.
        wanted: Translations asked for of each sentence, the best among them. Defaults to as many as
            the beam.
        progress: Show a bar on stderr, where that is a terminal.
    Returns: N lists of `Sentence`s, best first, at least one each.
    Raises: ValueError when both a beam and a temperature are asked for.
    """
    options = settings.as_dict()
    prefix = options.pop("prefix")
    options["beam"] = settings.beam or (BEAM if settings.temperature is None else 1)
    given = encoder.encode_targets([prefix]).values[1:-1] if prefix else None
    given = None if given is None else tuple(given.tolist())
    key = Search(**options, wanted=wanted or options["beam"]), longest, given
    call = predictor.compiled(key, search_function(predictor.model, *key), free=1)
    order = np.argsort(sources.sizes, kind="stable")
    answers = [None] * len(sources)
    for chunk in progress_bar(
        _chunks(sources.sizes[order], order, options["beam"]), "translate", shown=progress
    ):
        for index, answer in zip(
            chunk, _answers(encoder, *call(sources.padded(chunk))), strict=True
        ):
            answers[index] = answer
    return answers


def search_function(model, search, longest, prefix=None):
    """`call(sources (B, Ts))` to what the search finds.

    `longest` is as of `translate`; `prefix` a tuple of tokens, or None.
    """

    def call(sources):
        size, steps = tf.unstack(tf.shape(sources))
        length = longest[0] * steps + longest[1] + len(prefix or ())
        given = None if prefix is None else tf.tile([prefix], [size, 1])
        return search(
            model.step, model.start(sources), size, length, BOUNDARY, BOUNDARY, given, sources != 0
        )

    return call


def _chunks(sizes, order, beam):
    """The order cut into batches of `BATCH_TOKENS`; sizes ascend along it."""
    chunks, start = [], 0
    while start < len(order):
        count = max(BATCH_TOKENS // (beam * int(sizes[start])), 1)
        while (
            count > 1
            and count * beam * int(sizes[min(start + count, len(order)) - 1]) > BATCH_TOKENS
        ):
            count = max(count * 3 // 4, 1)
        chunks.append(order[start : start + count])
        start += count
    return chunks


def _answers(encoder, tokens, scores):
    """The sentences of tokens `(B, K, T)`, best first, those with a score of their own."""
    texts = encoder.decode(tokens.reshape(-1, tokens.shape[2]).tolist())
    for row, row_scores in enumerate(scores.tolist()):
        here = texts[row * len(row_scores) : (row + 1) * len(row_scores)]
        found = [Sentence(*pair) for pair in zip(here, row_scores, strict=True)]
        yield [sentence for sentence in found if sentence.score > LOWEST / 2]
