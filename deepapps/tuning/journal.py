"""The journal of a search: what its oracle decided and was told, a line each, in order.

An oracle that is told the same again stands where the first one stood. So a search that was killed
at any instant goes on as if it had not been, whatever the oracle keeps in memory.
"""

import dataclasses
import json
import os
import pathlib
import typing

from deepapps.files import blamed_on, read_text
from deepapps.typed_json import check_type, one_of, parse

COMPLETED, PRUNED, FAILED, RUNNING = "completed", "pruned", "failed", "running"


def _is_id(text):
    """A check of `typed_json`: a trial's id is also the name of its folder."""
    return None if text.isascii() and text.isdigit() else "digits"


TrialId = typing.Annotated[str, _is_id]


class Begin(typing.TypedDict):
    """The event that a trial was given out."""

    event: str
    trial: TrialId
    values: dict[str, str | int | float | bool | None]


class End(typing.TypedDict):
    """The event that a trial has ended."""

    event: str
    trial: TrialId
    completed: bool
    figures: dict[str, float | None]
    message: str


class Event(typing.TypedDict):
    """A line of the journal."""

    event: typing.Annotated[str, one_of("begin", "end")]


@dataclasses.dataclass
class Row:
    """A trial as the table shows it.

    Attributes:
        trial: Its id, such as "0007".
        values: Its hyperparameters.
        status: "completed", "pruned", "failed" or "running".
        figures: `{name: number}`: those of the validation split with `val_`, at the best epoch, and
            `parameters`, `epochs`, `seconds`; means over the repeats. Empty before the end.
        message: Why it failed.
    """

    trial: str
    values: dict
    status: str = RUNNING
    figures: dict = dataclasses.field(default_factory=dict)
    message: str = ""


class Journal:
    """A file of events that only grows.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def events(self):
        """The events so far, as dicts; a last line that was cut off by a kill does not count."""
        if not self.path.exists():
            return []
        events, lines = [], read_text(self.path).split("\n")
        for number, line in enumerate(lines[:-1], start=1):
            with blamed_on(f"{self.path}: line {number}"):
                events.append(_event(line))
        return events

    def mend(self):
        """Takes off the line that a kill has cut off, so that the next one stands by itself."""
        if self.path.exists():
            whole = self.path.read_bytes().rpartition(b"\n")
            with open(self.path, "r+b") as file:
                file.truncate(len(whole[0]) + len(whole[1]))

    def begin(self, trial, values):
        """Notes that a trial was given out."""
        self._append({"event": "begin", "trial": trial, "values": values})

    def end(self, trial, completed, figures, message=""):
        """Notes how a trial has ended."""
        self._append(
            {
                "event": "end",
                "trial": trial,
                "completed": completed,
                "figures": figures,
                "message": message,
            }
        )

    def rows(self):
        """The trials, `{id: Row}`, in the order in which they began."""
        rows = {}
        for event in self.events():
            if event["event"] == "begin":
                rows[event["trial"]] = Row(event["trial"], event["values"])
                continue
            row = rows.setdefault(event["trial"], Row(event["trial"], {}))
            row.figures, row.message = event["figures"], event["message"]
            ended = PRUNED if row.figures.get("pruned") else COMPLETED
            row.status = ended if event["completed"] else FAILED
        return rows

    def _append(self, event):
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with open(self.path, "ab", buffering=0) as file:
                file.write(line.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None


def _event(line):
    """The event of a line; ValueError where it is damaged."""
    event = parse(line)
    check_type(event, Event)
    check_type(event, Begin if event["event"] == "begin" else End)
    return event
