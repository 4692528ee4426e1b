"""The journal of a search: what its oracle decided and was told, a line each, in order.

An oracle that is told the same again stands where the first one stood. So a search that was killed
at any instant goes on as if it had not been, whatever the oracle keeps in memory.
"""

import dataclasses
import json
import os
import pathlib

COMPLETED, PRUNED, FAILED, RUNNING = "completed", "pruned", "failed", "running"


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
        lines = self.path.read_text(encoding="utf-8").split("\n")
        try:
            return [json.loads(line) for line in lines[:-1]]
        except ValueError as error:
            raise ValueError(f"{self.path}: is damaged ({error}).") from None

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
            row = rows[event["trial"]]
            row.figures, row.message = event["figures"], event["message"]
            row.status = (
                FAILED if not event["completed"] else PRUNED if row.figures["pruned"] else COMPLETED
            )
        return rows

    def _append(self, event):
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with open(self.path, "ab", buffering=0) as file:
                file.write(line.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None
