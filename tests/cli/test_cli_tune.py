"""`deepapps tune` as a user runs it."""

import json
import os
import shlex
import signal
import time

import processes
import pytest
from commands import fails

import deepapps
from deepapps.settings import TrainingSettings
from deepapps.tuning.search import load_search
from deepapps.tuning.search_settings import SearchSettings

QUICK = (
    "tune",
    "mnist",
    "--network",
    "mlp",
    "--no-jit-compile",
    "--no-augment",
    "--tuner",
    "random",
)


@pytest.fixture(scope="module")
def tuned(idx, tmp_path_factory):
    """A search of two trials: its folder, and how the command ended."""
    folder = tmp_path_factory.mktemp("searches") / "digits"
    arguments = (
        "--data",
        idx,
        "--epochs",
        1,
        "--trials",
        2,
        "--retrain",
        1,
        "--tensorboard",
        "--output",
        folder,
    )
    return folder, processes.deepapps(*QUICK, *arguments)


def test_a_search_prints_its_trials_and_figures(tuned):
    folder, ended = tuned
    assert ended.status == 0
    lines = [line for line in ended.err.splitlines() if line.startswith("trial ")]
    assert [line.split()[:3] for line in lines] == [
        ["trial", "0000", "[1/2]"],
        ["trial", "0001", "[2/2]"],
    ]
    assert all("val_accuracy 0." in line and "network=mlp" in line for line in lines)
    assert "fresh seeds: test" in ended.out and str(folder / "best.json") in ended.out


def test_the_hyperparameters_are_in_tensorboard(tuned):
    for trial in ("0000", "0001"):
        content = b"".join(
            p.read_bytes() for p in (tuned[0] / "trials" / trial / "tensorboard").glob("events*")
        )
        assert b"_hparams_/session_start_info" in content and b"learning_rate" in content


def test_the_best_settings_train_a_run(tuned, tmp_path):
    settings = ("--settings", tuned[0] / "best.json", "--output", tmp_path / "run", "--no-progress")
    assert processes.deepapps("train", "mnist", *settings).status == 0
    run = deepapps.load_run(tmp_path / "run")
    best = json.loads((tuned[0] / "best.json").read_text())
    assert {**run.settings.as_dict(), **run.training.as_dict()}.items() >= best.items()


def test_the_report_and_the_figures_as_json(tuned):
    folder = tuned[0]
    before = (folder / "report" / "index.html").read_text()
    ended = processes.deepapps("report", folder)
    assert (ended.status, ended.out) == (0, f"{folder / 'report' / 'index.html'}\n")
    assert (folder / "report" / "index.html").read_text() == before
    ended = processes.deepapps(
        "tune", "mnist", "--resume", "--output", folder, "--json", "--no-progress"
    )
    printed = json.loads(ended.out)
    assert printed["settings"] == load_search(folder).best_settings
    assert printed["test"]["accuracy"]["mean"] == load_search(folder).test_figures["accuracy"][0]


def test_sigterm_says_how_to_go_on_and_that_goes_on(idx, tmp_path):
    arguments = (
        "--data",
        idx,
        "--epochs",
        60,
        "--trials",
        1,
        "--retrain",
        0,
        "--output",
        tmp_path / "s",
    )
    command = processes.Command(*QUICK, *arguments)
    path = tmp_path / "s" / "trials" / "0000" / "history.jsonl"
    while command.process.exitcode is None and not path.exists():
        time.sleep(0.05)
    os.kill(command.process.pid, signal.SIGTERM)
    ended = command.ended()
    assert (ended.status, ended.out) == (143, "")
    told = ended.err.splitlines()[-1]
    assert told.startswith("Stopped by SIGTERM; nothing is lost. Go on with: deepapps tune mnist")
    first = path.read_text()
    words = shlex.split(told.partition("Go on with: ")[2])[1:]
    assert processes.deepapps(*words).status == 0
    assert 0 < len(first.splitlines()) < 60 == len(path.read_text().splitlines())
    assert path.read_text().startswith(first)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--trials", 0), ("`trials` must be at least 1",)),
        (("--tuner", "bayes"), ("Unknown tuner 'bayes'", "'bayesian'")),
        (("--time-limit", "soon"), ("'soon' is not a duration such as 90s, 30m or 1.5h",)),
        (("--objective", "-accuracy"), ("of accuracy more is better. Write accuracy",)),
        (("--space", "no.py"), ("no.py: cannot be read",)),
        (("--unit", 3), ("No such option",)),
        (("--dropout", 2), ("`dropout` must be at most 0.9",)),
        (("--resume", "--overwrite"), ("exclude each other",)),
    ],
)
def test_a_mistake_is_one_line_before_tensorflow_starts(arguments, words, tmp_path, monkeypatch):
    import commands

    monkeypatch.chdir(tmp_path)
    fails(2, "tune", "mnist", *arguments, words=words, before=commands.no_tensorflow)
    assert list(tmp_path.iterdir()) == []


def test_a_search_of_another_task_and_an_unknown_objective(tuned, idx, tmp_path):
    fails(
        2,
        "tune",
        "sequence",
        "--resume",
        "--output",
        tuned[0],
        words=("of mnist, not of sequence",),
    )
    arguments = (
        "--data",
        idx,
        "--epochs",
        1,
        "--trials",
        1,
        "--objective",
        "acuracy",
        "--no-progress",
    )
    fails(2, *QUICK, *arguments, "--output", tmp_path / "s", words=("acuracy", "'accuracy'"))


def test_all_settings_are_flags():
    ended = processes.deepapps("tune", "mnist", "--help")
    names = {*SearchSettings.names(), *TrainingSettings.names(), "units", "network"}
    assert [name for name in names if f"--{name.replace('_', '-')}" not in ended.out] == []
