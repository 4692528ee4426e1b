"""The tuner: Keras Tuner's search, in which a trial is a process, and several run at a time."""

import copy
import signal
import threading
import time

import keras_tuner
import numpy as np
from keras_tuner.engine import base_tuner

from deepapps.distribution.pool import start
from deepapps.keras_internals import WithoutFiles
from deepapps.tuning.journal import FAILED
from deepapps.tuning.statistics import check_figures
from deepapps.tuning.trial import Trial
from deepapps.tuning.trial_training import train_trial

POLL_SECONDS = 0.05
STOP_SECONDS = 60  # that a trial has to write a checkpoint
HOPELESS = 5  # trials that all fail
FRESH = 2**16  # the trainings of the best settings: no trial has such a number


class Stopped(keras_tuner.errors.FatalError):
    """The search ends here; the trial that runs goes on with a resume."""


class NoneSucceeded(keras_tuner.errors.FatalError):
    """The first trials have all failed, so the fault is not in their settings."""


class TrialTuner(WithoutFiles, base_tuner.BaseTuner):
    """Runs the trials of an oracle as processes.

    Args:
        oracle: One of `make_oracle`.
        space: The `Space`.
        settings: The `SearchSettings`.
        folder: The folder of the search.
        report: Gets the search's progress, a `Progress`.
        slots: The `Slot` of each worker.
        context: What `start_server` returned.
        requests: A list that is empty until the search is to stop, as `stop_requests` yields it.
    """

    def __init__(self, oracle, space, settings, folder, report, slots, context, requests):
        self.settings, self.folder, self.report = settings, folder, report
        self.slots, self.context, self.slot = slots, context, slots[0]
        self.objectives, self.requests = oracle.objectives, requests
        self.stopping = threading.Event()
        self.deadline = time.monotonic() + (settings.time_limit or float("inf"))
        super().__init__(oracle, hypermodel=space, directory=str(folder), project_name=".")
        self.hypermodel = space

    def search(self):
        """Runs all trials, `workers` at a time; returns whether they have all ended.

        Raises: Stopped where it is asked to stop; `NoneSucceeded`; what goes wrong outside of the
            trials.
        """
        failures, threads = [], []
        for index, slot in enumerate(self.slots):
            tuner = copy.copy(self)
            tuner.slot = slot
            tuner.tuner_id = f"{self.tuner_id}-{index}" if len(self.slots) > 1 else self.tuner_id
            threads.append(threading.Thread(target=tuner._search, args=(failures,), daemon=True))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not (
            _real(failures) or self.requests
        ):
            time.sleep(POLL_SECONDS)
        self.stopping.set()
        # Keras Tuner keeps its lock where a disk is full: others may wait for ever
        for thread in threads:
            thread.join(0 if _real(failures) else None)
        if _real(failures):
            raise _real(failures)[0]
        if self.requests:
            raise Stopped
        return not failures

    def _search(self, failures):
        try:
            super().search()
        except Exception as error:
            failures.append(error)

    def pre_create_trial(self):
        """Before each question to the oracle."""
        self._check_time()
        time.sleep(0.01)  # an oracle that has to wait for others is asked again and again

    def run_trial(self, trial):
        """Trains the Runs of a trial and returns its figures."""
        settings = self.hypermodel(trial.hyperparameters)
        results = []
        for repeat in range(self.settings.repeats):
            one = self._trial(trial, settings, repeat)
            self.report.begin(trial.trial_id, one.folder)
            self._train(one, self.settings.trial_time_limit)
            results.append(one.result)
            _check_figures(one)
            if one.result["pruned"]:
                break
        means = {name: float(np.mean([result[name] for result in results])) for name in results[0]}
        totals = {
            name: float(sum(result[name] for result in results)) for name in ("epochs", "seconds")
        }
        return means | totals | {"pruned": float(results[0]["pruned"])}

    def on_trial_end(self, trial):
        """After each trial: Keras Tuner's stack traces become the line that tells the reason."""
        if trial.message:
            trial.message = trial.message.strip().rpartition("\n")[2].partition(": ")[2]
        super().on_trial_end(trial)
        self.report.end(trial.trial_id)
        rows = self.report.rows()
        if len(rows) >= HOPELESS and all(row.status == FAILED for row in rows):
            raise NoneSucceeded

    def train_afresh(self, trial_id, settings):
        """Trains the settings of a trial with fresh seeds, whole Runs with test figures, below the
        folder `best`.

        Raises: Stopped where the search is to stop; FailedTrialError.
        """
        self.stopping.clear()
        self.deadline = float("inf")
        for index in range(self.settings.retrain):
            task, training = self.hypermodel.split(settings)
            training["seed"] = seed_of(self.settings.seed, FRESH + index)
            folder = self.folder / "best" / f"{trial_id}-{index + 1}"
            one = Trial(task, training, folder, self.objectives, reported=True)
            self.report.retrain(index + 1, self.settings.retrain)
            self._train(one, None)

    def save(self):
        """The oracle's journal is what is kept."""

    def _trial(self, trial, settings, repeat):
        """The `Trial` of a repeat of a trial of Keras Tuner's; `hyperband` goes on from an
        earlier one.
        """
        values = trial.hyperparameters.values
        number, origin = trial.trial_id, None
        if "tuner/epochs" in values:
            settings = {**settings, "epochs": values["tuner/epochs"]}
        if earlier := values.get("tuner/trial_id"):
            origin, number = self._folder(earlier, repeat), self._first(earlier)
        task, training = self.hypermodel.split(settings)
        training["seed"] = seed_of(self.settings.seed, int(number), repeat)
        folder, objectives = self._folder(trial.trial_id, repeat), self.objectives
        pruner = self.settings.pruner if repeat == 0 else "none"
        return Trial(task, training, folder, objectives, pruner, origin, values)

    def _folder(self, trial_id, repeat=0):
        return self.folder / "trials" / (trial_id if repeat == 0 else f"{trial_id}-{repeat + 1}")

    def _first(self, trial_id):
        """The trial whose training the trial goes on with, and so its seed."""
        while earlier := self.oracle.get_trial(trial_id).hyperparameters.values.get(
            "tuner/trial_id"
        ):
            trial_id = earlier
        return trial_id

    def _train(self, one, limit):
        """Has a process train a Run, and waits for it.

        Raises: FailedTrialError when it fails or takes too long; Stopped with the search.
        """
        began = time.monotonic()
        process = start(self.context, train_trial, one, self.slot, one.log)
        try:
            while process.is_alive():
                if limit is not None and time.monotonic() - began > limit:
                    raise keras_tuner.errors.FailedTrialError(f"took longer than {limit:g} s")
                self._check_time()
                process.join(POLL_SECONDS)
        except Stopped:
            process.terminate()
            process.join(STOP_SECONDS)
            raise
        finally:
            if process.is_alive():
                process.kill()
            process.join()
        if process.exitcode or one.result is None:
            raise keras_tuner.errors.FailedTrialError(_reason(process.exitcode, one))

    def _check_time(self):
        if self.requests or self.stopping.is_set() or time.monotonic() > self.deadline:
            raise Stopped


def seed_of(*numbers):
    """A seed that follows from the search's, the trial's number and that of the repeat."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _check_figures(one):
    """Raises an error that ends the search for an objective that the trial has no figure of."""
    try:
        check_figures(one.objectives, one.result)
    except ValueError as error:
        raise keras_tuner.errors.FatalValueError(str(error)) from None


def _real(failures):
    return [error for error in failures if not isinstance(error, Stopped)]


def _reason(status, one):
    """Why a process has failed, in a line."""
    if status < 0:
        hint = ", perhaps out of memory" if -status == signal.SIGKILL else ""
        return f"killed by {signal.Signals(-status).name}{hint}; log: {one.log}"
    if not one.log.exists():  # it imports the program that searches before it writes a log
        return f"its process ended with status {status} as it started; its words stand above"
    return one.last_words() or f"ended with status {status}; log: {one.log}"
