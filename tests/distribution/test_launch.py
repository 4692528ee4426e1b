"""`deepapps launch`: a cluster of real processes that is watched, restarted, and never left
behind.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import resume_scenario
import worker_scenario
from commands import QUICK

import deepapps
from deepapps.distribution.launch import Command
from deepapps.distribution.processes import reserved_port

TESTS = pathlib.Path(__file__).parents[1]
LAUNCH = (sys.executable, "-m", "deepapps", "launch", "--workers", "2")
POINTS = ("in a call", "after a call", "between write and rename", "while a checkpoint is written")


def started(*arguments, **options):
    """`deepapps launch --workers 2 ARGUMENTS` as a process of its own."""
    return subprocess.Popen(
        [*LAUNCH, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def program(name, *arguments):
    """The words that launch a program of the tests."""
    return "--", "python", TESTS / name, *arguments


def ended(process):
    """Waits for the end; status, stdout, and the lines of stderr that are deepapps's own."""
    out, err = process.communicate(timeout=300)
    return (
        process.returncode,
        out,
        [line for line in err.splitlines() if not re.match(r"[WIE]0|WARN|To enab", line)],
    )


def workers_of(process):
    """The processes of the workers, once there are two and each runs its own program.

    Before that one is a copy of the launcher, which waits for it: to stop it would stop both.
    """
    while process.poll() is None:
        found = psutil.Process(process.pid).children()
        if len(found) >= 2 and not any("launch" in worker.cmdline() for worker in found):
            return found
        time.sleep(0.05)
    return []


def assert_all_gone(workers):
    _, alive = psutil.wait_procs(workers, 5)
    assert not alive


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The result of the scenario on two workers that nothing has killed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert worker_scenario.in_cluster(2, resume_scenario.train, folder, "multi-worker") == [0, 0]
    return resume_scenario.result(folder)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 13))]
)
def test_killed_workers_and_chiefs_end_with_the_same_bits(seed, undisturbed, tmp_path):
    """Four seeded kills of one training; 52 with all seeds."""
    draw = random.Random(seed)
    kills = [
        f"{worker}:{draw.randint(2, 4)}:{draw.choice(POINTS[: 4 - 2 * worker])}"
        for worker in (1, 0, 1, 0)
    ]
    status, _, lines = ended(started(*program("cluster_program.py", tmp_path / "run", *kills)))
    assert status == 0, lines
    killed = [line for line in lines if "was killed" in line]
    assert [line.split(" was")[0] for line in killed] == [
        f"deepapps: worker {w}" for w in (1, 0, 1, 0)
    ]
    resume_scenario.assert_same(resume_scenario.result(tmp_path / "run"), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random_instants_five_times(seed, undisturbed, tmp_path):
    draw = random.Random(seed)
    process = started("--restarts", 5, *program("cluster_program.py", tmp_path / "run"))
    killed = 0
    while killed < 5 and process.poll() is None:
        time.sleep(draw.uniform(3, 25))
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            draw.choice(workers_of(process)).kill()
            killed += 1
    status, _, lines = ended(process)
    assert status == 0, lines
    resume_scenario.assert_same(resume_scenario.result(tmp_path / "run"), undisturbed)


def test_sigterm_leaves_a_checkpoint_and_the_command_that_goes_on(tmp_path):
    """The command line from end to end: one Run, one report of it, one voice."""
    folder, train = tmp_path / "run", (*QUICK, "--batch-size", "400", "--checkpoint-seconds", "0.5")
    process = started(
        "--logs", tmp_path / "logs", "--", *train, "--epochs", 3000, "--output", folder
    )
    wait_for(folder / "history.jsonl", process)
    workers = workers_of(process)
    process.terminate()
    status, out, lines = ended(process)
    assert (status, out, len(lines)) == (143, "", 1), lines
    assert_all_gone(workers)
    assert (tmp_path / "logs" / "worker-1.log").exists()
    command = shlex.split(re.search(r"Go on with: deepapps (.*)", lines[0])[1])
    assert command[:4] == ["launch", "--workers", "2", "--"] and command[-1] == "--resume"
    epochs = len(deepapps.load_run(folder).history) + 1
    again = subprocess.run(
        [*LAUNCH[:3], *command, "--epochs", str(epochs), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert again.returncode == 0, again.stderr
    run = deepapps.load_run(folder)
    assert json.loads(again.stdout) == run.metrics
    assert [line["epoch"] for line in run.history] == list(range(1, epochs + 1))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_launcher(number):
    process = started(*program("launch_program.py", "wait"))
    workers = workers_of(process)
    if number == signal.SIGKILL:
        workers[1].suspend()  # even one that is stopped
    process.send_signal(number)
    process.wait(20)
    assert_all_gone(workers)


def test_a_worker_that_never_comes_up_is_named():
    status, _, lines = ended(started("--timeout", 3, *program("launch_program.py", "absent", 1)))
    assert status == 1
    assert re.match(
        r"deepapps: worker 1 has not come up: .* for 3 s\. Log: .*worker-1\.log$", lines[-1]
    )


def test_a_worker_that_hangs_is_named_with_the_end_of_its_log(tmp_path):
    process = started("--timeout", 3, "--logs", tmp_path, *program("launch_program.py", "wait"))
    with open(tmp_path / "worker-1.log", "a") as log:
        log.write("these are its last words\n")
    workers_of(process)[1].suspend()
    status, _, lines = ended(process)
    assert (status, lines[-2]) == (1, "worker 1: these are its last words")
    assert lines[-1].startswith("deepapps: worker 1 has ")


def test_a_worker_that_fails_ends_the_cluster_with_its_status_and_its_words():
    process = started(*program("launch_program.py", "fail", 1))
    status, _, lines = ended(process)
    assert (status, lines[0]) == (3, "worker 1: the disk is on fire")
    folder = pathlib.Path(lines[1].removeprefix("deepapps: logs of the workers: "))
    assert "the disk is on fire" in (folder / "worker-1.log").read_text()
    shutil.rmtree(folder)


def test_a_worker_that_is_killed_every_time_is_given_up():
    status, _, lines = ended(started("--restarts", 1, *program("launch_program.py", "die", 1)))
    assert status == 1
    assert lines[0] == "deepapps: worker 1 was killed (SIGKILL): all start again, 1 of 1"
    assert "worker 1 was killed (SIGKILL), after 1 restarts" in lines[1]


def test_parameter_servers_train_an_app(tmp_path):
    words = [*QUICK[:-1], "--epochs", "3", "--output", tmp_path / "run"]
    status, _, lines = ended(started("--parameter-servers", 1, "--", *words))
    assert status == 0, lines
    assert deepapps.load_run(tmp_path / "run").metrics["test"]["accuracy"] > 0.8


@pytest.mark.slow
def test_parameter_servers_survive_the_loss_of_a_worker_and_of_the_chief(tmp_path):
    folder = tmp_path / "run"
    words = [*QUICK[:-1], "--epochs", "10", "--checkpoint-seconds", "0.5", "--output", folder]
    process = started("--parameter-servers", 1, "--", *words)
    wait_for(folder / "history.jsonl", process)
    chief, worker, *_ = workers_of(process)
    worker.kill()
    line = process.stderr.readline()
    while "was killed" not in line:
        line = process.stderr.readline()
    assert line == "deepapps: worker 0 was killed: it starts again\n"
    chief.kill()
    status, _, lines = ended(process)
    assert status == 0, lines
    assert [line for line in lines if "killed" in line] == [
        "deepapps: chief 0 was killed (SIGKILL): all start again, 1 of 5"
    ]
    run = deepapps.load_run(folder)
    assert [line["epoch"] for line in run.history] == list(range(1, 11))
    assert run.metrics["test"]["accuracy"] > 0.85


@pytest.mark.parametrize("visible, seen", [("3,5,7,9,1", ("3,5", "7,9")), ("4", ("none", "none"))])
def test_each_worker_sees_gpus_of_its_own(visible, seen, tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
    process = started("--logs", tmp_path, *program("launch_program.py", "gpus"), env=environment)
    status, out, _ = ended(process)
    assert status == 0
    assert [out, (tmp_path / "worker-1.log").read_text()] == [
        f"worker {number} sees {gpus}\n" for number, gpus in enumerate(seen)
    ]


def test_a_mistake_is_one_line():
    status, out, lines = ended(started("--", "train", "mnist", "--epoch", "3"))
    assert (status, out, len(lines)) == (2, "", 1) and "'--epochs'" in lines[0]


def test_a_restart_goes_on_with_the_run_that_was_begun(tmp_path):
    folder = tmp_path / "run"
    command = Command(["train", "mnist", "--overwrite", "--output", str(folder)])
    first = command.words()
    assert "--overwrite" in first and "--resume" not in first
    assert command.words() == first  # killed before it had begun
    folder.mkdir()
    (folder / "settings.json").touch()
    assert "--overwrite" not in command.words() and command.words()[-1] == "--resume"


def test_an_old_run_is_replaced_although_a_worker_died_before_it_was(tmp_path):
    (tmp_path / "settings.json").touch()
    command = Command(["train", "mnist", f"--output={tmp_path}", "--overwrite"])
    assert command.words()[-1] == "--overwrite"
    os.replace(tmp_path / "settings.json", tmp_path / "old")
    (tmp_path / "settings.json").touch()
    assert command.words()[-1] == "--resume"


def test_all_workers_get_one_folder():
    words = Command(["train", "mnist"]).words()
    assert re.fullmatch(r"runs/mnist-\d{8}-\d{6}(-\d+)?", words[words.index("--output") + 1])


def test_a_port_is_reserved_and_out_of_reach_from_outside():
    """A server beside the reservation, as TensorFlow's, is reached by the loopback alone."""
    with reserved_port() as port, reserved_port() as other, socket.socket() as server:
        assert port != other
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("", port))
        server.listen()
        server.settimeout(1)
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
        addresses = [
            a.address
            for group in psutil.net_if_addrs().values()
            for a in group
            if a.family == socket.AF_INET
        ]
        for address in set(addresses) - {"127.0.0.1"}:
            with socket.create_connection((address, port)), pytest.raises(TimeoutError):
                server.accept()
