"""A cluster on this machine: one process for each worker, watched, and started again when one is
lost.

Imports no TensorFlow. A worker that dies of a signal ends the others, for their sums wait for it
for ever; then all start again from the last checkpoint. A worker that fails by itself ends the
cluster for good.
"""

import contextlib
import itertools
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time

from deepapps.distribution.processes import Process, reserved_port, shared_gpus
from deepapps.files import mark_of, new_folder, path_of

MISTAKE = 2  # exit status after a mistake in the call or the data
GRACE = 5.0  # seconds in which the others may follow a worker that has ended


class Lost(Exception):
    """A worker was killed."""


def launch(words, workers, parameter_servers=0, restarts=5, timeout=600.0, logs=None):
    """Runs a command in a cluster of processes on this machine, and returns its exit status.

    Args:
        words: The words behind `deepapps`, such as `["train", "mnist"]`; or `python` and a program
            with its arguments, which should train with `resume=True`.
        workers: Number of workers. With parameter servers a chief comes on top, which only
            coordinates.
        parameter_servers: Number of parameter servers.
        restarts: How often the cluster is started again after a worker was killed.
        timeout: Seconds without a sign of life from any worker after which all are ended.
        logs: Folder for the output of all processes but the chief, whose output is that of this
            process. None takes a temporary one, kept where a worker fails, and not only by a
            mistake of the user's.
    Raises:
        RuntimeError: when a worker hangs, or is killed more often than `restarts` allows.
    """
    jobs = (
        {"chief": 1, "worker": workers, "ps": parameter_servers}
        if parameter_servers
        else {"worker": workers}
    )
    os.environ["DEEPAPPS_COMMAND"] = _own_words(workers, parameter_servers)
    folder = path_of(logs or tempfile.mkdtemp(prefix="deepapps-logs-"))
    folder.mkdir(parents=True, exist_ok=True)
    with _signals() as signals:
        status = _run_again(Command(list(words)), jobs, folder, restarts, timeout, signals)
    if status not in (0, MISTAKE) and status < 128:  # nor a signal
        print(f"deepapps: logs of the workers: {folder}", file=sys.stderr, flush=True)
    elif not logs:
        shutil.rmtree(folder)
    return status


def _run_again(command, jobs, folder, restarts, timeout, signals):
    """Runs the cluster, and again after a loss, as often as it may."""
    for attempt in itertools.count(1):
        try:
            return _run(command.words(), jobs, folder, restarts, timeout, signals)
        except Lost as lost:
            if attempt > restarts:
                raise RuntimeError(f"{lost}, after {restarts} restarts. Logs: {folder}") from None
            pause = min(2.0**attempt / 4, 30)
            print(
                f"deepapps: {lost}: all start again, {attempt} of {restarts}",
                file=sys.stderr,
                flush=True,
            )
            end = time.monotonic() + pause
            while time.monotonic() < end:
                time.sleep(0.05)
                if signals:
                    return 128 + signals[0]


class Command:
    """The words of a command, and those with which it goes on after a worker was lost."""

    def __init__(self, words):
        self._words, self._output = words, None
        if words[:1] == ["train"] and len(words) > 1:
            self._output = _value_of("--output", words)
            if self._output is None:  # or each worker would take a folder of its own
                self._output = str(new_folder(words[1]))
                self._words = [*words, "--output", self._output]
        self._before = self._mark()

    def words(self):
        """The command line. Once the training has begun, it goes on with the Run and replaces
        none.
        """
        words = self._words
        if self._output is not None and self._mark() != self._before:
            words = [word for word in words if word not in ("--overwrite", "--resume")] + [
                "--resume"
            ]
        if words[:1] == ["python"]:
            return [sys.executable, *words[1:]]
        return [sys.executable, "-P", "-m", "deepapps", *words]  # not from the present folder

    def _mark(self):
        """Tells whether settings.json, which a training writes first, is still what it was."""
        return mark_of(path_of(self._output or os.devnull) / "settings.json")


def _run(words, jobs, folder, restarts, timeout, signals):
    """Starts the cluster once and waits for its end; returns the exit status."""
    with contextlib.ExitStack() as stack:
        places = [(job, index) for job, count in jobs.items() for index in range(count)]
        ports = [stack.enter_context(reserved_port()) for _ in places]
        addresses = {job: [] for job in jobs}
        for (job, _), port in zip(places, ports, strict=True):
            addresses[job].append(f"127.0.0.1:{port}")
        processes, gpus = [], shared_gpus(jobs["worker"])
        for number, (job, index) in enumerate(places):
            task = {"cluster": addresses, "task": {"type": job, "index": index}}
            environment = {"TF_CONFIG": json.dumps(task)}
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[index] if job == "worker" else ""
            log = folder / f"{job}-{index}.log" if number else None
            spares = restarts if job == "worker" and "ps" in jobs else 0
            processes.append(
                Process(words, job, index, environment, log, "ps" in jobs and number > 0, spares)
            )
            stack.callback(processes[-1].end)
        return _watch(processes, timeout, signals)


def _watch(processes, timeout, signals):
    """Waits until the chief and the workers have ended, and returns the chief's status.

    Raises: Lost when one was killed, RuntimeError when one hangs.
    """
    passed_on, heard = 0, time.monotonic()
    awaited = [process for process in processes if not process.serves]
    while not all(process.status == 0 for process in awaited):
        time.sleep(0.05)
        for number in signals[passed_on:]:
            for process in awaited:
                process.signal(number)
        passed_on = len(signals)
        if sum(process.listen() for process in processes):
            heard = time.monotonic()
        for process in processes:
            if process.is_killed and process.spares and not signals:
                print(
                    f"deepapps: {process.name} was killed: it starts again",
                    file=sys.stderr,
                    flush=True,
                )
                process.start_again()
        if any(process.status for process in processes):
            return _failed(processes, signals)
        if time.monotonic() - heard > timeout:
            raise RuntimeError(_silent(processes, timeout))
    return 0


def _failed(processes, signals):
    """The status of a cluster of which a process has failed.

    Raises: Lost when it was killed.
    """
    _wait(
        processes, 1.0 if not signals and any(process.is_killed for process in processes) else GRACE
    )
    if signals:
        return 128 + signals[0]
    killed = next((process for process in processes if process.is_killed), None)
    if killed:
        raise Lost(f"{killed.name} was killed ({signal.Signals(-killed.status).name})")
    hung = _unanswering(processes)
    if hung:
        print("\n".join(hung[0].tail()), file=sys.stderr)
        raise RuntimeError(
            f"{hung[0].name} has stopped, and the others gave up. Log: {hung[0].log or 'above'}"
        )
    failed = next(process for process in processes if process.status)
    if failed is not processes[0]:  # else its own words stand on the screen
        print("\n".join(failed.tail()), file=sys.stderr)
    return failed.status


def _wait(processes, seconds):
    """Gives all processes some time to end."""
    end = time.monotonic() + seconds
    while any(process.status is None for process in processes) and time.monotonic() < end:
        time.sleep(0.05)


def _silent(processes, timeout):
    """The message about a cluster that has stood still; prints the log of the process to blame.

    That is one that gives no answer, or else the one that has come least far.
    """
    _unanswering(processes)
    blamed = min(processes, key=lambda process: (process.answered, process.beats))
    print("\n".join(blamed.tail()), file=sys.stderr)
    state = "has stopped" if blamed.beats else "has not come up"
    return (
        f"{blamed.name} {state}: no worker has come any further for {timeout:g} s. Log: "
        f"{blamed.log or 'above'}"
    )


def _unanswering(processes):
    """Those that run and do not answer within two seconds."""
    for process in processes:
        process.ask()
    time.sleep(2)
    for process in processes:
        process.listen()
    return [process for process in processes if process.status is None and not process.answered]


@contextlib.contextmanager
def _signals():
    """Yields the list of the signals to stop that have come."""
    received = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _own_words(workers, parameter_servers):
    """The command that stands before the words."""
    servers = ["--parameter-servers", str(parameter_servers)] if parameter_servers else []
    return shlex.join(["deepapps", "launch", "--workers", str(workers), *servers, "--"])


def _value_of(flag, words):
    """The value of a flag among words, or None."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None
