"""Figures as PNG files, for the report and for explanations. Needs no display, keeps no state."""

import math
import warnings

import numpy as np
from matplotlib import ticker
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.text import Text

from deepapps.files import PICTURE, check_ending, write_atomically
from deepapps.reporting.fonts import families_for
from deepapps.settings import LARGEST_FLOAT

# Two colours of Okabe and Ito, told apart by colour-blind readers; the dashes tell them apart in
# grey.
TRAINING = {"label": "Training", "color": "#0072B2", "linestyle": "-", "marker": "o"}
VALIDATION = {"label": "Validation", "color": "#D55E00", "linestyle": "--", "marker": "s"}
INK, MUTED, FAINT = "#222a33", "#8b96a3", "#d5dbe1"
SPECIAL_NAMES = {
    "bleu": "BLEU",
    "f1": "F1",
    "chrf": "chrF",
    "top_k_accuracy": "top-k accuracy",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
}


def figure_name(key):
    """The name of a figure for people: "Learning rate" of `learning_rate`."""
    plain = key.removeprefix("val_")
    words = SPECIAL_NAMES.get(plain, plain.replace("_", " "))
    if key != plain:
        return f"Validation {words}"
    return words if words == "chrF" else words[:1].upper() + words[1:]


def plot_curves(history, path):
    """Draws each figure of a history over its epochs, training and validation in one panel, as a
    PNG.

    Args:
        history: One dict an epoch, `{"epoch": 1, "loss": ..., "val_loss": ..., "learning_rate":
            ...}`. `seconds` is not drawn; a value that is missing, None or not finite leaves its
            point out.
        path: File to write.

    Raises: ValueError when no epoch has a figure to draw.
    """
    keys = _panels(history)
    if not keys:
        raise ValueError("`history` must hold at least one epoch with a figure, such as its loss.")
    rows = math.ceil(len(keys) / 2)
    figure = Figure(figsize=(9, 3.1 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, 2)
    first_is_wide = len(keys) % 2
    for place, key in enumerate(keys, start=first_is_wide):
        row, column = divmod(place, 2)
        whole_row = first_is_wide and row == 0
        _draw_panel(
            figure.add_subplot(grid[row, :] if whole_row else grid[row, column]), history, key
        )
    save_figure(figure, path)


def plot_confusion_matrix(matrix, class_names, path):
    """Draws a confusion matrix as a PNG: colours are shares of the true class, numbers are counts
    and, under them, those shares in per cent.

    Args:
        matrix: Counts `(C, C)`; rows are true classes, columns predicted ones.
        class_names: The C names. Long ones are cut, and with very many classes some are left out.
        path: File to write. Numbers are printed in it up to 20 classes.

    Raises: ValueError when the matrix is not square or the names are not as many.
    """
    matrix = np.asarray(matrix)
    classes = len(class_names)
    if not classes or matrix.shape != (classes, classes):
        raise ValueError(
            f"`matrix` must be ({classes}, {classes}), as `class_names`. Received: {matrix.shape}"
        )
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(max(3, 1.2 + 0.45 * classes), 10)  # inches
    figure = Figure(figsize=(side + 1.9, side + 0.7), layout="constrained")
    axes = figure.add_subplot()
    # a square root, so that a few mistakes in a thousand show
    scale = PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap="Blues", norm=scale, interpolation="nearest")
    _name_classes(axes, class_names)
    if classes <= 20:
        _print_numbers(axes, matrix, shares)
    _draw_color_bar(figure, axes, image)
    save_figure(figure, path)


def plot_calibration(bins, path, count):
    """Draws a reliability diagram as a PNG: the share of right answers over their probability.

    Args:
        bins: `{up_to, confidence, accuracy, support}` of each bin that is not empty.
        path: File to write.
        count: Number of bins from 0 to 1.
    """
    up_to, confidence, accuracy, support = (
        np.array([row[key] for row in bins], float)
        for key in ("up_to", "confidence", "accuracy", "support")
    )
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    place = {"x": up_to - 0.5 / count, "width": 0.9 / count}
    above.bar(height=accuracy, label="Right answers", color=TRAINING["color"], **place)
    above.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1.2, label="As sure as right")
    above.plot(
        confidence,
        accuracy,
        "o",
        color=VALIDATION["color"],
        markersize=5,
        label="Mean of the bin",
        clip_on=False,
    )
    below.bar(height=support / support.sum(), color=TRAINING["color"], **place)
    above.set(xlim=(0, 1), ylim=(0, 1.02))
    above.set_ylabel("Right answers", color=INK)
    below.set_ylabel("Examples", color=INK)
    below.set_xlabel("Probability of the answer", color=INK)
    above.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    for axes in (above, below):
        make_plain(axes)
    below.tick_params(axis="x", pad=8)
    save_figure(figure, path)


def plot_explanation(explanation, path):
    """Draws an image, its integrated gradients and its Grad-CAM beside each other, as a PNG.

    Args:
        explanation: An `ImageExplanation`.
        path: File to write; its name ends in .png.

    Raises: ValueError for another ending.
    """
    check_ending(path, PICTURE)
    maps = 2 if explanation.grad_cam is None else 3
    figure = Figure(figsize=(3.2 * maps, 4), layout="constrained")
    panels = figure.subplots(1, maps)
    image = explanation.image
    _show(panels[0], "Image", _visible(image), cmap="gray", vmin=0, vmax=255)
    total = explanation.integrated_gradients.sum(axis=-1)
    # so that no single pixel fades the others
    limit = max(np.quantile(np.abs(total), 0.995), 1e-12)
    shown = _show(panels[1], "Integrated gradients", total, cmap="RdBu_r", vmin=-limit, vmax=limit)
    _draw_bar_below(figure, panels[1], shown, {-limit: "against", 0: "0", limit: "for the class"})
    if explanation.grad_cam is not None:
        _show(panels[2], "Grad-CAM", image.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
        shown = panels[2].imshow(explanation.grad_cam, cmap="inferno", vmin=0, vmax=1, alpha=0.6)
        _draw_bar_below(figure, panels[2], shown, {0: "0", 1: "most"})
    else:
        figure.supxlabel("No Grad-CAM: the network has no convolutions", fontsize=8, color=MUTED)
    figure.suptitle(_explanation_title(explanation), color=INK, parse_math=False)
    save_figure(figure, path)


def plot_samples(rows, names, path):
    """Draws rows of images below one another, as a PNG.

    Args:
        rows: `{title: images}`, the images of each row `(N, H, W, C)`, 0 to 255.
        names: What to call the N columns.
        path: File to write.
    """
    height, width = next(iter(rows.values())).shape[1:3]
    figure = Figure(
        figsize=(0.9 * len(names) + 1.2, 0.9 * height / width * len(rows) + 0.4),
        layout="constrained",
    )
    grid = figure.subplots(len(rows), len(names), squeeze=False)
    for panels, (title, images) in zip(grid, rows.items(), strict=True):
        for panel, image in zip(panels, images, strict=True):
            _show(panel, "", _visible(image), cmap="gray", vmin=0, vmax=255)
        place = {
            "x": -0.12,
            "y": 0.5,
            "ha": "right",
            "va": "center",
            "transform": panels[0].transAxes,
        }
        panels[0].text(s=title, fontsize=8, color=INK, **place)
    for panel, name in zip(grid[0], names, strict=True):
        panel.set_title(_short(str(name), 12), fontsize=8, color=INK, parse_math=False)
    save_figure(figure, path)


def _visible(image):
    """An image as matplotlib shows it: three channels, or none."""
    pixels = np.clip(image, 0, 255).astype("uint8")
    return pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]


def _panels(history):
    """The figures to draw, without `val_`: the loss first, the learning rate last."""
    keys = dict.fromkeys(
        key.removeprefix("val_")
        for epoch in history
        for key, value in epoch.items()
        if not isinstance(value, list)  # a value of each class: the table has them
    )
    order = {"loss": 0, "learning_rate": 2}
    drawn = [key for key in keys if key not in ("epoch", "seconds")]
    return sorted(drawn, key=lambda key: order.get(key, 1))


def _draw_panel(axes, history, key):
    few = len(history) <= 40
    for name, style in ((key, TRAINING), (f"val_{key}", VALIDATION)):
        epochs, values = _points(history, name)
        if epochs:
            axes.plot(
                epochs,
                values,
                **style,
                markersize=4 if few or len(epochs) == 1 else 0,
                linewidth=1.6,
            )
    axes.set_xlabel("Epoch", color=INK)
    axes.set_ylabel(figure_name(key), fontsize=11, color=INK, parse_math=False)
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(integer=True, nbins=9, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    axes.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 5))
    if len({epoch["epoch"] for epoch in history}) == 1:
        axes.set_xlim(history[0]["epoch"] - 0.5, history[0]["epoch"] + 0.5)
    make_plain(axes)
    if key != "learning_rate" and axes.lines:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def make_plain(axes):
    """A light grid in place of ticks and frame."""
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)


def _points(history, name):
    """Epochs and values of one curve, where it has a value that can be drawn."""
    points = [(epoch["epoch"], epoch.get(name)) for epoch in history]
    points = [
        (epoch, value)
        for epoch, value in points
        if value is not None and not isinstance(value, list) and abs(value) <= LARGEST_FLOAT
    ]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _name_classes(axes, class_names):
    every = math.ceil(len(class_names) / 80)  # 80 names are what the side can hold
    places = range(0, len(class_names), every)
    names = [_short(str(class_names[place])) for place in places]
    size = 9 if len(class_names) <= 30 else 7
    if len(names) > 20:
        turned = {"rotation": 90}
    elif max(map(len, names)) > 3:
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    else:
        turned = {}
    axes.set_xticks(places, names, fontsize=size, color=INK, parse_math=False, **turned)
    axes.set_yticks(places, names, fontsize=size, color=INK, parse_math=False)
    axes.set_xlabel("Predicted class", color=INK)
    axes.set_ylabel("True class", color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _short(name, width=22):
    name = " ".join(name.split())
    return name if len(name) <= width else name[: width - 1] + "…"


def _print_numbers(axes, matrix, shares):
    size = 9 if len(matrix) <= 10 else 7
    for (row, column), count in np.ndenumerate(matrix):
        if not count:
            axes.text(column, row, "0", ha="center", va="center", fontsize=size, color=MUTED)
            continue
        style = {"ha": "center", "color": "white" if shares[row, column] > 0.35 else INK}
        axes.text(column, row, str(count), va="bottom", fontsize=size, **style)
        share = f"{shares[row, column]:.1%}"
        axes.text(column, row + 0.05, share, va="top", fontsize=max(size - 2, 6), **style)


def _draw_color_bar(figure, axes, image):
    marks = {
        "ticks": [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
        "format": ticker.PercentFormatter(1, decimals=0),
    }
    bar = figure.colorbar(image, ax=axes, shrink=0.8, **marks)
    bar.set_label("Share of the true class", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=INK)


def _show(axes, title, pixels, **options):
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_axis_off()
    axes.set_anchor("N")
    return axes.imshow(pixels, interpolation="nearest", **options)


def _draw_bar_below(figure, axes, image, names):
    """A colour bar whose places, `{value: name}`, are named."""
    bar = figure.colorbar(
        image, ax=axes, orientation="horizontal", shrink=0.8, pad=0.02, ticks=list(names)
    )
    bar.ax.set_xticklabels(names.values(), fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=INK)


def _explanation_title(explanation):
    """The class that is explained and its probability; and the answer, where that is another
    one.
    """
    shares = explanation.probabilities
    title = f"Why {_short(explanation.label)}: probability {explanation.probability:.3f}"
    answer = max(shares, key=shares.get)
    if answer == explanation.label:
        return title
    return f"{title}; the answer is {_short(answer)}, {shares[answer]:.3f}"


def save_figure(figure, path):
    """Writes a figure as a PNG, atomically; a character that no font has is no warning."""
    FigureCanvasAgg(figure)
    texts = figure.findobj(Text)
    families = families_for(text.get_text() for text in texts)
    for text in texts:
        text.set_fontfamily(families)
    with write_atomically(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(temporary, dpi=150, format="png", facecolor="white")
