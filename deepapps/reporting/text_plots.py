"""Pictures of texts: what counts in them, and which words go with which."""

import unicodedata

import numpy as np
from matplotlib.figure import Figure

from deepapps.reporting.plots import (
    FAINT,
    INK,
    TRAINING,
    VALIDATION,
    _explanation_title,
    _short,
    make_plain,
    save_figure,
)


def plot_text_explanation(explanation, path, most=60):
    """Draws a bar for each token, of its integrated gradients and of its attention, as a PNG.

    Args:
        explanation: A `TextExplanation`.
        path: File to write.
        most: Of more tokens, those with the largest integrated gradients are drawn. Defaults to 60.
    """
    tokens = [token for tokens in explanation.tokens for token in tokens]
    gradients = np.concatenate(explanation.integrated_gradients)
    shown = np.sort(np.argsort(-np.abs(gradients), kind="stable")[:most])
    columns = 1 if explanation.attention is None else 2
    figure = Figure(figsize=(4.2 * columns, 0.22 * len(shown) + 1.4), layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False, sharey=True)[0]
    colors = np.where(gradients[shown] > 0, TRAINING["color"], VALIDATION["color"])
    panels[0].barh(range(len(shown)), gradients[shown], color=colors)
    panels[0].set_title("Integrated gradients", color=INK)
    names = [_short(tokens[place].strip() or "␣", 24) for place in shown]
    panels[0].set_yticks(range(len(shown)), names, parse_math=False)
    panels[0].invert_yaxis()
    if explanation.attention is not None:
        panels[1].barh(
            range(len(shown)), np.concatenate(explanation.attention)[shown], color="#E69F00"
        )
        agreement = explanation.agreement
        text = "" if agreement is None else f", rank correlation {agreement:.2f}"
        panels[1].set_title(f"Attention{text}", color=INK)
    for panel in panels:
        make_plain(panel)
    figure.suptitle(_explanation_title(explanation), color=INK, parse_math=False)
    save_figure(figure, path)


def plot_alignment(source, translation, weights, path, most=40):
    """Draws the words of a translation, from top to bottom, against those of its source, as a PNG.

    Args:
        source: S words. Where they are of a script that is written from right to left, so are they
            drawn.
        translation: T words.
        weights: `(T, S)`, 0 to 1.
        path: File to write.
        most: Of more words on a side, so many are drawn. Defaults to 40.
    """
    weights = np.asarray(weights)[:most, :most]
    rows, columns = ([_short(word) for word in side[:most]] for side in (translation, source))
    size = (
        0.32 * len(columns) + 0.11 * max(map(len, rows)) + 1.2,
        0.32 * len(rows) + 0.11 * max(map(len, columns)) + 0.6,
    )
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    turned = (
        {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}
        if max(map(len, columns)) > 2
        else {}
    )
    axes.set_xticks(range(len(columns)), columns, parse_math=False, **turned)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.6)
    axes.tick_params(
        which="both",
        length=0,
        labelcolor=INK,
        top=True,
        labeltop=True,
        bottom=False,
        labelbottom=False,
    )
    axes.spines[:].set_color(FAINT)
    if _runs_from_right_to_left(source):
        axes.invert_xaxis()
    save_figure(figure, path)


def _runs_from_right_to_left(words):
    """Whether the first letter that has a direction has that one."""
    directions = (unicodedata.bidirectional(letter) for word in words for letter in word)
    return (
        next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"
    )
