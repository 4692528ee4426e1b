"""The figures of a search's report, as PNG files."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepapps.reporting.plots import (
    FAINT,
    INK,
    MUTED,
    TRAINING,
    VALIDATION,
    figure_name,
    make_plain,
    save_figure,
)
from deepapps.tuning.importance import Column

MOST_SLICES = 12


def plot_progress(scores, objective, path):
    """Draws the score of each trial, in their order, and the best one so far.

    Args:
        scores: `{trial: score}`.
        objective: The `Objective`.
        path: File to write.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.add_subplot()
    places, values = range(1, len(scores) + 1), list(scores.values())
    best = (np.maximum if objective.direction == "max" else np.minimum).accumulate(values)
    axes.plot(places, values, "o", color=MUTED, markersize=5, label="Trial")
    axes.step(
        places, best, where="post", color=TRAINING["color"], linewidth=1.8, label="Best so far"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _name(axes, "Trials that have ended", figure_name(objective.figure))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    save_figure(figure, path)


def plot_parallel(columns, scores, objective, path):
    """Draws a line for each trial through its hyperparameters; the better, the darker, and the best
    stands out.

    Args:
        columns: The `Column`s.
        scores: `(N,)`.
        objective: The `Objective`.
        path: File to write.
    """
    columns = [*columns, Column(figure_name(objective.figure), np.asarray(scores, float))]
    figure = Figure(figsize=(max(9, 1.4 * len(columns)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    heights = np.stack([_scaled(column.numbers) for column in columns], axis=1)
    goodness = heights[:, -1] if objective.direction == "max" else 1 - heights[:, -1]
    order = np.argsort(goodness, kind="stable")
    for place in order[:-1]:
        alpha = 0.15 + 0.5 * goodness[place]
        axes.plot(heights[place], color=TRAINING["color"], linewidth=1, alpha=alpha)
    axes.plot(heights[order[-1]], color=VALIDATION["color"], linewidth=2.2)
    for place, column in enumerate(columns):
        axes.axvline(place, color=FAINT, linewidth=1)
        for height, text in _marks(column):
            place_of_text = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(
                text, (place, height), **place_of_text, fontsize=8, color=INK, parse_math=False
            )
    names = [column.name for column in columns]
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right", color=INK, parse_math=False)
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(names) - 0.4)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    save_figure(figure, path)


def plot_importances(found, path):
    """Draws the importance of each hyperparameter as a bar, with its standard deviation.

    Args:
        found: What `importances` returned.
        path: File to write.
    """
    figure = Figure(figsize=(7, 0.4 * len(found) + 1.1), layout="constrained")
    axes = figure.add_subplot()
    means, deviations = zip(*found.values(), strict=True)
    axes.barh(
        range(len(found)), means, xerr=deviations, color=TRAINING["color"], ecolor=MUTED, capsize=3
    )
    axes.set_yticks(range(len(found)), found, color=INK, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("Share of the variance of the score", color=INK)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    make_plain(axes)
    save_figure(figure, path)


def plot_slices(columns, scores, objective, path):
    """Draws the score over each hyperparameter, a panel each.

    Args:
        columns: The `Column`s; the first `MOST_SLICES` are drawn.
        scores: `(N,)`.
        objective: The `Objective`.
        path: File to write.
    """
    columns = columns[:MOST_SLICES]
    rows = -(-len(columns) // 3)
    figure = Figure(figsize=(9, 2.5 * rows), layout="constrained")
    for place, column in enumerate(columns, start=1):
        axes = figure.add_subplot(rows, 3, place)
        numbers = 10**column.numbers if column.is_logarithmic else column.numbers
        axes.plot(numbers, scores, "o", color=TRAINING["color"], markersize=4, alpha=0.7)
        if column.is_logarithmic:
            axes.set_xscale("log")
        if column.choices:
            axes.set_xticks(range(len(column.choices)), map(str, column.choices), parse_math=False)
            axes.set_xlim(-0.5, len(column.choices) - 0.5)
        axes.set_title(column.name, fontsize=10, color=INK, parse_math=False)
        make_plain(axes)
        axes.tick_params(which="both", length=0, labelsize=7)
    figure.supylabel(figure_name(objective.figure), fontsize=10, color=INK)
    save_figure(figure, path)


def plot_front(points, front, objectives, path):
    """Draws the trials by two objectives, those on the Pareto front joined.

    Args:
        points: `(N, 2)`.
        front: The places of those that no other one beats.
        objectives: The two `Objective`s.
        path: File to write.
    """
    points = np.asarray(points, float)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(points[:, 1], points[:, 0], "o", color=MUTED, markersize=5, label="Trial")
    line = points[sorted(front, key=lambda place: points[place, 1])]
    axes.plot(line[:, 1], line[:, 0], "o-", color=VALIDATION["color"], label="Pareto front")
    _name(axes, figure_name(objectives[1].figure), figure_name(objectives[0].figure))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    save_figure(figure, path)


def _name(axes, across, up):
    axes.set_xlabel(across, color=INK, parse_math=False)
    axes.set_ylabel(up, color=INK, parse_math=False)
    make_plain(axes)


def _scaled(numbers):
    """Numbers from 0 to 1; NaN stays NaN, and breaks a line."""
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    return (numbers - low) / (high - low) if high > low else np.full(len(numbers), 0.5)


def _marks(column):
    """Heights on an axis and what is written there: the choices that occur, or both ends."""
    present = np.unique(column.numbers[np.isfinite(column.numbers)])
    low, high = present[0], present[-1]
    shown = present if column.choices else (low, high)
    return [((number - low) / max(high - low, 1e-12), column.text(number)) for number in shown]
