"""Pruners: which trials are hopeless, by what the histories of the others say.

A trial reads them from the Runs beside its own, so pruning needs no contact with the search, and
decides the same again after a resume.
"""

import json
import math
import pathlib
import statistics

import keras

FEWEST = 5  # other trials that the median must be of
FACTOR = 2  # of the trials that reach a rung, one in so many goes on, to so many times the epochs


def by_median(epoch, value, others):
    """The median rule (Golovin et al. 2017, "Google Vizier"): worse than half of the others at this
    epoch?

    Args:
        epoch: Finished epochs, from 1.
        value: The best value so far; more is better.
        others: The values of each other trial, one an epoch.
    """
    reached = [max(values[:epoch]) for values in others if len(values) >= epoch]
    return len(reached) >= FEWEST and value < statistics.median(reached)


def by_halving(epoch, value, others):
    """Asynchronous successive halving (Li et al. 2020): not among the best half at rungs of 1, 2,
    4, 8, ... epochs?

    Args:
        epoch, value, others: As of `by_median`.
    """
    if FACTOR ** round(math.log(epoch, FACTOR)) != epoch:
        return False
    reached = [max(values[:epoch]) for values in others if len(values) >= epoch]
    better = sum(other > value for other in reached)
    return better >= max((len(reached) + 1) // FACTOR, 1)


PRUNERS = {"median": by_median, "halving": by_halving}


class Pruning(keras.callbacks.Callback):
    """Stops a trial that its pruner takes for hopeless; the loop's checkpoints remember that.

    Args:
        pruner: A name of `PRUNERS`.
        objective: The `Objective`.
        folder: The folder of this trial's Run, beside those of the others.
    """

    def __init__(self, pruner, objective, folder):
        super().__init__()
        self._prune = PRUNERS[pruner]
        self._objective = objective
        self._folder = pathlib.Path(folder)
        self.best, self.pruned = None, False

    def on_epoch_end(self, epoch, logs=None):
        if self._objective.figure not in logs:  # `parameters`, say, is no figure of an epoch
            return
        value = logs[self._objective.figure] * self._objective.sign
        self.best = value if self.best is None else max(self.best, value)
        last = epoch + 1 == self.params["epochs"]
        if not last and self._prune(epoch + 1, self.best, self._others()):
            self.pruned = self.model.stop_training = True

    def get_state(self):
        """What a checkpoint keeps."""
        return {"best": self.best, "pruned": self.pruned}

    def set_state(self, state):
        """Takes what `get_state` gave."""
        self.best, self.pruned = state["best"], state["pruned"]

    def _others(self):
        """The values of each other trial, one an epoch; more is better. Further repeats do not
        count.
        """
        folders = self._folder.parent.glob("*[0-9]")
        paths = [
            folder / "history.jsonl"
            for folder in folders
            if folder != self._folder and "-" not in folder.name
        ]
        return [self._values(path) for path in sorted(paths) if path.exists()]

    def _values(self, path):
        lines = path.read_text(encoding="utf-8").splitlines()
        values = [json.loads(line)[self._objective.figure] for line in lines]
        return [-math.inf if value is None else value * self._objective.sign for value in values]
