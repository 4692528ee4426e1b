"""The report of a Run: one self-contained HTML page, and the figures in it as PNG files beside it."""

import base64
import dataclasses
import json
import math
import numbers
import os
import pathlib
import struct
import tempfile

import jinja2

from deepapps.files import UNFINISHED, write_text
from deepapps.plots import figure_name, plot_curves

MISSING = "–"
HEADLINES = 6
DENSITY = 1.5  # pixels of a figure to one CSS pixel, so that it is sharp on a phone and in print


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure of the page: its title, its PNG as a data: URI, and its size in CSS pixels."""

    title: str
    source: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the page: column names, and rows of a name and cells, all of them text."""

    columns: list
    rows: list


def write_report(run):
    """Writes the report of `run` into its folder, in place of an earlier one; returns its path.

    The page holds its figures in itself and can be sent on as one file. It is written last and in
    one move, so a reader sees the earlier page or the new one, and never a part.

    Args:
        run: A Run: `path, name, metrics, history, settings, training, versions, command, task`.

    Returns: The path of `report/index.html`.
    """
    report = pathlib.Path(run.path) / "report"
    report.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(UNFINISHED, ".report.", run.path) as folder:
        drawn = _draw(run, pathlib.Path(folder))
        pictures = [_picture(title, pathlib.Path(folder) / name) for title, name in drawn.items()]
        for name in drawn.values():
            os.replace(pathlib.Path(folder) / name, report / name)
    write_text(report / "index.html", _page(run, pictures))
    return report / "index.html"


def _draw(run, folder):
    """Draws all figures of the run into `folder`; `{title: file name}`."""
    drawn = {}
    if run.history:
        plot_curves(run.history, folder / "curves.png")
        drawn["Learning curves"] = "curves.png"
    return drawn | run.task.plot(run, folder)


def _picture(title, path):
    content = path.read_bytes()
    size = struct.unpack(">II", content[16:24])  # width and height, from the header of the PNG
    source = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    return Picture(title, source, *(round(pixels / DENSITY) for pixels in size))


def _page(run, pictures):
    loader = jinja2.PackageLoader("deepapps", "templates")
    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, **options)
    part = "test" if run.metrics.get("test") else "validation"
    figures = run.metrics.get(part) or {}
    return environment.get_template("report.html").render(
        name=run.name,
        command=run.command,
        part=part,
        headlines=_headlines(figures, run.task.monitor),
        metrics=_metrics_table(run.metrics),
        classes=_table((figures.get("per_class") or {}).items()),
        history=_history_table(run.history),
        lists=_lists(run),
        pictures=pictures,
    )


def _headlines(figures, monitor):
    """The figures that open the page, `(name, text)`; the one that picked the best weights comes first."""
    names = sorted(_scalar_names(figures), key=lambda name: name != monitor)
    return [(figure_name(name), figure_text(figures[name])) for name in names[:HEADLINES]]


def _metrics_table(metrics):
    parts = {part: figures for part, figures in metrics.items() if figures}
    names = dict.fromkeys(name for figures in parts.values() for name in _scalar_names(figures))
    return _table(
        (figure_name(name), {part: figures.get(name) for part, figures in parts.items()}) for name in names
    )


def _history_table(history):
    return _table((epoch["epoch"], {k: v for k, v in epoch.items() if k != "epoch"}) for epoch in history)


def _table(named_figures):
    """The table of `(row name, {column name: figure})`, with every column that some row has."""
    named_figures = list(named_figures)
    columns = dict.fromkeys(column for _, figures in named_figures for column in figures)
    rows = [
        (str(name), [figure_text(figures.get(column)) for column in columns])
        for name, figures in named_figures
    ]
    return Table([figure_name(column) for column in columns], rows)


def _lists(run):
    """Settings and versions: `{title: [(name, text), ...]}`."""
    parts = {
        "Settings": run.settings.as_dict(),
        "Training settings": run.training.as_dict(),
        "Versions": run.versions,
    }
    return {
        title: [(name, _setting_text(value)) for name, value in part.items()] for title, part in parts.items()
    }


def _scalar_names(figures):
    return [name for name, value in figures.items() if value is None or isinstance(value, numbers.Real)]


def figure_text(value):
    """A figure as text: four decimals or four digits, an en dash where it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, numbers.Integral):
        return str(int(value))
    value = float(value)
    return f"{value:.4f}" if 0.01 <= abs(value) < 10 or value == 0 else f"{value:.4g}"


def _setting_text(value):
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return MISSING
    if isinstance(value, list | tuple):
        return ", ".join(_setting_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict) else str(value)
