"""Keras Tuner's oracles, which pick the trials, with a memory that survives a kill."""

import contextlib

import keras_tuner
import numpy as np
from keras_tuner import oracles

from deepapps.keras_internals import WithoutFiles, WithOwnScores, retry_first, seed_draws

DEFAULT_TRIALS = 20


class _Remembered(WithoutFiles):
    """An oracle whose decisions and results stand in a journal; Keras Tuner's own files are not
    written.

    Keras Tuner forgets the grid and the random state of the Gaussian process as it saves, and a
    kill between two of its files loses a trial.
    """

    journal = None
    recorded = None
    limit = None  # trials at most; `max_trials` would change the ids of the trials

    def populate_space(self, trial_id):
        """The hyperparameters of the next trial, while there is one to be."""
        if self.limit is not None and len(self.trials) >= self.limit:
            return {"status": "STOPPED", "values": None}
        return super().populate_space(trial_id)

    def on_end(self):
        """Called after each trial that ends; the search puts its own here."""

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """The next trial, or one that was given out and has not ended."""
        trial = super().create_trial(tuner_id)
        if trial.status == "RUNNING" and trial.trial_id not in self.recorded:
            self.recorded[trial.trial_id] = trial.hyperparameters.values
            self.journal.begin(trial.trial_id, trial.hyperparameters.values)
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Takes note of a trial's end."""
        super().end_trial(trial)
        ended = self.trials[trial.trial_id]
        figures = {name: ended.metrics.get_best_value(name) for name in ended.metrics.metrics}
        self.journal.end(ended.trial_id, ended.status == "COMPLETED", figures, ended.message or "")
        self.on_end()

    def replay(self, journal):
        """Goes through what the journal says, and will add to it from then on.

        Raises: ValueError when the oracle decides otherwise than the journal says.
        """
        events = journal.events()
        self.journal = _Silent()
        self.recorded = {e["trial"]: e["values"] for e in events if "values" in e}
        for event in events:
            self._repeat(event, journal.path)
        left = list(self.ongoing_trials.values())
        self.ongoing_trials.clear()
        self.tuner_ids.clear()
        retry_first(self, [trial.trial_id for trial in left])
        self.journal = journal

    def _repeat(self, event, path):
        if event["event"] == "begin":
            # in a worker's place: which it was decides nothing
            trial = self.create_trial(event["trial"])
            if (trial.trial_id, trial.hyperparameters.values) != (event["trial"], event["values"]):
                raise ValueError(
                    f"{path}: trial {event['trial']} does not follow from the seed and the trials "
                    "before it."
                )
            return
        trial = self.trials[event["trial"]]
        if event["figures"]:
            self.update_trial(trial.trial_id, event["figures"])
        trial.status = "COMPLETED" if event["completed"] else "FAILED"
        trial.message = event["message"]
        self.end_trial(trial)

    def save(self):
        """The journal is what is kept."""


class _Random(_Remembered, oracles.RandomSearchOracle):
    pass


class _Grid(_Remembered, oracles.GridSearchOracle):
    pass


class _Hyperband(_Remembered, oracles.HyperbandOracle):
    pass


class _Bayesian(_Remembered, WithOwnScores, oracles.BayesianOptimizationOracle):
    """The Gaussian process with random numbers that follow from seed and trial, and with several
    objectives.

    Several are made one by ParEGO (Knowles 2006): for each trial other weights, drawn at random.
    """

    objectives = ()

    def populate_space(self, trial_id):
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if trial_id in self.recorded and len(completed) >= self.num_initial_points:
            return {"status": "RUNNING", "values": dict(self.recorded[trial_id])}
        self._draws = seed_draws(self, [self.seed, int(trial_id)])
        return super().populate_space(trial_id)

    @contextlib.contextmanager
    def own_scores(self):
        """The trials have the scores of all objectives together while the block runs."""
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        completed = completed if len(self.objectives) > 1 else []
        own = [trial.score for trial in completed]
        for trial, score in zip(completed, self._scalarized(completed), strict=True):
            trial.score = score
        try:
            yield
        finally:
            for trial, score in zip(completed, own, strict=True):
                trial.score = score

    def _scalarized(self, trials):
        """A score for each trial, in the direction of the first objective."""
        if not trials:
            return []
        costs = np.array(
            [
                [-one.sign * trial.metrics.get_best_value(one.figure) for one in self.objectives]
                for trial in trials
            ]
        )
        low, high = costs.min(axis=0), costs.max(axis=0)
        costs = (costs - low) / np.where(high > low, high - low, 1)
        weighted = costs * self._draws.dirichlet(np.ones(len(self.objectives)))
        return -self.objectives[0].sign * (weighted.max(axis=1) + 0.05 * weighted.sum(axis=1))


class _Silent:
    """A journal that is being read takes no notes."""

    def begin(self, *_):
        pass

    end = begin


def make_oracle(settings, objectives, epochs):
    """The oracle of a search.

    Args:
        settings: The `SearchSettings`.
        objectives: The `Objective`s; the first is the oracle's own.
        epochs: Epochs of a trial, of `hyperband` the most of one.
    """
    first = keras_tuner.Objective(objectives[0].figure, objectives[0].direction)
    options = {"objective": first, "seed": settings.seed + 1}  # Keras Tuner takes 0 for no seed
    options["max_consecutive_failed_trials"] = 2**31  # the search goes on
    if settings.tuner == "hyperband":
        oracle = _Hyperband(max_epochs=epochs, **options)
    else:
        oracle = {"random": _Random, "grid": _Grid, "bayesian": _Bayesian}[settings.tuner](
            max_trials=None, **options
        )
    asks_for_all = settings.tuner in ("grid", "hyperband")
    oracle.limit = settings.trials or (None if asks_for_all else DEFAULT_TRIALS)
    oracle.verbose, oracle.objectives = 0, objectives
    return oracle
