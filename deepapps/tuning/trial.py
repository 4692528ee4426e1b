"""One trial: a Run that is trained in a process of its own."""

import dataclasses
import multiprocessing
import os
import pathlib
import shutil
import statistics
import sys
import threading
import time
import traceback

import numpy as np

from deepapps.distribution.processes import visible_gpus
from deepapps.files import read_json, write_json

LATENCY_CALLS = 50
_PRELOADED = ["tensorflow", "keras", "deepapps.runs.train", "deepapps.tuning.pruning"]


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a process needs to know to train a Run.

    Args:
        task: The `Task`, with its settings.
        training: Settings of the training, `{name: value}`.
        folder: Folder of the Run; its log is `<folder>.log`.
        objectives: The `Objective`s.
        pruner: A name of `PRUNERS`, or "none".
        origin: Folder of a Run to go on from, or None.
        values: The hyperparameters, for TensorBoard.
        reported: Whether it is a whole Run, with test figures and a report; else `trial.json` holds its result.
    """

    task: object
    training: dict
    folder: pathlib.Path
    objectives: list
    pruner: str = "none"
    origin: pathlib.Path | None = None
    values: dict = dataclasses.field(default_factory=dict)
    reported: bool = False

    @property
    def log(self):
        """The file of what the process says."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def result(self):
        """What the process left, `{name: number}`, or None."""
        path = self.folder / ("metrics.json" if self.reported else "trial.json")
        return read_json(path) if path.exists() else None

    def last_words(self):
        """The last line of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return text.strip().rpartition("\n")[2]


@dataclasses.dataclass(frozen=True)
class Slot:
    """The share of the machine that a trial may use.

    Args:
        threads: Threads of TensorFlow's pools; 0: as many as it likes.
        gpus: The GPUs, in the words of `CUDA_VISIBLE_DEVICES`; None: all of them.
    """

    threads: int
    gpus: str | None


def share_out(workers, threads=None):
    """The `Slot`s of a machine that runs several trials at a time.

    Args:
        workers: How many.
        threads: Threads of each. Defaults to its share of the cores.
    """
    gpus = visible_gpus()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = threads or (max(cores // workers, 1) if workers > 1 else 0)
    return [
        Slot(threads, ",".join(gpus[index % len(gpus) :: workers]) if gpus and workers > 1 else None)
        for index in range(workers)
    ]


def start_server():
    """Starts the process that the trials are forked from, with TensorFlow loaded; returns at once."""
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    forkserver.ensure_running()
    return context


def start(context, trial, slot):
    """Starts the process of a trial."""
    trial.folder.parent.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_run, args=(trial, slot), daemon=True)
    process.start()
    return process


def _run(trial, slot):
    """Trains the Run, in its own process; what it says goes into the log."""
    os.setsid()  # Ctrl-C is for the search alone
    with open(trial.log, "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()
    if slot.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpus
    try:
        _train(trial, slot.threads)
    except BaseException as error:
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(error.code if isinstance(error, SystemExit) else 1)
    os._exit(0)  # TensorFlow's threads are not waited for


def _follow(search):
    """Ends this process with the search, however that ends."""
    search.join()
    os._exit(1)


def _train(trial, threads):
    from deepapps.distribution.strategies import prepare_devices
    from deepapps.runs.run import open_run
    from deepapps.runs.train import finish, session_of
    from deepapps.tuning.pruning import Pruning

    training = {**trial.training, "progress": False}
    prepare_devices(training.get("strategy", "auto"), threads)
    _copy_origin(trial)
    run = open_run(trial.task, training, trial.folder, resume=True)
    if run.finished:
        return
    pruning = [] if trial.pruner == "none" else [Pruning(trial.pruner, trial.objectives[0], trial.folder)]
    with session_of(run, callbacks=pruning) as session:
        session.fit()
        finish(run, session) if trial.reported else _write_result(trial, pruning, run, session)


def _copy_origin(trial):
    """Puts the Run to go on from into the folder of the trial, as a whole or not at all."""
    if trial.origin is None or trial.folder.exists():
        return
    copy = trial.folder.with_name(f".{trial.folder.name}.copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(trial.origin, copy)
    (copy / "trial.json").unlink(missing_ok=True)
    os.replace(copy, trial.folder)


def _write_result(trial, pruning, run, session):
    """Writes `trial.json`: the figures of the best epoch by the first objective, and what the trial took."""
    first = trial.objectives[0]
    known = [line for line in run.history if line.get(first.figure) is not None]  # None: it was not finite
    best = max(known, key=lambda line: first.sign * line[first.figure]) if known else run.history[0]
    figures = {
        name: value
        for name, value in best.items()
        if name.startswith("val_") and isinstance(value, int | float)
    }
    figures |= {
        "parameters": session.model.count_params(),
        "epochs": len(run.history),
        "seconds": sum(line["seconds"] for line in run.history),
        "pruned": int(any(one.pruned for one in pruning)),
    }
    if any(one.figure == "latency" for one in trial.objectives):
        figures["latency"] = _latency(session.model, session.splits.train)
    if run.training.tensorboard:
        _write_hyperparameters(trial, run, figures)
    write_json(trial.folder / "trial.json", figures)


def _write_hyperparameters(trial, run, figures):
    """Shows settings and figures in TensorBoard's HParams, beside the logs of the Run."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    with tf.summary.create_file_writer(str(run.path / "tensorboard")).as_default():
        api.hparams(trial.values, trial_id=trial.folder.name)
        for name, value in figures.items():
            tf.summary.scalar(name, value, step=figures["epochs"])


def _latency(model, source):
    """Milliseconds that the compiled model takes for one example, a median."""
    import tensorflow as tf
    from keras import tree

    inputs = tree.map_structure(tf.convert_to_tensor, source[np.arange(1)][0])
    call = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    call(inputs)
    seconds = []
    for _ in range(LATENCY_CALLS):
        began = time.perf_counter()
        call(inputs)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)
