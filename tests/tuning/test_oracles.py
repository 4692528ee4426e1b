"""The oracles: each goes on from its journal as if it had never stopped, wherever it was cut
off.
"""

import json
import math

import keras_tuner
import pytest

from deepapps.tuning.journal import Journal
from deepapps.tuning.oracles import make_oracle
from deepapps.tuning.search_settings import Objective, SearchSettings

TUNERS = ("random", "grid", "bayesian", "hyperband")


class FunctionTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Trials that compute a function."""

    def run_trial(self, trial):
        values = trial.hyperparameters.values
        if values["kind"] == "bad":
            raise keras_tuner.errors.FailedTrialError("bad")
        score = -((values["x"] - 0.3) ** 2) + 0.1 * math.log(values["width"])
        return {"val_accuracy": score, "parameters": values["width"], "pruned": 0.0}

    def on_trial_end(self, trial):
        trial.message = "bad" if trial.message else None
        super().on_trial_end(trial)

    def save(self):
        pass

    def _get_tuner_fname(self):
        return ""


def space(hp):
    hp.Choice("kind", ["good", "better", "bad"])
    hp.Float("x", 0, 1)
    with hp.conditional_scope("kind", ["good"]):
        hp.Int("depth", 1, 3)
    hp.Int("width", 1, 16, step=5)


def search(folder, tuner, names=("val_accuracy",)):
    """Searches, or goes on, and returns what the journal holds in the end."""
    objectives = [Objective(name, "min" if name == "parameters" else "max") for name in names]
    trials = {"hyperband": None, "bayesian": 8}.get(tuner, 14)
    oracle = make_oracle(SearchSettings(tuner=tuner, trials=trials, seed=3), objectives, epochs=4)
    oracle.num_initial_points = 4
    made = FunctionTuner(oracle, space, directory=str(folder), project_name=".")
    journal = Journal(folder / "journal.jsonl")
    journal.mend()
    oracle.replay(journal)
    made.search()
    return journal.path.read_text()


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_cut_off_anywhere_ends_as_the_whole_one(tmp_path, tuner):
    whole = search(tmp_path, tuner)
    lines = whole.splitlines(keepends=True)
    assert len(lines) >= 16
    # a Gaussian process takes its time
    places = range(len(lines)) if tuner != "bayesian" else (5, 12)
    for place in places:
        begun = "".join(lines[:place]) + lines[place][: place % 7]  # the last line may be torn
        (tmp_path / "journal.jsonl").write_text(begun)
        assert search(tmp_path, tuner) == whole, place


def test_failed_trials_are_remembered(tmp_path):
    search(tmp_path, "random")
    rows = Journal(tmp_path / "journal.jsonl").rows().values()
    assert {row.status for row in rows} == {"completed", "failed"}
    assert all((row.status == "failed") == (row.values["kind"] == "bad") for row in rows)
    assert {row.message for row in rows if row.status == "failed"} == {"bad"}


def test_several_objectives_are_weighed_anew_for_each_trial(tmp_path):
    whole = search(tmp_path, "bayesian", ("val_accuracy", "parameters"))
    lines = whole.splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_text("".join(lines[:13]))
    assert search(tmp_path, "bayesian", ("val_accuracy", "parameters")) == whole
    (tmp_path / "journal.jsonl").write_text("".join(lines[:8]))
    assert search(tmp_path, "bayesian") != whole


def test_a_journal_of_another_seed_is_refused(tmp_path):
    search(tmp_path, "random")
    path = tmp_path / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["values"]["x"] = 0.123
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match="does not follow from the seed"):
        search(tmp_path, "random")


def test_a_damaged_journal_is_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": \n{}\n')
    with pytest.raises(ValueError, match=r"journal.jsonl: line 1: is damaged"):
        Journal(path).events()


def test_a_full_disk_is_named():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        Journal("/dev/full").begin("0000", {})


def opened(folder):
    """A random oracle that goes on with the journal of a folder."""
    objectives = [Objective("val_accuracy", "max")]
    oracle = make_oracle(SearchSettings(tuner="random", trials=9, seed=3), objectives, epochs=4)
    FunctionTuner(oracle, space, directory=str(folder), project_name=".")
    oracle.replay(Journal(folder / "journal.jsonl"))
    return oracle


def test_trials_that_a_kill_left_go_to_whoever_asks_first(tmp_path):
    oracle = opened(tmp_path)
    left = [oracle.create_trial(worker).trial_id for worker in ("one", "two")]
    for _ in range(2):
        oracle = opened(tmp_path)
        taken = [oracle.create_trial(worker) for worker in ("two", "one")]
        assert [trial.trial_id for trial in taken] == left
        oracle.update_trial(left[0], {"val_accuracy": 0.5, "pruned": 0.0})
        taken[0].status = "COMPLETED"
        oracle.end_trial(taken[0])
        left = [left[1], oracle.create_trial("two").trial_id]
    assert [row.status for row in Journal(tmp_path / "journal.jsonl").rows().values()] == [
        "completed",
        "completed",
        "running",
        "running",
    ]
