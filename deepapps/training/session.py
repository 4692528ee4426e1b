"""A training, without a folder: `Session` holds all that a training needs, and `fit` is the one
loop.
"""

import contextlib
import logging
import numbers
import signal
import threading
import time

import keras
import tensorflow as tf

from deepapps.data.source import first_not_finite, targets_in
from deepapps.distribution.strategies import make_strategy
from deepapps.files import plain, storable
from deepapps.inference.predictor import Predictor
from deepapps.metrics.adapters import check_labels
from deepapps.settings import TrainingSettings
from deepapps.task import Task
from deepapps.training.callbacks import (
    check_learning_rate,
    check_no_batch_hooks,
    make_callbacks,
)
from deepapps.training.evaluation import Measure, evaluate_model
from deepapps.training.interruption import stop_requests
from deepapps.training.optimizers import current_learning_rate, schedule_name
from deepapps.training.pace import Pace
from deepapps.training.progress import doing
from deepapps.training.state import State

_logger = logging.getLogger(__name__)
_training = threading.RLock()


@contextlib.contextmanager
def alone():
    """Holds this process for the training of one thread.

    Raises: ValueError while another thread trains: the random numbers and the dtype policy of
        Keras belong to the process, so each would change the results of the other.
    """
    if not _training.acquire(blocking=False):
        raise ValueError(
            "Another thread of this process trains. Train one after the other, or each in a "
            "process of its own."
        )
    try:
        yield
    finally:
        _training.release()


class Keeper:
    """What is kept of a training as it goes: nothing. A Run's keeper writes into its folder.

    Attributes:
        folder: The folder of the training, or None.
    """

    folder = None

    def restore(self, session):
        """Before the first epoch: goes back to what was kept."""

    def keep_weights(self, session):
        """The weights of the model are the best so far."""

    def keep_state(self, session):
        """A checkpoint is due; all workers call this together."""

    def end_epoch(self, session):
        """An epoch has ended; all workers call this together."""

    def after_stop(self, session):
        """How to go on after a signal, the end of a message."""
        return "nothing is kept."

    def after_failure(self, session):
        """What is left after a failure, a sentence of a message."""
        return "Nothing is kept."


class Session:
    """The training of a task: model, optimizer, feed and compiled step.

        session = Session(task, TrainingSettings(epochs=3))
        session.fit()
        session.evaluate(session.splits.test)

    Args:
        task: The `Task`.
        settings: The `TrainingSettings`. Defaults to the task's own.
        strategy: A name, or a `tf.distribute.Strategy`. Defaults to that of the settings.
        callbacks: `keras.callbacks.Callback` objects; batch hooks come once a compiled call.
        splits: The `Splits` to train on. Defaults to the task's data.
        model: A built `keras.Model` to train. Defaults to the task's network.
        keeper: The `Keeper`. Defaults to one that keeps nothing.

    Attributes:
        task, settings, splits, model: As above.
        state: The `State`: the variables, and the position in the data.
        workers: The `Workers` of the strategy.
        predictor: The `Predictor` of the model.
        callbacks: All callbacks in a Keras `CallbackList`; None before the first `fit`.

    Raises: ValueError for a mistake in the settings or the data, before anything is written.
    """

    def __init__(
        self, task, settings=None, strategy=None, callbacks=(), splits=None, model=None, keeper=None
    ):
        self.task = task
        self.settings = settings or TrainingSettings(**task.training)
        strategy = make_strategy(
            self.settings.strategy if isinstance(strategy, str | None) else strategy
        )
        check_learning_rate(callbacks, schedule_name(self.settings))
        with alone():
            _set_seeds(self.settings)
            with doing("reading the data", self.settings.progress):
                self.splits = task.data() if splits is None else splits
            with doing("building the model", self.settings.progress):
                self.state = State(task, self.settings, strategy, self.splits.train, model)
        self.model, self.workers = self.state.model, self.state.workers
        self.predictor = Predictor(self.model, self.workers)
        self.keeper = keeper or Keeper()
        for name, source in self.splits.held_out.items():  # the state has checked the training data
            check_labels(task.loss(), targets_in(source), self.state.outputs, name)
        _check_monitor(task, self.settings, self.state.metrics, self.splits.validation)
        if self.workers.is_asynchronous:
            check_no_batch_hooks(callbacks)
        self._pace = Pace(self.settings.steps_per_execution)
        self._train = self.state.code.training_call(self.state.feed)
        self._given_callbacks, self.callbacks, self._measure = callbacks, None, None

    @property
    def history(self):
        """One dict for each finished epoch."""
        return self.state.history

    @property
    def weights(self):
        """The weights of the model, a list of arrays, which may be assigned."""
        return self.model.get_weights()

    @weights.setter
    def weights(self, arrays):
        self.model.set_weights(arrays)

    def fit(self, epochs=None):
        """Trains until a number of epochs is done, or until a callback or a signal ends the
        training.

        Args:
            epochs: Epochs in all, those that are done included. Defaults to that of the settings.
        Returns: the history, one dict for each epoch.
        Raises:
            FloatingPointError: when the loss is no longer finite.
            SystemExit, KeyboardInterrupt: after a SIGTERM or Ctrl-C, once a checkpoint is written.
        """
        epochs = self.settings.epochs if epochs is None else epochs
        with alone(), stop_requests() as requests:
            self._prepare()
            self.callbacks.on_train_begin()
            self.keeper.restore(self)
            try:
                self._settle(requests)
                while self.state.epoch < epochs and not (
                    self.model.stop_training or self.state.signal
                ):
                    self._fit_epoch(requests)
            finally:
                self.callbacks.on_train_end()
        if self.state.signal:
            self._leave()
        return self.history

    def evaluate(self, source, **answering):
        """The metrics of the model on a source, `{name: value}`.

        Args:
            source: What `Splits` holds.
            **answering: Settings of the task's `Answering`.
        """
        size = self.settings.batch_size
        return evaluate_model(self.task, self.predictor, source, size, self.workers, **answering)

    def _prepare(self):
        """Makes what the first `fit` needs; callbacks such as TensorBoard write as soon as they
        are made.
        """
        if self.callbacks is None:
            self.callbacks = make_callbacks(self, self._given_callbacks)
            validation, size = self.splits.validation, self.settings.batch_size
            if validation is not None:
                self._measure = Measure(self.state.code, validation, size, self.callbacks)

    def _fit_epoch(self, requests):
        """Trains for an epoch, or the rest of one; validates, and hands the best weights and the
        state to the keeper.
        """
        state, callbacks = self.state, self.callbacks
        callbacks.on_epoch_begin(state.epoch)
        block, began = state.feed.start(state.epoch, state.step), time.monotonic() - state.seconds
        while state.step < state.feed.steps and not self.model.stop_training:
            callbacks.on_train_batch_begin(state.step)
            updates, batches = self._next_updates()
            with self._pace.call(updates * batches):
                result = self._train(block, tf.constant(state.step), tf.constant(updates), batches)
                first_bad = int(result)  # waits for the end of the call
            if first_bad >= 0:
                raise FloatingPointError(self._not_finite(state.step + first_bad * batches))
            state.step += updates * batches
            state.seconds = time.monotonic() - began
            callbacks.on_train_batch_end(state.step - 1, state.figures())
            self._settle(requests)
            if state.signal or state.is_due:
                self.keeper.keep_state(self)
            if state.signal:
                return
        metrics = state.take_figures()
        with state.averaged_weights():
            metrics |= self._validate()
            if self._measure is None or state.improves(self._monitored(metrics)):
                self.keeper.keep_weights(self)
            metrics["learning_rate"] = current_learning_rate(state.optimizer)
            callbacks.on_epoch_end(state.epoch, dict(metrics))  # sees the weights measured
        state.close_epoch(storable(metrics))
        self.keeper.end_epoch(self)
        self._settle(requests)

    def _next_updates(self):
        """The updates of the next call, and the batches of each; fewer batches make the last
        update of an epoch.
        """
        rest = self.state.feed.steps - self.state.step
        batches = min(self.settings.gradient_accumulation_steps, rest)
        return min(max(self._pace.steps // batches, 1), rest // batches), batches

    def _settle(self, requests):
        """All workers settle on a signal to stop for, whether a checkpoint is due, and how long
        a call is.
        """
        due = self.state.seconds_since_saved() >= self.settings.checkpoint_seconds
        decisions = due, self._pace.steps, bool(self.model.stop_training)
        settled = self.workers.settle(requests, *decisions)
        self.state.signal, self.state.is_due, self._pace.steps, self.model.stop_training = settled

    def _validate(self):
        """The metrics on the validation split, each with `val_` before its name."""
        if self._measure is None:
            return {}
        metrics = self._measure()
        if self.task.monitor not in metrics:
            further = self.task.validate(self.predictor, self.splits.validation)
            metrics |= {
                name: value for name, value in further.items() if isinstance(value, numbers.Real)
            }
        return {f"val_{name}": plain(value) for name, value in metrics.items()}

    def _monitored(self, metrics):
        """The validation metric that picks the best weights."""
        if f"val_{self.task.monitor}" not in metrics:
            names = (name.removeprefix("val_") for name in metrics if name.startswith("val_"))
            raise ValueError(
                f"The task monitors {self.task.monitor!r}, and validation gives only "
                f"{', '.join(names)}."
            )
        return metrics[f"val_{self.task.monitor}"]

    def _not_finite(self, step):
        """The message of a loss that is no longer finite."""
        rate = current_learning_rate(self.state.optimizer)
        advice = "Lower `learning_rate`, or bound the gradients with `global_clipnorm`."
        if found := first_not_finite(self.splits.train):
            advice = f"The {found[0]} hold NaN or infinite values, first at example {found[1]}."
        return (
            f"The loss is not finite at epoch {self.state.epoch + 1}, step {step + 1}, with "
            f"learning rate {rate:.3g}. {self.keeper.after_failure(self)} {advice}"
        )

    def _leave(self):
        """Says how to go on, and ends the process or, after Ctrl-C, raises KeyboardInterrupt."""
        report = _logger.warning if self.workers.is_chief else _logger.info
        name, advice = signal.Signals(self.state.signal).name, self.keeper.after_stop(self)
        report(
            "Stopped by %s at epoch %d, step %d; %s",
            name,
            self.state.epoch + 1,
            self.state.step,
            advice,
        )
        if self.state.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.state.signal)


def _check_monitor(task, settings, metrics, validation):
    """Raises ValueError when no metric picks the best weights, or none tells when to stop."""
    known = [metric.name for metric in metrics]
    adds_none = type(task).evaluate is Task.evaluate and type(task).measure is Task.measure
    if task.monitor not in known and adds_none:
        raise ValueError(
            f"The task monitors {task.monitor!r}, and has only the figures {', '.join(known)}: "
            f"write `monitor = {known[-1]!r}` in its class."
        )
    if settings.patience is not None and validation is None:
        raise ValueError("`patience` needs validation data.")


def _set_seeds(settings):
    keras.utils.set_random_seed(settings.seed)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
