"""The search as a whole: trials in processes, whatever happens to them."""

import contextlib
import json
import os
import signal
import socket
import time

import numpy as np
import processes
import psutil
import pytest
from tuning_task import Points, PointsSettings, search_points, searches, troubled

import deepapps
from deepapps.tuning.pruning import Pruning
from deepapps.tuning.search import load_search


def found(search):
    """What two searches must have in common: all but the times."""
    rows = [
        (
            row.trial,
            row.status,
            row.values,
            {k: v for k, v in row.figures.items() if k != "seconds"},
        )
        for row in search.trials
    ]
    return rows, search.best_settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed search."""
    folder = tmp_path_factory.mktemp("search") / "whole"
    return deepapps.search(Points(), **searches(folder, trials=4, tuner="random", retrain=2))


def test_each_trial_is_a_run_and_the_best_is_measured_with_fresh_seeds(whole):
    rows = whole.trials
    assert [row.status for row in rows] == ["completed"] * 4
    best = max(rows, key=lambda row: row.figures["val_accuracy"])
    assert whole.best_settings == {**best.values, "jit_compile": False}
    runs = [deepapps.load_run(whole.folder_of(row), task=Points) for row in rows]
    for row, run in zip(rows, runs, strict=True):
        assert run.settings.units == row.values["units"] and len(run.history) == 3
        assert max(line["val_accuracy"] for line in run.history) == row.figures["val_accuracy"]
        assert row.figures["parameters"] == 6 * row.values["units"] + 2
    seeds = [run.training.seed for run in runs]
    test = whole.test_figures["accuracy"]
    fresh = [
        deepapps.load_run(whole.path / "best" / f"{best.trial}-{n}", task=Points) for n in (1, 2)
    ]
    assert [run.metrics["test"]["accuracy"] for run in fresh] == test
    assert whole.best_run.path == fresh[0].path
    assert len({*seeds, *(run.training.seed for run in fresh)}) == 6


def test_the_tables_and_the_report(whole):
    lines = (whole.path / "trials.csv").read_text().splitlines()
    assert lines[0].startswith("trial,status,val_") and lines[0].endswith(
        "units,learning_rate,optimizer,message"
    )
    assert len(lines) == 5
    page = (whole.path / "report" / "index.html").read_text()
    for title in (
        "The best settings",
        "Is it luck?",
        "Over the trials",
        "Hyperparameters together",
        "Trials",
    ):
        assert f"<h2>{title}</h2>" in page
    assert page == (load_search(whole.path).report()).read_text()


def test_the_same_search_gives_the_same_trials(whole, tmp_path):
    again = deepapps.search(Points(), **searches(tmp_path / "again", trials=4, tuner="random"))
    assert found(again) == found(whole)
    other = deepapps.search(
        Points(), **searches(tmp_path / "other", trials=1, tuner="random", seed=1)
    )
    assert other.trials[0].values != whole.trials[0].values


def kill_once(folder, settings, reached):
    """Runs a search in a process, and kills it as soon as `reached()`; its trials die with it."""
    process = processes.start(search_points, folder, {**settings, "resume": True})
    while process.exitcode is None and not reached():
        time.sleep(0.02)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    end = time.monotonic() + 10
    while (left := trials_below(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left


def trials_below(folder):
    """The processes that have a file below the folder open, as each trial its log."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(file.path.startswith(str(folder)) for file in process.open_files()):
                found.append(process.pid)
    return found


def test_a_killed_search_goes_on_as_if_it_had_not_been(whole, tmp_path):
    folder = tmp_path / "killed"
    kill_once(
        folder, {"trials": 4, "tuner": "random"}, (folder / "trials/0001/history.jsonl").exists
    )
    assert found(deepapps.search(Points(), **searches(folder, resume=True))) == found(whole)


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_ten_kills_at_random(tmp_path, tuner):
    epochs = 27 if tuner == "hyperband" else 4  # for some 60 trials
    settings = {"tuner": tuner, "pruner": "median", "trials": 30, "epochs": epochs}
    undisturbed = deepapps.search(Points(), **searches(tmp_path / "whole", **settings))
    random = np.random.default_rng(5)
    for _ in range(10):
        end = time.monotonic() + random.uniform(5, 9)
        kill_once(tmp_path / "killed", settings, lambda end=end: time.monotonic() > end)
    resumed = deepapps.search(Points(), **searches(tmp_path / "killed", resume=True, **settings))
    assert found(resumed) == found(undisturbed)


def test_more_trials_on_a_finished_search(tmp_path):
    deepapps.search(Points(), **searches(tmp_path / "more", trials=9, tuner="random", epochs=1))
    more = deepapps.search(
        Points(), **searches(tmp_path / "more", trials=11, resume=True, workers=2)
    )
    assert len(more.trials) == 11 and more.settings.tuner == "random"


def test_a_failing_trial_fails_alone(tmp_path):
    settings = searches(tmp_path / "s", tuner="grid", trial_time_limit=20, epochs=1)
    search = deepapps.search(Points(), space=troubled, **settings)
    told = {row.values["trouble"]: (row.status, row.message) for row in search.trials}
    assert told["none"] == ("completed", "")
    assert told["raise"] == ("failed", "no points today")
    assert told["kill"][0] == "failed" and "killed by SIGKILL" in told["kill"][1]
    assert told["hang"] == ("failed", "took longer than 20 s")
    assert search.best_settings["trouble"] == "none"


def test_all_trials_failing_is_an_error_that_shows_the_first(tmp_path, caplog):
    settings = searches(tmp_path / "s", trials=2, tuner="random")
    with pytest.raises(RuntimeError, match="All 2 trials failed; the first: no points today"):
        deepapps.search(Points(PointsSettings(trouble="raise")), **settings)
    assert "Traceback" in caplog.text


def test_several_workers_repeats_and_objectives(tmp_path):
    settings = searches(tmp_path / "s", trials=4, tuner="bayesian", workers=2, repeats=2, epochs=1)
    search = deepapps.search(Points(), objective="accuracy,-parameters", **settings)
    assert [row.status for row in search.trials] == ["completed"] * 4
    for row in search.trials:
        runs = [search.path / "trials" / f"{row.trial}{end}" for end in ("", "-2")]
        values = [json.loads((run / "trial.json").read_text())["val_accuracy"] for run in runs]
        assert values[0] != values[1] or row.figures["val_accuracy"] == values[0]
        assert row.figures["val_accuracy"] == sum(values) / 2 and row.figures["epochs"] == 2
    front = [(row.figures["val_accuracy"], row.figures["parameters"]) for row in search.front]
    assert front == sorted(front, reverse=True) and all(
        a[1] > b[1] for a, b in zip(front, front[1:], strict=False)
    )


def test_hyperband_goes_on_with_the_better_ones(tmp_path):
    search = deepapps.search(Points(), **searches(tmp_path / "s", tuner="hyperband", epochs=3))
    rows = {row.trial: row for row in search.trials}
    later = [row for row in rows.values() if row.values.get("tuner/trial_id")]
    assert later
    for row in later:
        first = deepapps.load_run(search.folder_of(rows[row.values["tuner/trial_id"]]), task=Points)
        run = deepapps.load_run(search.folder_of(row), task=Points)
        assert run.history[: len(first.history)] == first.history and len(run.history) == 3
        assert run.training.seed == first.training.seed


def test_pruned_trials_take_fewer_epochs(tmp_path):
    settings = searches(tmp_path / "s", trials=6, tuner="random", pruner="halving", epochs=4)
    search = deepapps.search(Points(), **settings)
    pruned = [row for row in search.trials if row.status == "pruned"]
    assert pruned and all(row.figures["epochs"] in (1, 2) for row in pruned)
    assert search.trials[0].status == "completed"


def test_a_pruner_remembers_what_it_decided():
    callback = Pruning("median", None, "trials/1")
    callback.best, callback.pruned = 0.5, True
    other = Pruning("median", None, "trials/1")
    other.set_state(callback.get_state())
    assert (other.best, other.pruned) == (0.5, True)


def test_the_time_limit_ends_the_search(tmp_path, caplog):
    settings = searches(tmp_path / "s", trials=50, tuner="random", time_limit=12)
    search = deepapps.search(Points(), **settings)
    assert 0 < sum(row.status == "completed" for row in search.trials) < 50
    assert "The time is up" in caplog.text


def test_other_searches_are_refused(whole, tmp_path):
    def refused(words, task=Points, **settings):
        with pytest.raises(ValueError, match=words):
            deepapps.search(task() if isinstance(task, type) else task, progress=False, **settings)

    refused("holds a search already", output=whole.path)
    refused("of Points, not of mnist", "mnist", output=whole.path, resume=True)
    refused("its `tuner` is 'random'", output=whole.path, resume=True, tuner="grid")
    refused("its `epochs` is None and cannot become 2", output=whole.path, resume=True, epochs=2)
    refused(
        "another space",
        output=whole.path,
        resume=True,
        space=lambda hp: {"units": hp.Int("units", 1, 3)},
    )
    refused("`trials` must be at least 1", output=tmp_path / "s", trials=0)
    refused("Unknown setting 'unitz'. Did you mean 'units'", output=tmp_path / "s", unitz=3)
    refused("A trial is one process", output=tmp_path / "s", strategy="multi-worker")
    refused("exclude each other", output=tmp_path / "s", resume=True, overwrite=True)
    refused(
        "Unknown setting 'unit'",
        output=tmp_path / "s",
        space=lambda hp: {"unit": hp.Int("unit", 1, 3)},
    )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    refused("is not empty and holds no search", output=tmp_path / "full")
    assert not (tmp_path / "s").exists()
    with pytest.raises(ValueError, match="holds no search"):
        load_search(tmp_path / "full")


def chief_or_helper(folder, name, port):
    """A search on several machines, as one of them sees it."""
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    os.environ.update(address, KERASTUNER_TUNER_ID=name)
    search_points(folder, {"trials": 5, "tuner": "random", "retrain": 1})


@pytest.mark.slow
def test_several_machines(whole, tmp_path):
    """Keras Tuner's chief waits some 20 seconds for its helpers to leave."""
    folder = tmp_path / "shared"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = ("chief", "machine1", "machine2")
    started = [processes.start(chief_or_helper, folder, name, port) for name in names]
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0, 0]
    shared = load_search(folder, task=Points)
    assert [row.status for row in shared.trials] == ["completed"] * 5
    assert [row.values for row in shared.trials[:4]] == [row.values for row in whole.trials]
    assert shared.best_run.finished and (folder / "report" / "index.html").exists()


def test_a_strategy_in_each_trial(tmp_path):
    settings = searches(tmp_path / "s", trials=1, tuner="random", epochs=1, strategy="mirrored:2")
    search = deepapps.search(Points(), **{**settings, "jit_compile": "auto"})
    assert search.trials[0].status == "completed"
    assert (
        deepapps.load_run(search.folder_of(search.trials[0]), task=Points).training.strategy
        == "mirrored:2"
    )
