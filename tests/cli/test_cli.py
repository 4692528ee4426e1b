"""The command line as a user runs it: answers, exit statuses, one line on stderr, signals, a
full disk.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import commands
import processes
import pytest
from commands import QUICK, fails, some_digits
from PIL import Image

import deepapps
from deepapps.settings import TrainingSettings
from deepapps.tasks import TASKS, find_task

SCRIPT = [sys.executable, "-m", "deepapps"]


@pytest.fixture(scope="module")
def trained(idx, tmp_path_factory):
    """A training of three epochs on them: the folder of its Run, and how the command ended."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return folder, processes.deepapps(*QUICK, "--data", idx, "--epochs", 3, "--output", folder)


@pytest.fixture
def run(trained):
    """The folder of that Run."""
    return trained[0]


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "digit.png"
    Image.fromarray(some_digits()[0][3]).save(path)
    return path


def weights_and_history(folder):
    run = deepapps.load_run(folder)
    history = [{k: v for k, v in line.items() if k != "seconds"} for line in run.history]
    return [weight.tobytes() for weight in run.model.get_weights()], history, run.metrics


# Without TensorFlow


def test_help_is_instant_and_without_tensorflow():
    program = [sys.executable, "-X", "importtime", "-m", "deepapps", "--help"]
    ended = subprocess.run(program, capture_output=True, text=True)
    assert ended.returncode == 0 and "train" in ended.stdout
    imported = {line.split("|")[-1].strip() for line in ended.stderr.splitlines()}
    assert "deepapps.cli.main" in imported
    assert not {"tensorflow", "keras", "matplotlib", "sklearn"} & {
        name.split(".")[0] for name in imported
    }
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([*SCRIPT, "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 1


WRONG_ARGUMENTS = [
    ("train mnist --epoch 3", "'--epoch'", "'--epochs'"),
    ("train mnist --learnin-rate 3", "'--learning-rate'"),
    ("train mnist --network cn", "Unknown network 'cn'", "'cnn'"),
    ("train mnist --optimizer adan", "Unknown optimizer 'adan'", "'adam'"),
    ("train mnist --learning-rate-schedule CosinDecay", "'CosineDecay'"),
    ("train mnist --dtype-policy float31", "'float32'"),
    ("train mnist --epochs three", "'three' is not a valid integer"),
    ("train mnist --epochs 0", "`epochs` must be at least 1. Received: epochs=0"),
    ("train mnist --learning-rate fast", "'fast'"),
    ("train mnist --learning-rate nan", "greater than 0"),
    ("train mnist --learning-rate inf", "finite"),
    ("train mnist --dropout 2", "`dropout` must be at most 0.9"),
    ("train mnist --steps-per-execution=--5", "Unknown steps per execution '--5'"),
    ("train mnist --steps-per-execution 0", "at least 1"),
    ("train mnist --class-weight heavy", "Unknown class weight 'heavy'. Known: balanced."),
    ("train mnist --class-weight 0=2.5,a=1", "0=2.5,3=0.5"),
    ("train mnist --class-weight 0=-1", "{class index: weight}, both 0 or more"),
    ("train image", "`data` must name images"),
    ("train mnist --threads 0", "--threads"),
    ("train mnist --epochs", "'--epochs' requires an argument"),
    ("train mnist --resume --overwrite", "exclude each other"),
    ("train mnist --resume", "--output FOLDER"),
    ("train summarizer", "`data` must name pairs of a text and its summary"),
    ("tune mnist --resume", "--output FOLDER"),
    ("launch --workers 2 -- tune mnist", "`deepapps tune NAME --workers`"),
    ("train mnist extra", "extra"),
    ("train mnits", "Unknown command 'mnits'", "'mnist'"),
    ("train", "mnist"),
    ("trian", "Unknown command 'trian'", "'train'"),
    ("--hepl", "'--help'"),
    ("evaluate", "'RUN'"),
    ("evaluate nowhere", "nowhere: holds no Run"),
    ("predict nowhere a.png", "nowhere: holds no Run"),
    ("predict nowhere", "INPUTS"),
    ("report nowhere", "nowhere: holds no Run"),
    ("train mnist --settings nowhere.json", "nowhere.json"),
]


@pytest.mark.parametrize("case", WRONG_ARGUMENTS, ids=lambda case: case[0])
def test_a_wrong_argument_is_one_line_without_tensorflow(case):
    command, *words = case
    fails(2, *shlex.split(command), words=words, before=commands.no_tensorflow)


@pytest.mark.parametrize("flag", ["--network", "--eposh"])
def test_a_wrong_argument_really_loads_no_tensorflow(flag):
    program = (
        "import sys, deepapps.cli.main; status = deepapps.cli.main.main(['train', 'mnist', "
        f"'{flag}', '1']); print(status, sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "2 []\n" and len(ended.stderr.splitlines()) == 1


def test_a_run_in_the_way_is_found_without_tensorflow(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    wrong = {"before": commands.no_tensorflow}
    into = (*QUICK, "--output")
    fails(2, *into, run, words=["holds a Run already", "--resume", "--overwrite"], **wrong)
    fails(2, *into, tmp_path, "--overwrite", words=["holds no Run"], **wrong)
    fails(
        2,
        *into,
        run,
        "--resume",
        "--batch-size",
        7,
        words=["its `batch_size` is", "become 7"],
        **wrong,
    )
    fails(2, *into, run, "--resume", "--top-k", 2, words=["its `top_k` is 3", "become 2"], **wrong)


def test_the_command_alone_shows_its_help():
    assert processes.deepapps() == processes.deepapps("--help")
    assert processes.deepapps("--version").out == f"deepapps {deepapps.__version__}\n"


@pytest.mark.parametrize("name", TASKS)
def test_every_setting_is_a_flag(name):
    from deepapps.cli.train import train

    task = find_task(name)
    flags = {flag for option in train.commands[name].params for flag in option.opts}
    for setting in (*task.Settings.names(), *TrainingSettings.names()):
        assert f"--{setting.replace('_', '-')}" in flags
    text = " ".join(processes.deepapps("train", name, "--help").out.split())
    for flag in flags | {"--no-deterministic"}:
        assert re.search(rf"(?<![\w-]){flag}\b", text), flag
    assert f"[default: {task.training['epochs']}]" in text


# Train, evaluate, predict


def test_train_leaves_a_run_and_prints_its_figures(trained):
    folder, ended = trained
    assert ended.status == 0 and ended.err == ""
    metrics = json.loads((folder / "metrics.json").read_text())
    figures = [f"{metrics[split]['accuracy']:.4f}" for split in ("validation", "test")]
    assert re.search(rf"accuracy\W+{figures[0]}\W+{figures[1]}", ended.out)
    assert ended.out.splitlines()[-2:] == [
        f"Run:    {folder}",
        f"Report: {folder}/report/index.html",
    ]


def test_progress_where_stderr_is_no_terminal_and_the_default_output(idx, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = processes.deepapps(*QUICK[:-1], "--data", idx, "--epochs", 2)
    images, parts, classes, *epochs = ended.err.splitlines()
    assert images == f"{idx}: 400 images, 28x28x1, in 10 classes" and re.fullmatch(
        r"train 3\d\d  validation \d+  test \d+", parts
    )
    assert re.match(r"train by class: 0 \d+, 1 \d+, 2 ", classes)
    assert [line.split()[1] for line in epochs] == ["1/2", "2/2"]
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"mnist-\d{8}-\d{6}", folder.name)
    assert f"Run:    runs/{folder.name}\n" in ended.out


def test_evaluate(run, idx):
    figures = json.loads((run / "metrics.json").read_text())["test"]
    ended = processes.deepapps("evaluate", run, "--json")
    named = f"{run}: evaluates on its own data: data {idx}\n"
    assert (ended.status, json.loads(ended.out), ended.err) == (0, figures, named)
    table = processes.deepapps("evaluate", run)
    assert f"{figures['f1']:.4f}" in table.out and table.err == named
    other = json.loads(processes.deepapps("evaluate", run, "--data", idx, "--json").out)
    assert sum(figures["support"] for figures in other["per_class"].values()) == 400
    fails(2, "evaluate", run, "--data", "smaple", words=["Did you mean 'sample'"])


def test_predict(run, picture):
    expected = deepapps.load_run(run).predict(picture)[0]
    ended = processes.deepapps("predict", run, picture, picture)
    assert ended == (0, f"{picture}\t{expected}\n" * 2, "")
    lines = processes.deepapps("predict", run, picture.parent, "--json").out.splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["label"] == expected
    assert json.loads(lines[0])["input"] == str(picture)
    assert list(json.loads(lines[0])["probabilities"]) == [str(digit) for digit in range(10)]


def test_predict_reads_stdin_and_answers_an_empty_line_with_one(run, picture):
    expected = deepapps.load_run(run).predict(picture)[0]
    lines = f"{picture}\n\n{picture}\n"
    assert processes.deepapps("predict", run, "-", stdin=lines) == (
        0,
        f"{picture}\t{expected}\n\n{picture}\t{expected}\n",
        "",
    )
    answers = processes.deepapps("predict", run, "-", "--json", stdin=lines).out.splitlines()
    assert [json.loads(answer).get("label") for answer in answers] == [expected, None, expected]
    assert processes.deepapps("predict", run, "-", stdin="\n") == (0, "\n", "")
    assert processes.deepapps("predict", run, "-") == (0, "", "")


def test_predict_of_what_is_no_image(run, picture, tmp_path):
    fails(2, "predict", run, picture, tmp_path / "none.png", words=["none.png: no such file"])
    (tmp_path / "text.png").write_text("no image")
    fails(2, "predict", run, tmp_path / "text.png", words=["text.png: is not an image"])


def test_explain(run, picture, tmp_path):
    path = tmp_path / "new" / "why.png"
    ended = processes.deepapps("explain", run, picture, "--to", path, "--target", "7")
    assert ended == (0, f"{path}\n", "") and path.read_bytes().startswith(b"\x89PNG")


def test_explain_of_what_it_cannot(run, picture, tmp_path):
    path = tmp_path / "why.png"
    (tmp_path / "text.png").write_text("no image")
    for arguments, words in (
        ((picture, "--to", path, "--target", "seven"), "Unknown target 'seven'. Known: 0, 1, 2"),
        ((tmp_path / "none.png", "--to", path), "none.png: no such file"),
        ((tmp_path / "text.png", "--to", path), "text.png: is not an image"),
        ((picture, picture, "--to", path), "unexpected extra argument"),
        ((picture,), "Missing option '--to'"),
    ):
        fails(2, "explain", run, *arguments, words=[words])
    fails(2, "explain", tmp_path, picture, "--to", path, words=["holds no Run"])
    arguments = ("explain", run, picture, "--to", tmp_path / "why.pdf")
    fails(2, *arguments, words=["written as .png here", "why.pdf"], before=commands.no_tensorflow)
    assert [file.name for file in tmp_path.iterdir()] == ["text.png"]


def test_report(run):
    page = run / "report" / "index.html"
    before = page.read_text()
    page.unlink()
    assert processes.deepapps("report", run, before=commands.no_tensorflow) == (0, f"{page}\n", "")
    assert page.read_text() == before


def test_info():
    ended = processes.deepapps("info")
    assert ended.status == 0 and ended.err == ""
    rows = dict(line.split(None, 1) for line in ended.out.splitlines())
    assert rows["deepapps"] == deepapps.__version__
    assert {"keras", "tensorflow", "numpy", "python", "devices", "cores", "strategy"} <= set(rows)


def test_a_resumed_run_goes_on_and_an_overwritten_one_starts_anew(run, idx, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    resume = ("train", "mnist", "--resume", "--output", folder, "--no-progress", "--json")
    ended = processes.deepapps(*resume)  # it is finished: it comes back as it is
    assert (json.loads(ended.out), ended.err) == (
        json.loads((run / "metrics.json").read_text()),
        "",
    )
    assert processes.deepapps(*resume, "--epochs", 4)[::2] == (0, "")
    first, resumed = deepapps.load_run(run), deepapps.load_run(folder)
    assert (
        resumed.history[:3] == first.history
        and len(resumed.history) == resumed.training.epochs == 4
    )
    overwrite = ("--data", idx, "--output", folder, "--overwrite", "--epochs", 2, "--seed", 1)
    assert processes.deepapps(*QUICK, *overwrite).status == 0
    overwritten = deepapps.load_run(folder)
    assert (len(overwritten.history), overwritten.training.seed) == (2, 1)


def test_settings_of_a_file_and_flags_before_them(idx, tmp_path):
    path = tmp_path / "best.json"
    settings = {"network": "mlp", "units": 8, "epochs": 2, "progress": False, "data": str(idx)}
    path.write_text(json.dumps(settings))
    command = ("train", "mnist", "--settings", path, "--epochs", 1, "--output", tmp_path / "run")
    ended = processes.deepapps(*command, "--json")
    run = deepapps.load_run(tmp_path / "run")
    assert ended.status == 0 and ended.out.count("\n") == 1 and json.loads(ended.out) == run.metrics
    assert (run.settings.units, run.settings.data, run.training.epochs) == (8, str(idx), 1)
    path.write_text('{"unit": 8}')
    fails(2, "train", "mnist", "--settings", path, words=["Unknown setting 'unit'", "'units'"])


def test_mirrored_makes_its_devices_by_itself(run, idx, tmp_path):
    arguments = (
        "--data",
        idx,
        "--epochs",
        3,
        "--output",
        tmp_path / "two",
        "--strategy",
        "mirrored:2",
    )
    ended = processes.deepapps(*QUICK, *arguments)
    assert (ended.status, ended.err) == (0, "")
    one, two = deepapps.load_run(run), deepapps.load_run(tmp_path / "two")
    assert two.training.strategy == "mirrored:2"
    assert two.history[-1]["loss"] == pytest.approx(one.history[-1]["loss"], abs=1e-4)


@pytest.mark.parametrize("strategy", ["miror", "mirrored:0", "mirrored:two", "none:2"])
def test_an_unknown_strategy(strategy, idx, tmp_path):
    arguments = ("--data", idx, "--output", tmp_path / "run", "--strategy", strategy)
    fails(2, *QUICK, *arguments, words=[f"Unknown strategy '{strategy}'"])
    assert not (tmp_path / "run").exists()


def test_debug_shows_the_traceback_and_keeps_the_status():
    ended = processes.deepapps("train", "mnist", "--epochs", "0", "--debug")
    assert ended.status == 2 and ended.out == ""
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith("must be at least 1. Received: epochs=0\n")


# Failures that are not the user's


def test_a_loss_that_is_not_finite(idx, tmp_path):
    arguments = (
        "--data",
        idx,
        "--optimizer",
        "sgd",
        "--learning-rate",
        "1e30",
        "--output",
        tmp_path / "run",
    )
    error = fails(1, *QUICK, *arguments)
    assert re.search(
        r"not finite at epoch 1, step \d+, with learning rate \d.*e\+\d+.*checkpoint", error
    )


def test_a_full_disk_costs_nothing(run, idx, tmp_path):
    folder = tmp_path / "run"
    arguments = (*QUICK, "--data", idx, "--output", folder, "--epochs", 3)
    stopped = processes.Command(*arguments, "--steps-per-execution", 1)
    wait_for(lambda: list(folder.glob("checkpoints/*.npz")), stopped)
    stopped.process.terminate()
    assert stopped.ended().status == 143
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    resume = ("train", "mnist", "--no-progress", "--output", folder, "--resume")
    fails(1, *resume, words=["File too large", folder], before=commands.small_files)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert processes.deepapps(*resume)[::2] == (0, "")
    assert weights_and_history(folder) == weights_and_history(run)


# Signals


def wait_for(happened, command):
    """Waits until `happened()`, which it must before the command ends."""
    while not happened():
        assert command.process.is_alive(), command.ended()
        time.sleep(0.005)


def stopped_in_training(number, idx, folder):
    """Trains, sends the signal after the first epoch, and returns the end."""
    arguments = ("--data", idx, "--output", folder, "--epochs", 15, "--steps-per-execution", 1)
    command = processes.Command(*QUICK, *arguments)
    wait_for(lambda: list(folder.glob("checkpoints/*.npz")), command)
    os.kill(command.process.pid, number)
    return command.ended()


def test_sigterm_says_how_to_go_on_and_that_goes_on(idx, tmp_path):
    """The resumed command is a real one, in a shell: TensorFlow has not a word to say in it."""
    folder = tmp_path / "two words"
    ended = stopped_in_training(signal.SIGTERM, idx, folder)
    assert (ended.status, ended.out) == (143, "")
    (line,) = ended.err.splitlines()
    stopped, command = line.split(" Go on with: ")
    assert re.fullmatch(r"Stopped by SIGTERM at epoch \d+, step \d+; nothing is lost\.", stopped)
    assert list((folder / "checkpoints").glob("*.npz")) and not (folder / "metrics.json").exists()
    first = deepapps.load_run(folder).history
    assert 0 < len(first) < 15
    words = command.replace("deepapps", shlex.join(SCRIPT), 1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    shell = subprocess.run(words, shell=True, capture_output=True, text=True, env=environment)
    assert shell.returncode == 0, shell.stderr
    run = deepapps.load_run(folder)
    assert run.history[: len(first)] == first and len(run.history) == 15 and run.finished
    lines = [line for line in shell.stderr.splitlines() if not re.match(r"epoch \d+/15 ", line)]
    assert not lines, "what is on stderr but progress"


def test_ctrl_c(idx, tmp_path):
    ended = stopped_in_training(signal.SIGINT, idx, tmp_path / "run")
    assert (ended.status, ended.out) == (130, "")
    assert (
        len(ended.err.split("\n")) <= 3
        and "Stopped by SIGINT" in ended.err
        and "--resume" in ended.err
    )
    assert list((tmp_path / "run" / "checkpoints").glob("*.npz"))


def test_a_second_sigterm_ends_at_once(idx, tmp_path):
    arguments = (
        "--data",
        idx,
        "--output",
        tmp_path / "run",
        "--epochs",
        15,
        "--steps-per-execution",
        1,
    )
    command = processes.Command(*QUICK, *arguments, before=commands.slow_checkpoints)
    wait_for(command.written, command)
    for _ in range(2):
        command.process.terminate()
        time.sleep(0.2)
    began = time.monotonic()
    ended = command.ended()
    assert (ended.status, ended.err) == (143, "") and time.monotonic() - began < 5
