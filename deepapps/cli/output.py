"""Metrics and answers on stdout."""

import codecs
import csv
import json
import sys

from rich.console import Console
from rich.table import Table


def print_figures(metrics):
    """The scalar figures as a table on stdout, one column a split."""
    table = Table("", *metrics)
    for name in dict.fromkeys(name for figures in metrics.values() for name in figures):
        values = [figures.get(name) for figures in metrics.values()]
        if all(isinstance(value, str | int | float | None) for value in values):
            table.add_row(name, *map(cell, values))
    Console().print(table)


def cell(value):
    """A figure as text."""
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.4f}"


class AnswerPrinter:
    """Prints the answers to inputs, one a line, in their order.

    What stdout cannot show in its encoding is written as an escape.

    Args:
        style: "json", an object a line; "csv", a table; or "lines": the answers alone, of images
            the name of the file and a tab before each.
        kind: The `input_kind` of the task.
    """

    def __init__(self, style, kind):
        self._print = {"json": self._json, "csv": self._csv, "lines": self._line}[style]
        self._names_inputs = kind == "image"
        self._is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
        self._columns = None

    def print(self, inputs, answers):
        """Prints the answers, dicts as of `Task.decode`; that to an empty input is empty."""
        for one, answer in zip(inputs, answers, strict=True):
            self._print(one, answer)
        sys.stdout.flush()

    def _json(self, one, answer):
        print(json.dumps({"input": one, **answer}, ensure_ascii=not self._is_utf8))

    def _line(self, one, answer):
        first = _as_text(next(iter(answer.values()), ""))
        print(f"{one}\t{first}" if self._names_inputs and answer else first)

    def _csv(self, one, answer):
        row = {"input": one, **_cells(answer)}
        writer = csv.writer(sys.stdout, lineterminator="\n")
        if self._columns is None and answer:
            self._columns = list(row)
            writer.writerow(self._columns)
        writer.writerow([row.get(name, "") for name in self._columns or row])


def _cells(answer):
    """The answer as cells of a table: itself, its probability, and the numbers and texts in it."""
    first, probabilities = next(iter(answer.values()), ""), answer.get("probabilities", {})
    cells = {name: value for name, value in answer.items() if isinstance(value, str | int | float)}
    cells = {next(iter(answer), "output"): _as_text(first)} | cells
    if isinstance(first, str) and first in probabilities:
        cells["probability"] = probabilities[first]
    return cells


def _as_text(answer):
    """Several labels with commas between; none as an empty text."""
    return ", ".join(answer) if isinstance(answer, list) else answer
