"""Why a network finds a class in a text: integrated gradients of its tokens, and attention."""

import dataclasses
import pathlib

import keras
import numpy as np

from deepapps.files import PAGE_OR_PICTURE, check_ending, write_text
from deepapps.inference.image_explanation import integrated_gradients
from deepapps.keras_internals import outputs_of_calls
from deepapps.reporting.pages import render
from deepapps.reporting.text_plots import plot_text_explanation
from deepapps.settings import close_names


@dataclasses.dataclass(frozen=True, eq=False)
class TextExplanation:
    """Why a network finds a class in a text, or in a pair of texts.

    Attributes:
        texts: The text, in a list; or the two of a pair.
        spans: For each text where its T tokens stand, `[(start, end), ...]` in characters.
        label: The class that is explained.
        probabilities: The probability of every class, `{name: float}`.
        score: The logit of `label` for the text.
        baseline_score: The same where the vectors of all tokens are zero.
        integrated_gradients: For each text float32 `(T,)`: what each token adds to the score, above
            or below zero. All together they sum to `score - baseline_score`, but for the error of
            the numeric integration.
        attention: For each text float32 `(T,)`, weights that sum to 1. None for a network without
            attention.
    """

    texts: list
    spans: list
    label: str
    probabilities: dict
    score: float
    baseline_score: float
    integrated_gradients: list
    attention: list | None

    @property
    def probability(self):
        """The probability of `label`."""
        return self.probabilities[self.label]

    @property
    def tokens(self):
        """For each text its tokens as they stand in it."""
        pairs = zip(self.texts, self.spans, strict=True)
        return [[text[start:end] for start, end in spans] for text, spans in pairs]

    @property
    def agreement(self):
        """Rank correlation of the attention and the size of the integrated gradients, -1 to 1; None
        without attention, and for fewer than three tokens. Attention that does not agree is not the
        reason.
        """
        if self.attention is None or sum(map(len, self.spans)) < 3:
            return None
        weights = np.concatenate(self.attention)
        sizes = np.abs(np.concatenate(self.integrated_gradients))
        found = np.corrcoef(_ranks(weights), _ranks(sizes))[0, 1]
        return float(found) if np.isfinite(found) else None

    def plot(self, path):
        """Shades the tokens (.html), or draws a bar for each (.png).

        Args:
            path: The file to write; its folder is made where it is missing.
        Raises: ValueError for another ending.
        """
        if check_ending(path, PAGE_OR_PICTURE) == ".html":
            write_text(pathlib.Path(path), _page(self))
        else:
            plot_text_explanation(self, path)


def explain_text(model, encoder, raw, class_names, target=None, probabilities_of=None):
    """Explains why a network finds a class in a text.

    Args:
        model: A model of `deepapps.networks.sequences` on tokens.
        encoder: The `TextEncoder`.
        raw: A text; or of pairs a tuple of two.
        class_names: The names of the classes.
        target: Name of the class to explain. Defaults to the one that the network answers.
        probabilities_of: Function from logits `(1, C)` to probabilities.
    Returns: `TextExplanation`.
    Raises: ValueError for an unknown target.
    """
    if target is not None and target not in class_names:
        raise ValueError(f"Unknown target {target!r}.{close_names(target, class_names)}")
    tokens = encoder.encode([raw])
    inputs, lengths = tokens.padded(np.array([0])), np.atleast_1d(tokens.lengths[0])
    logits = keras.ops.convert_to_numpy(model(inputs, training=False))
    place = int(logits[0].argmax()) if target is None else class_names.index(target)
    vectors, score_of = _from_vectors(model, inputs[0] if encoder.pairs else inputs)
    gradients = integrated_gradients(score_of, vectors, place).sum(axis=-1)
    nothing = keras.ops.zeros((1, *vectors.shape))
    baseline = keras.ops.convert_to_numpy(score_of(nothing, training=False))
    weights = attention_weights(model, inputs[0] if encoder.pairs else inputs)
    texts = list(encoder.texts_of(raw))
    return TextExplanation(
        texts=texts,
        spans=[encoder.tokenizer.spans(text) for text in texts],
        label=class_names[place],
        probabilities=dict(zip(class_names, probabilities_of(logits)[0].tolist(), strict=True)),
        score=float(logits[0, place]),
        baseline_score=float(baseline[0, place]),
        integrated_gradients=[row[:length] for row, length in zip(gradients, lengths, strict=True)],
        attention=None
        if weights is None
        else [row[:length] for row, length in zip(weights, lengths, strict=True)],
    )


def attention_weights(model, tokens):
    """The weights with which a network pools the steps of texts, `(K, T)`, or None where it does
    not.

    Args:
        model: A model of `deepapps.networks.sequences`.
        tokens: Of each of the K texts its token numbers, `(K, T)`.
    """
    reader = _reader(model)
    if not any(layer.name == "attention" for layer in reader.layers):
        return None
    attention = reader.get_layer("attention")
    steps = keras.Model(reader.input, attention.input)(tokens)
    steps = steps[0] if isinstance(steps, list) else steps
    _, weights = attention(steps, mask=tokens != 0, return_attention_scores=True)
    return keras.ops.convert_to_numpy(weights)


def _reader(model):
    """The part of a network that reads one text: for pairs a model inside it, else all of it."""
    return next((layer for layer in model.layers if layer.name == "encoder"), model)


def _from_vectors(model, tokens):
    """The vectors of the tokens `(K, T, D)`, and the network from such vectors `(B, K, T, D)` to
    logits.
    """
    reader = _reader(model)
    embedded = reader.get_layer("embedded").input
    vectors = keras.Model(reader.input, embedded)(tokens)
    rest = keras.Model([reader.input, embedded], reader.output)

    def read(points, number):
        repeated = keras.ops.repeat(tokens[number : number + 1], keras.ops.shape(points)[0], axis=0)
        return rest([repeated, points[:, number]], training=False)

    if reader is model:
        return keras.ops.convert_to_numpy(vectors), lambda points, training=False: read(points, 0)
    read_texts = outputs_of_calls(reader)[-2:]
    head = keras.Model(read_texts, model.output)

    def score_of(points, training=False):
        return head([read(points, number) for number in range(2)], training=False)

    return keras.ops.convert_to_numpy(vectors), score_of


def _ranks(values):
    return values.argsort(kind="stable").argsort()


def _page(explanation):
    largest = max(float(np.abs(np.concatenate(explanation.integrated_gradients)).max()), 1e-12)
    maps = {"Integrated gradients": [row / largest for row in explanation.integrated_gradients]}
    if explanation.attention is not None:
        highest = max(float(np.concatenate(explanation.attention).max()), 1e-12)
        maps["Attention"] = [row / highest for row in explanation.attention]
    shaded = {
        title: [
            _pieces(*parts)
            for parts in zip(explanation.texts, explanation.spans, rows, strict=True)
        ]
        for title, rows in maps.items()
    }
    return render("text.html", explanation=explanation, shaded=shaded)


def _pieces(text, spans, shares):
    """The text cut into `(piece, share from -1 to 1)`; what no token covers, such as a space,
    has share 0.
    """
    pieces, place = [], 0
    for (start, end), share in zip(spans, shares, strict=True):
        if start > place:
            pieces.append((text[place:start], 0.0))
        if end > place:
            pieces.append((text[max(start, place) : end], float(share)))
        place = max(place, end)
    return [*pieces, (text[place:], 0.0)]
