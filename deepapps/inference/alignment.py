"""Where a translator looks as it writes each word: its attention as an alignment of words."""

import dataclasses
import pathlib
import re
import unicodedata

import numpy as np
from keras import ops

from deepapps.files import PAGE_OR_PICTURE, check_ending, write_text
from deepapps.metrics.scripts import SPACELESS
from deepapps.reporting.pages import render
from deepapps.reporting.text_plots import plot_alignment

END = "(end)"  # stands for the end of the source
# a number may hold no-break spaces
_CHUNK = re.compile(r"(?:\S|(?<=\d)[\u00a0\u2007\u202f](?=\d))+")


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """Where a translator looks as it writes each word of a translation.

    Attributes:
        source: The S words of the source, the last of them `(end)`.
        translation: The T words of the translation.
        weights: float32 `(T, S)`: the attention to each word of the source, 1 over a row. Over the
            subwords of a word they are summed in the source, and averaged in the translation.
        score: The log-probability of the translation, a mean over its subwords.
        text: The translation as it stands.
    """

    source: list
    translation: list
    weights: np.ndarray
    score: float
    text: str

    def plot(self, path):
        """Draws the words of both sides against each other (.png), or makes a page of them (.html).

        Args:
            path: The file to write; its folder is made where it is missing.
        Raises: ValueError for another ending.
        """
        if check_ending(path, PAGE_OR_PICTURE) == ".html":
            write_text(pathlib.Path(path), render("alignment.html", alignment=self))
        else:
            plot_alignment(self.source, self.translation, self.weights, path)

    def stored(self):
        """What the picture needs, as a dict that JSON can hold."""
        weights = np.round(self.weights.astype(float), 3).tolist()
        return {"source": self.source, "translation": self.translation, "weights": weights}


def align(model, encoder, source, translation):
    """Aligns a source with a translation of it, given to the model word by word.

    Args:
        model: A `networks.translation.Translator`.
        encoder: The `PairEncoder`.
        source, translation: Strings.
    Returns: `Alignment`.
    """
    inputs = encoder.encode(source).padded(np.array([0]))
    targets = encoder.encode_targets([translation]).padded(np.array([0]))
    weights, score = _attention(model, inputs, targets)
    columns, rows = words_of(source, encoder.source), words_of(translation, encoder.target)
    starts = [*(start for _, start in columns), len(inputs[0]) - 1]
    weights = np.add.reduceat(weights[:-1], starts, axis=1)  # the last row is that of the end
    sums = np.add.reduceat(weights, [start for _, start in rows], axis=0)
    counts = np.diff([*(start for _, start in rows), len(weights)])
    means = (sums / counts[:, None]).astype("float32")
    return Alignment(
        source=[*(word for word, _ in columns), END],
        translation=[word for word, _ in rows],
        weights=means,
        score=score,
        text=translation,
    )


def _attention(model, inputs, targets):
    """The attention at each step of the targets, `(Tt - 1, Ts)`, and their mean log-probability."""
    outputs, weights = model.read(
        targets[:, :-1], *model.encode(inputs), return_attention_scores=True
    )
    scores = ops.log_softmax(model.logits(outputs))[0]
    scores = ops.take_along_axis(scores, targets[0, 1:, None], axis=1)
    return ops.convert_to_numpy(weights)[0].astype("float32"), float(ops.mean(scores))


def words_of(text, tokenizer):
    """The words of a text, `[(word, number of its first subword), ...]`.

    Punctuation around a word is one of its own. Where a script has no spaces, subwords stand for
    words.
    """
    starts, words = _word_starts(text), []  # [place, end, number] of each
    for number, (start, end) in enumerate(tokenizer.spans(text)):
        while start < end and text[start].isspace():
            start += 1
        if words and words[-1][0] >= words[-1][1]:  # nothing but spaces so far
            words[-1][:2] = start, end
        elif not words or (start in starts and words[-1][1] <= start < end):
            words.append([start, end, number])
        elif start < end:
            words[-1][1] = max(end, words[-1][1])
    return [(text[start:end], number) for start, end, number in words]


def _word_starts(text):
    """The places where a word may begin."""
    starts = set()
    for chunk in _CHUNK.finditer(text):
        starts.add(chunk.start())
        inside = [
            place for place in range(*chunk.span()) if unicodedata.category(text[place])[0] in "LNM"
        ]
        if inside:
            starts |= {inside[0], inside[-1] + 1}
    for place, letter in enumerate(text):
        if unicodedata.name(letter, "").startswith(SPACELESS):
            starts |= {place, place + 1}
    return {
        place
        for place in starts
        if not unicodedata.category(text[place : place + 1] or " ").startswith("M")
    }
