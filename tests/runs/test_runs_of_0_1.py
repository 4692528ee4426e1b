"""Runs that deepapps 0.1 trained load in this version, and answer as they did.

What fails here fails for the Runs that users have. So the Runs stay as they are, and only public
names are used.
"""

import concurrent.futures
import json
import re
import shutil

import processes
import pytest
from runs_of_0_1 import FOLDER, NAMES, assert_same, expected, raw_inputs

import deepapps

TASKS = {name: json.loads((FOLDER / name / "settings.json").read_text())["task"] for name in NAMES}
# tasks that 0.1 did not have: their Runs are kept in the folder of the version that brought them
LATER = set()

# each takes a second or more, so these are done with some of the Runs, one of each kind
SPLIT = ["image", "series", "summarizer", "words"]
REPORTED = ["image", "many-labels", "mnist", "model", "series", "summarizer", "translator-luong"]
PREDICTED = ["image", "many-labels", "pairs-of-texts", "summarizer", "translator-luong", "words"]
# evaluated by the command; the others from Python
BY_COMMAND = ["many-labels", "translator-luong", "translator-transformer"]
# explanations that are drawn as .png; the others become .html
DRAWN = ["image", "mnist", "pairs-of-texts", "translator-luong"]
HEADLINES = {"translator": "BLEU", "summarizer": "ROUGE-L"}
MOST_BYTES = 1_000_000


@pytest.fixture(autouse=True)
def beside_the_data(monkeypatch):
    """The settings of the Runs name data by paths that begin in this folder."""
    monkeypatch.chdir(FOLDER)


@pytest.fixture(scope="module", params=NAMES)
def run(request, tmp_path_factory):
    """A Run, loaded once from a copy of its folder."""
    name = request.param
    return deepapps.load_run(shutil.copytree(FOLDER / name, tmp_path_factory.mktemp("run") / name))


def some(names):
    return pytest.mark.parametrize("run", names, indirect=True)


@pytest.fixture(scope="module", autouse=True)
def commands():
    """All commands of this file, `{arguments: future}`: they run one after another beside the
    tests.
    """
    lines = [("train",)]
    lines += [("predict", name, *expected(name)["inputs"], "--json") for name in PREDICTED]
    lines += [("evaluate", name, "--data", data_of(name), "--json") for name in BY_COMMAND]
    pool = concurrent.futures.ThreadPoolExecutor(1)
    yield {line[:2]: pool.submit(processes.deepapps, *line) for line in lines}
    pool.shutdown(cancel_futures=True)


def data_of(name):
    return expected(name)["settings"]["data"]


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < MOST_BYTES


def test_it_loads_with_its_settings_metrics_and_history(run):
    assert run.name == TASKS[run.path.name] and run.versions["deepapps"] == "0.1.0"
    assert_same(
        run.settings.as_dict() | run.training.as_dict(), expected(run.path.name)["settings"]
    )
    assert_same(run.metrics, json.loads((run.path / "metrics.json").read_text()))
    assert [line["epoch"] for line in run.history] == list(range(1, run.training.epochs + 1))
    assert all(
        {"loss", "val_loss", "learning_rate", "seconds"} < line.keys() for line in run.history
    )


def test_it_predicts_the_same(run):
    stored = expected(run.path.name)
    assert_same(
        run.predict(raw_inputs(run.name, stored["inputs"]), probabilities=True), stored["answers"]
    )


def test_it_knows_what_its_inputs_are(run):
    if run.name == "model":
        assert run.task.input_kind is None
        return
    kinds = {"mnist": "image", "image": "image", "translator": "text", "summarizer": "text"}
    assert run.task.input_kind == kinds.get(run.name) or run.name == "sequence"
    assert len(run.predict([run.task.example_input()])) == 1


@some([name for name in NAMES if name not in BY_COMMAND])
def test_it_evaluates_to_the_same_metrics(run):
    if run.name == "model":
        with pytest.raises(ValueError, match="cannot be evaluated"):
            run.evaluate()
    else:
        assert_same(run.evaluate(run.settings.data), expected(run.path.name)["metrics"])


@some(SPLIT)
def test_its_data_are_split_the_same(run):
    assert_same(run.evaluate(), run.metrics["test"])


def test_it_explains_the_same(run, tmp_path):
    stored = expected(run.path.name)
    one_input = raw_inputs(run.name, stored["inputs"])[0]
    if stored["explanation"] is None:
        with pytest.raises(ValueError, match="explain"):
            run.explain(one_input)
        return
    explanation = run.explain(one_input)
    for name, value in stored["explanation"].items():
        assert_same(getattr(explanation, name), value, name)
    path = tmp_path / ("why.png" if run.path.name in DRAWN else "why.html")
    explanation.plot(path)
    assert path.stat().st_size > 1000


@some(REPORTED)
def test_it_reports(run):
    path = run.report()
    page = path.read_text(encoding="utf-8")
    assert path == run.path / "report" / "index.html" and "data:image/png;base64," in page
    assert HEADLINES.get(run.name, "Accuracy") in page
    assert f"{run.metrics.get('test', run.metrics['validation'])['loss']:.4f}" in page
    assert all(line in page for line in run.description[:1])


def test_every_task_has_a_run(commands):
    message = commands["train",].result().err
    tasks = set(re.search(r"Name one of: ([^.]+)\.", message)[1].split(", "))
    assert {*tasks, "model"} - LATER == set(TASKS.values())


@pytest.mark.parametrize("name", PREDICTED)
def test_the_command_predicts_the_same(name, commands):
    ended = commands["predict", name].result()
    assert ended.status == 0, ended.err
    assert_same([json.loads(line) for line in ended.out.splitlines()], expected(name)["answers"])


@pytest.mark.parametrize("name", BY_COMMAND)
def test_the_command_evaluates_to_the_same_metrics(name, commands):
    ended = commands["evaluate", name].result()
    assert ended.status == 0, ended.err
    assert_same(json.loads(ended.out), expected(name)["metrics"])
