"""What a search shows: the trials on stderr as they go, and the tables in its folder."""

import csv
import io
import json

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deepapps.files import read_json_lines, write_text
from deepapps.tuning.journal import FAILED, RUNNING

SHOWN = 5  # of the best trials in the live table


class Progress:
    """Shows the trials: a live table where stderr is a terminal, else a line for each that ends.

    Args:
        journal: The `Journal`.
        objectives: The `Objective`s.
        total: How many trials there will be, or None.
        shown: Whether to show anything.
    """

    def __init__(self, journal, objectives, total, shown):
        self._journal = journal
        self._objectives = objectives
        self._total = total
        self._shown = shown
        self._running, self._note = {}, ""
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = None
        if shown and self._console.is_terminal:
            self._live = Live(
                get_renderable=self._table, console=self._console, refresh_per_second=2
            )

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()

    def rows(self):
        """The `Row`s so far."""
        return list(self._journal.rows().values())

    def begin(self, trial_id, folder):
        """A trial begins, or one of its repeats, with its Run in `folder`."""
        self._running[trial_id] = folder

    def end(self, trial_id):
        """A trial has ended."""
        self._running.pop(trial_id, None)
        if not self._shown or self._live:
            return
        rows = self._journal.rows()
        row, best = rows[trial_id], best_row(rows.values(), self._objectives)
        ended = sum(row.status != RUNNING for row in rows.values())
        of = f"/{self._total}" if self._total else ""
        figures = "  ".join(
            f"{name} {value}" for name, value in _cells(row, self._objectives).items() if value
        )
        told = row.message if row.status == FAILED else figures
        ahead = f"  (best: trial {best.trial})" if best else ""
        self._console.print(
            f"trial {trial_id} [{ended}{of}] {row.status}: {told}  "
            f"{settings_text(row.values)}{ahead}",
            markup=False,
        )

    def retrain(self, index, count):
        """The best settings are trained again."""
        self._note = f"best settings again, with a fresh seed: {index} of {count}"
        if self._shown and not self._live:
            self._console.print(self._note)

    def _table(self):
        rows = self._journal.rows()
        ended = [row for row in rows.values() if row.status not in (RUNNING, FAILED)]
        failed = sum(row.status == FAILED for row in rows.values())
        best = ranked(ended, self._objectives)[:SHOWN]
        running = [
            row for row in rows.values() if row.trial in self._running and row.status == RUNNING
        ]
        table = Table(
            "trial",
            "status",
            *(one.figure for one in self._objectives),
            "epochs",
            "seconds",
            "settings",
        )
        for row in [*best, *running]:
            cells = _cells(row, self._objectives)
            status = row.status if row.status != RUNNING else self._epoch(row.trial)
            table.add_row(row.trial, status, *cells.values(), settings_text(row.values))
        of = f" of {self._total}" if self._total else ""
        return Group(
            table, Text(f"{len(ended) + failed}{of} trials, {failed} failed  {self._note}")
        )

    def _epoch(self, trial_id):
        folder = self._running.get(trial_id)  # None: it has just ended
        path = folder and folder / "history.jsonl"
        return f"{RUNNING}, {len(read_json_lines(path)) if path and path.exists() else 0} epochs"


def ranked(rows, objectives):
    """Rows with figures, the best by the first objective first; of equal ones the earlier trial."""
    first = objectives[0]
    ended = [row for row in rows if row.status != FAILED]
    scored = [row for row in ended if row.figures.get(first.figure) is not None]
    return sorted(scored, key=lambda row: -first.sign * row.figures[first.figure])


def best_row(rows, objectives):
    """The best of the rows, or None."""
    return next(iter(ranked(rows, objectives)), None)


def settings_text(values):
    """`units=64 network=mlp ...`"""
    own = {name: value for name, value in values.items() if not name.startswith("tuner/")}
    return " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in own.items())


def write_table(path, rows):
    """Writes trials.csv: a row for each trial, with all its figures and hyperparameters."""
    rows = list(rows)
    figures = list(dict.fromkeys(name for row in rows for name in row.figures if name != "pruned"))
    values = list(dict.fromkeys(name for row in rows for name in row.values))
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["trial", "status", *figures, *values, "message"])
    for row in rows:
        cells = [row.figures.get(name, "") for name in figures] + [
            _cell(row.values.get(name, "")) for name in values
        ]
        table.writerow([row.trial, row.status, *cells, row.message])
    write_text(path, file.getvalue())


def _cell(value):
    return json.dumps(value) if isinstance(value, bool | None) else value


def _cells(row, objectives):
    """The objectives, epochs and seconds as texts."""
    figures = row.figures
    shown = {one.figure: f"{figures[one.figure]:.4g}" if figures else "" for one in objectives}
    return shown | {
        name: f"{figures[name]:.4g}" if figures else "" for name in ("epochs", "seconds")
    }
