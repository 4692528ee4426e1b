"""What the process of a trial does. Imports TensorFlow."""

import os
import shutil
import statistics
import time

import numpy as np
import tensorflow as tf
from keras import tree
from tensorboard.plugins.hparams import api

from deepapps.distribution.strategies import prepare_devices
from deepapps.files import write_json
from deepapps.runs.opening import open_run
from deepapps.runs.train import finish, session_of
from deepapps.tuning.pruning import Pruning

LATENCY_CALLS = 50


def train_trial(trial, threads):
    """Trains the Run of a trial, in the process that is there for it."""
    training = {**trial.training, "progress": False}
    prepare_devices(training.get("strategy", "auto"), threads)
    _copy_origin(trial)
    run = open_run(trial.task, training, trial.folder, resume=True)
    if run.finished:
        return
    pruning = (
        [] if trial.pruner == "none" else [Pruning(trial.pruner, trial.objectives[0], trial.folder)]
    )
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
    """Writes `trial.json`: the figures of the best epoch by the first objective, and what the
    trial took.
    """
    first = trial.objectives[0]
    # None: it was not finite
    known = [line for line in run.history if line.get(first.figure) is not None]
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

    with tf.summary.create_file_writer(str(run.path / "tensorboard")).as_default():
        api.hparams(trial.values, trial_id=trial.folder.name)
        for name, value in figures.items():
            tf.summary.scalar(name, value, step=figures["epochs"])


def _latency(model, source):
    """Milliseconds that the compiled model takes for one example, a median."""

    inputs = tree.map_structure(tf.convert_to_tensor, source[np.arange(1)][0])
    call = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    call(inputs)
    seconds = []
    for _ in range(LATENCY_CALLS):
        began = time.perf_counter()
        call(inputs)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)
