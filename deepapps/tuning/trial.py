"""One trial: a Run that is trained in a process of its own."""

import dataclasses
import os
import pathlib

from deepapps.files import read_json

PRELOADED = [
    "deepapps.tuning.preloading",
    "keras",
    "deepapps.tuning.trial_training",
]  # in the process that trials are forked from


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a process needs to know to train a Run.

    Args:
        task: The `Task`, with its settings.
        training: Settings of the training, `{name: value}`.
        folder: Folder of the Run; its log is `<folder>.log`.
        objectives: The `Objective`s.
        pruner: A name of `PRUNERS`, or "none".
        origin: Folder of a Run to go on from, or None.
        values: The hyperparameters, for TensorBoard.
        reported: Whether it is a whole Run, with test figures and a report; else `trial.json` holds
            its result.
    """

    task: object
    training: dict
    folder: pathlib.Path
    objectives: list
    pruner: str = "none"
    origin: pathlib.Path | None = None
    values: dict = dataclasses.field(default_factory=dict)
    reported: bool = False

    @property
    def log(self):
        """The file of what the process says."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def result(self):
        """What the process left, `{name: number}`, or None."""
        path = self.folder / ("metrics.json" if self.reported else "trial.json")
        return read_json(path) if path.exists() else None

    def last_words(self):
        """The last line of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return text.strip().rpartition("\n")[2]


def is_helper():
    """Whether this process trains trials for the chief of a search on several machines."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" not in os.environ.get(
        "KERASTUNER_TUNER_ID", ""
    )
