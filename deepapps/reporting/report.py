"""The report of a Run: one self-contained HTML page, and the figures in it as PNG files beside it.

What a task adds to it, `Task.sections`, is described in `deepapps/reporting/sections.py`.
"""

import json
import math
import numbers
import os
import pathlib
import shutil
import tempfile

from deepapps.files import UNFINISHED, blamed_on, write_text
from deepapps.reporting.pages import render
from deepapps.reporting.plots import figure_name, plot_curves
from deepapps.reporting.sections import (
    MISSING,
    Lines,
    Picture,
    Section,
    embedded,
    figure_text,
    figures_table,
)
from deepapps.task import monitored_direction

HEADLINES = 6


def write_report(run):
    """Writes the report of `run` into its folder, in place of an earlier one; returns its path.

    The page holds its figures in itself and can be sent on as one file. It is written last and in
    one move, so a reader sees the earlier page or the new one, and never a part.

    Args:
        run: A Run: `path, name, metrics, examples, description, history, settings, training,
            versions, command, task`.

    Returns: The path of `report/index.html`.
    """
    return write_page(run.path, lambda folder: _contents(run, folder))


def write_page(path, contents):
    """Writes `report/index.html` and its figures into a folder; returns the path of the page.

    Args:
        path: The folder.
        contents: A function from the folder that pictures are drawn into to what the template
            needs, a dict.
    """
    report = pathlib.Path(path) / "report"
    report.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(UNFINISHED, ".report.", path) as name:
        folder = pathlib.Path(name)
        page = render(
            "report.html", embed=lambda picture: embedded(folder / picture.file), **contents(folder)
        )
        for file in folder.iterdir():
            os.replace(file, report / file.name)
    write_text(report / "index.html", page)
    return report / "index.html"


def _contents(run, folder):
    """What the template needs of a Run; its pictures are drawn into `folder`."""
    part = "test" if run.metrics.get("test") else "validation"
    figures = run.metrics.get(part) or {}
    sections = [Section("Figures", [_metrics_table(run.metrics)])] if figures else []
    sections += [Section("Data", [Lines(run.description)])] if run.description else []
    sections += _samples(pathlib.Path(run.path) / "samples.png", folder)
    sections += _curves(run.history, folder)
    if figures:
        with blamed_on(f"{run.path}/metrics.json or examples.json"):
            sections += run.task.sections(figures, run.examples, folder)
    sections += [Section("Epochs", [_history_table(run.history)])] if run.history else []
    return {
        "name": run.name,
        "command": run.command,
        "deterministic": run.training.deterministic,
        "part": part,
        "summary": _summary(run),
        "headlines": _headlines(figures, run.task.monitor),
        "sections": sections,
        "lists": _lists(run),
    }


def _samples(path, folder):
    """Training examples, where the task has drawn some as it was saved."""
    if not path.exists():
        return []
    shutil.copy(path, folder)
    return [
        Section(
            "Training examples",
            [Picture(path.name, "An example of each class, as training sees it")],
        )
    ]


def _curves(history, folder):
    if not history:
        return []
    plot_curves(history, folder / "curves.png")
    return [Section("Learning curves", [Picture("curves.png", "Each figure over the epochs")])]


def _summary(run):
    """How long the training was, and which epoch was the best, in a sentence; empty before the
    first.
    """
    if not run.history:
        return ""
    epochs = f"{len(run.history)} epoch{'s' * (len(run.history) > 1)}"
    text = f"{epochs} in {duration(sum(epoch.get('seconds') or 0 for epoch in run.history))}"
    figure = f"val_{run.task.monitor}"
    values = {e["epoch"]: e[figure] for e in run.history if e.get(figure) is not None}
    if not values:
        return f"{text}."
    pick = max if monitored_direction(run.task, run.training) == "max" else min
    best = pick(reversed(values), key=values.get)  # of equal epochs training keeps the last one
    name = figure_name(figure)
    return (
        f"{text}; the weights are those of epoch {best}, by {name[0].lower()}{name[1:]} "
        f"({figure_text(values[best])})."
    )


def duration(seconds):
    """Seconds as text: "1 h 3 min", "2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{max(rest, 1)} s"


def _headlines(figures, monitor):
    """The figures that open the page, `(name, text)`; the one that picked the best weights comes
    first.
    """
    names = sorted(_scalar_names(figures), key=lambda name: name != monitor)
    return [(figure_name(name), figure_text(figures[name])) for name in names[:HEADLINES]]


def _metrics_table(metrics):
    parts = {part: figures for part, figures in metrics.items() if figures}
    names = dict.fromkeys(name for figures in parts.values() for name in _scalar_names(figures))
    return figures_table(
        "Figure",
        (
            (figure_name(name), {part: figures.get(name) for part, figures in parts.items()})
            for name in names
        ),
    )


def _history_table(history):
    rows = ((epoch["epoch"], {k: v for k, v in epoch.items() if k != "epoch"}) for epoch in history)
    return figures_table("Epoch", rows)


def _lists(run):
    """Settings and versions: `{title: [(name, text), ...]}`."""
    parts = {
        "Settings": run.settings.as_dict(),
        "Training settings": run.training.as_dict(),
        "Versions": run.versions,
    }
    return {
        title: [(name, setting_text(value)) for name, value in part.items()]
        for title, part in parts.items()
    }


def _scalar_names(figures):
    return [
        name for name, value in figures.items() if value is None or isinstance(value, numbers.Real)
    ]


def setting_text(value):
    """The value of a setting as text; an en dash for None."""
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return MISSING
    if isinstance(value, list | tuple):
        return ", ".join(setting_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        json.dumps(value, default=str, ensure_ascii=False)
        if isinstance(value, dict)
        else str(value)
    )
