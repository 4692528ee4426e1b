"""Tables of metrics on stdout."""

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
