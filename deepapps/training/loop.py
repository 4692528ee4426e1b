"""The one loop. `train` opens a Run, `_fit` learns, `_finish` opens the test set."""

import contextlib
import functools
import logging
import math
import numbers
import signal
import time

import keras
import numpy as np
import tensorflow as tf

from deepapps.distribution.strategies import make_strategy
from deepapps.distribution.workers import lost_workers_named
from deepapps.files import write_atomically, write_json
from deepapps.inference.sharing import shared_predict
from deepapps.runs.run import open_run
from deepapps.task import Task
from deepapps.tasks.model import ModelTask
from deepapps.training.callbacks import check_no_batch_hooks, make_callbacks
from deepapps.training.calls import Calls, Measure, evaluate_model
from deepapps.training.checkpoints import checkpoints
from deepapps.training.interruption import stop_requests
from deepapps.training.optimizers import current_learning_rate, serialized
from deepapps.training.state import State

_logger = logging.getLogger(__name__)


def train(task=None, *, model=None, data=None, loss=None, metrics=(), output=None, resume=False,
          overwrite=False, callbacks=(), strategy=None, **training):  # fmt: skip
    """Trains a task, or any Keras model, and returns the Run.

    Args:
        task: A `Task`. Or else give `model`, `data` and `loss`:
        model: A function that builds a `keras.Model`; or, on one replica, a built one.
        data: `Splits`; or what to train on: a source, a tuple of arrays `(inputs, targets[, weights])`,
            or a `tf.data.Dataset` of batches.
        loss: A Keras loss or its name, or a function `(targets, outputs)` to losses per example.
        metrics: Keras metrics or their names.
        output: Folder of the Run. Defaults to a new `runs/<task>-<date>-<time>`.
        resume: Go on with the Run in `output`; start where there is none, return it where it is finished.
        overwrite: Replace a Run that stands in `output`.
        callbacks: `keras.callbacks.Callback` objects; batch hooks come once a compiled call.
        strategy: `auto`, `none`, `mirrored[:N]`, `multi-worker`, `parameter-server`, or a
            `tf.distribute.Strategy`.
        **training: Settings of `TrainingSettings`, such as `epochs`.
    Returns: the `Run`, whose model has the best weights by the task's `monitor`.
    Raises:
        ValueError: for a mistake in the settings or the data.
        FloatingPointError: when the loss is no longer finite.
        SystemExit: with status 143 after a SIGTERM, once a checkpoint is written.
    """
    task = _task(task, model, data, loss, metrics)
    for name in {"optimizer", "learning_rate_schedule"} & training.keys():
        training[name] = serialized(training[name])
    if strategy is not None:
        training["strategy"] = strategy if isinstance(strategy, str) else type(strategy).__name__
    run = open_run(task, training, output, resume, overwrite)
    return run if run.finished else learn(run, callbacks, strategy)


def learn(run, callbacks=(), strategy=None, finish=None):
    """Trains what `open_run` has opened.

    Args:
        run: The `Run`.
        callbacks, strategy: As in `train`.
        finish: What is left to do after the last epoch, `finish(run, state, splits)`. Defaults to what
            `train` does: the best weights are measured on all splits, and the report is written.
    Returns: the `Run`.
    """
    ready = make_strategy(run.training.strategy if isinstance(strategy, str | None) else strategy)
    _set_seeds(run.training)
    splits = run.task.data()
    with contextlib.ExitStack() as stack:
        stack.enter_context(lost_workers_named(run))
        state = State(run.task, run.training, ready, splits.train)
        _check_monitor(run.task, run.training, state.metrics, splits.validation)
        if state.workers.is_asynchronous:
            check_no_batch_hooks(callbacks)
        if state.workers.is_chief:
            stack.enter_context(run.held())
        if run.versions is not None:
            run.check_learnt(run.task)
            state.find(run.path / "checkpoints")
        if state.workers.is_chief:  # not before all is known to fit
            run.start()
        if _fit(run, state, splits.validation, make_callbacks(run, state, callbacks)):
            _leave(run, state)
        (finish or _finish)(run, state, splits)
    return run


def _fit(run, state, validation, callbacks):
    """Learns until the last epoch, or until a callback or a signal ends it; returns the signal, or None."""
    learn = Calls(state.code.training_call(state.feed), run.training.steps_per_execution)
    measure = (
        None if validation is None else Measure(state.code, validation, run.training.batch_size, callbacks)
    )
    with stop_requests() as requests:
        settle = functools.partial(_settle, run, state, learn, requests)
        callbacks.on_train_begin()
        state.restore(callbacks.callbacks)
        try:
            settle()
            while state.epoch < run.training.epochs and not state.model.stop_training and not state.signal:
                _fit_epoch(run, state, learn, measure, validation, callbacks, settle)
        finally:
            callbacks.on_train_end()
        return state.signal


def _fit_epoch(run, state, learn, measure, validation, callbacks, settle):
    """Learns for an epoch, or the rest of one; validates; keeps the best weights; writes a checkpoint."""
    folder = run.path / "checkpoints"
    callbacks.on_epoch_begin(state.epoch)
    for _ in _learn_epoch(run, state, learn, callbacks):
        settle()
        if state.signal or state.is_due:
            state.save(folder, callbacks.callbacks)
        if state.signal:
            return
    figures = state.take_figures()
    with state.averaged_weights():
        figures |= _validate(run.task, state, measure, validation)
        if measure is None or state.improves(_monitored(run.task, figures)):
            _save_model(run, state)
    figures["learning_rate"] = current_learning_rate(state.optimizer)
    callbacks.on_epoch_end(state.epoch, dict(figures))
    state.close_epoch(_storable(figures))
    if state.workers.is_chief:
        run.write_history(state.history)
    state.save(folder, callbacks.callbacks)
    settle()


def _settle(run, state, learn, requests):
    """All workers settle on a signal to stop for, whether to write a checkpoint, and how long a call is."""
    due = state.seconds_since_saved() >= run.training.checkpoint_seconds
    decisions = due, learn.length, bool(state.model.stop_training)
    state.signal, state.is_due, learn.length, state.model.stop_training = state.workers.settle(
        requests, *decisions
    )


def _learn_epoch(run, state, learn, callbacks):
    """The calls of the rest of an epoch; yields after each."""
    accumulate = run.training.gradient_accumulation_steps
    block, began = state.feed.start(state.epoch, state.step), time.monotonic() - state.seconds
    while state.step < state.feed.steps and not state.model.stop_training:
        callbacks.on_train_batch_begin(state.step)
        batches = min(accumulate, state.feed.steps - state.step)  # fewer make the last update of an epoch
        updates = min(max(learn.length // batches, 1), (state.feed.steps - state.step) // batches)
        first_bad = int(learn(updates * batches, block, state.step, updates, batches))
        if first_bad >= 0:
            raise FloatingPointError(_not_finite(run, state, state.step + first_bad * batches))
        state.step += updates * batches
        state.seconds = time.monotonic() - began
        callbacks.on_train_batch_end(state.step - 1, state.figures())
        yield


def _validate(task, state, measure, validation):
    """The figures on the validation split, each with `val_` before its name."""
    if measure is None:
        return {}
    figures = measure()
    if task.monitor not in figures:
        with shared_predict(state.model, state.workers):
            further = task.validate(state.model, validation)
        figures |= {name: value for name, value in further.items() if isinstance(value, numbers.Real)}
    return {f"val_{name}": _python(value) for name, value in figures.items()}


def _monitored(task, figures):
    """The validation figure that picks the best weights."""
    if f"val_{task.monitor}" not in figures:
        known = ", ".join(name.removeprefix("val_") for name in figures if name.startswith("val_"))
        raise ValueError(f"The task monitors {task.monitor!r}, and validation gives only {known}.")
    return figures[f"val_{task.monitor}"]


def _finish(run, state, splits):
    """Puts the best weights into the model, opens the test set, and writes metrics and report."""
    state.workers.settle(())  # the chief has written them
    state.model.load_weights(run.path / "model.keras")
    run.model = state.model
    sources = {"validation": splits.validation, "test": splits.test}
    metrics = {
        name: _storable(evaluate_model(run.task, run.model, source, run.training.batch_size, state.workers))
        for name, source in sources.items()
        if source is not None
    }
    if state.workers.is_chief:
        # somebody may have had the report of the unfinished Run written
        (run.path / "report" / "index.html").unlink(missing_ok=True)
        write_json(run.path / "metrics.json", metrics)
        shown = "validation" if splits.test is None else "test"
        examples = run.task.examples(run.model, sources[shown], metrics[shown]) if shown in metrics else []
        if examples:
            write_json(run.path / "examples.json", _storable(examples))
        run.task.illustrate(run.path)
        run.report()
    state.workers.settle(())  # the others return a finished Run, too


def _save_model(run, state):
    if state.workers.is_chief:
        with write_atomically(run.path / "model.keras") as temporary:
            state.model.save(temporary)


def _task(task, model, data, loss, metrics):
    """The task given, or the one that the model, the data, the loss and the metrics make."""
    parts = {"model": model, "data": data, "loss": loss, "metrics": metrics or None}
    given = [f"`{name}`" for name, value in parts.items() if value is not None]
    if task is None:
        return ModelTask(model, data, loss, metrics)
    if not isinstance(task, Task):
        raise ValueError(f"`task` must be an instance of a Task. Received: {task!r}")
    if given:
        raise ValueError(f"A task has its own {given[0]}: leave it out, or leave out the task.")
    return task


def _check_monitor(task, settings, metrics, validation):
    """Raises ValueError when no figure picks the best weights, or none tells when to stop."""
    known = [metric.name for metric in metrics]
    if task.monitor not in known and type(task).evaluate is Task.evaluate:
        raise ValueError(f"The task monitors {task.monitor!r}, and has only the figures {', '.join(known)}.")
    if settings.patience is not None and validation is None:
        raise ValueError("`patience` needs validation data.")


def _leave(run, state):
    """Says how to go on, and ends the process or, after Ctrl-C, raises KeyboardInterrupt."""
    report = _logger.warning if state.workers.is_chief else _logger.info
    report(
        "Stopped by %s at epoch %d, step %d; %s. Go on with: %s",
        signal.Signals(state.signal).name, state.epoch + 1, state.step,
        "nothing is lost" if state.feed.resumes_within_epoch else "the epoch will begin anew", run.resume_command,
    )  # fmt: skip
    if state.signal == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + state.signal)


def _not_finite(run, state, step):
    """The message of a loss that is no longer finite."""
    last = checkpoints(run.path / "checkpoints")
    return (
        f"The loss is not finite at epoch {state.epoch + 1}, step {step + 1}, with learning rate "
        f"{current_learning_rate(state.optimizer):.3g}. Last good checkpoint: {last[0] if last else 'none'}. "
        "Lower `learning_rate`, or bound the gradients with `global_clipnorm`."
    )


def _set_seeds(settings):
    keras.utils.set_random_seed(settings.seed)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()


def _storable(value):
    """A value as JSON can hold it: Python's numbers for NumPy's, and None for those that are not finite."""
    value = _python(value)
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _python(value):
    """Numbers and lists of Python for a number or an array of NumPy; anything else as it is."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
