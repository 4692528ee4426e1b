"""The state of a training: all that a step changes, and so all that a checkpoint holds."""

import contextlib
import logging
import math
import time

import keras
import tensorflow as tf
from keras import tree

from deepapps.data.source import class_weights, targets_in
from deepapps.distribution.strategies import fold_replica_into_seeds
from deepapps.distribution.workers import Workers
from deepapps.files import blamed_on
from deepapps.metrics.adapters import check_labels
from deepapps.metrics.losses import per_example
from deepapps.metrics.outputs import with_mask
from deepapps.task import monitored_direction
from deepapps.training import checkpoints
from deepapps.training.callbacks import restore_state, state_of
from deepapps.training.feeds import make_feed
from deepapps.training.filler import EXAMPLES, takes_whole_batches
from deepapps.training.normalization import join_messages
from deepapps.training.optimizers import make_optimizer
from deepapps.training.scheduling import check_asynchronous
from deepapps.training.step import Step, figures_of, jit_pays
from deepapps.typed_json import check_type

_POSITION = ("epoch", "step", "history", "best", "seconds")
_logger = logging.getLogger(__name__)


class State:
    """Model, optimizer, metrics, random states, and the position in the data.

    Attributes:
        epoch, step: The position: finished epochs, and finished batches of the present one.
        history: One dict per finished epoch.
        best: The best value of the task's monitor so far, or None.
        seconds: Time spent in the present epoch.
        feed: The feed of the training data.
        outputs: The shape of the model's outputs, nested where there are several.
        code: The `Step` that is compiled.
        workers: The `Workers` of the strategy.
        signal, is_due: What the workers have settled: the signal that stops them, or None; whether
            a checkpoint is due.
    """

    def __init__(self, task, settings, strategy, train_source, model=None):
        self.epoch, self.step, self.history, self.best, self.seconds = 0, 0, [], None, 0.0
        self._task, self._epochs = task, settings.epochs
        self.workers, self.signal, self.is_due = Workers(strategy), None, False
        self.feed = make_feed(train_source, settings.batch_size, settings.seed, self.workers.share)
        _check_batch_size(self.feed, strategy.num_replicas_in_sync)
        updates = settings.epochs * -(-self.feed.steps // settings.gradient_accumulation_steps)
        with strategy.scope(), dtype_policy(settings.dtype_policy):
            self.model = task.network() if model is None else model
            augmentation = task.augmentation()
            self.metrics = [keras.metrics.Mean("loss"), *task.metrics()]
            self._direction = monitored_direction(task, settings)
            if self.workers.is_asynchronous:
                check_asynchronous(self.model, train_source)
            self.optimizer = make_optimizer(settings, updates, self.model)
            loss = per_example(task.loss())
            class_weight = class_weights(settings.class_weight, train_source)
            is_masked, has_whole_batches = self._build(loss, class_weight, train_source)
        self.model.optimizer, self.model.stop_training = self.optimizer, False
        self.workers.adopt(self.model)
        join_messages(self.model)
        self.code = Step(
            self.model,
            self.optimizer,
            loss,
            self.metrics,
            self.workers,
            augmentation,
            class_weight,
            use_jit(settings.jit_compile, self.model, self.workers, has_whole_batches),
            is_masked,
            has_whole_batches,
        )
        self._variables = _named(
            model=self.model.variables,
            optimizer=self.optimizer.variables,
            metrics=[variable for metric in self.metrics for variable in metric.variables],
            augmentation=getattr(augmentation, "variables", []),
        )
        self._seeds = [v.value for v in self._variables.values() if "seed_generator" in v.path]
        fold_replica_into_seeds(strategy, self._seeds)
        self._saved, self._found = time.monotonic(), None

    def figures(self):
        """The metrics as they stand, `{name: float}`."""
        return figures_of(self.metrics)

    def take_figures(self):
        """The metrics, which then start anew."""
        figures = self.figures()
        for metric in self.metrics:
            metric.reset_state()
        return figures

    @contextlib.contextmanager
    def averaged_weights(self):
        """The model has its averaged weights inside the block, where the optimizer keeps any."""
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if not inner.use_ema:
            yield
            return
        variables = self.model.trainable_variables
        own = [tf.identity(variable.value) for variable in variables]
        inner.finalize_variable_values(variables)
        yield
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)

    def improves(self, value):
        """Whether a value of the monitor is the best so far, and keeps it; the later of equal
        ones counts.
        """
        sign = 1 if self._direction == "max" else -1
        better = self.best is None or sign * value >= sign * self.best
        if better and math.isfinite(value):
            self.best = value
        return better

    def close_epoch(self, figures):
        """Notes the figures of the epoch and moves on to the next."""
        self.history.append({"epoch": self.epoch + 1, **figures, "seconds": round(self.seconds, 3)})
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0

    def save(self, folder, callbacks):
        """Writes a checkpoint, where the data allow going on from here; all workers must call
        this together.
        """
        if self.step and not self.feed.resumes_within_epoch:
            return
        arrays = checkpoints.read_variables(self.workers, self._variables)
        if self.workers.is_chief:
            self._write(folder, arrays, callbacks)
        self._saved = time.monotonic()

    def _write(self, folder, arrays, callbacks):
        states, callback_arrays = state_of(callbacks)
        state = {name: getattr(self, name) for name in _POSITION} | {
            "examples": self.feed.size,
            "epochs": self._epochs,
            "stopped": self.model.stop_training,
            "callbacks": states,
        }
        checkpoints.save_checkpoint(folder, self.epoch, self.step, arrays | callback_arrays, state)

    def find(self, folder):
        """Reads the newest whole checkpoint, if there is one, for `restore`.

        Raises: ValueError when it does not fit the model or the data.
        """
        found = checkpoints.newest_checkpoint(folder)
        if found is None:
            return
        path, arrays, state = found
        with blamed_on(path):
            check_type(state, checkpoints.Position, "its state")
        if state["examples"] != self.feed.size:
            raise ValueError(
                f"{path}: is of {state['examples']} training examples, and the data now hold "
                f"{self.feed.size}."
            )
        checkpoints.check_variables(self.workers, self._variables, arrays)
        self._found = arrays, state

    def restore(self, callbacks):
        """Goes back to what `find` has found, if anything.

        Raises: ValueError when not all workers have found the same.
        """
        if self._found is not None:
            self._restore(*self._found, callbacks)
            self._found = None
        self.workers.check_same(self.epoch, self.step)

    def _restore(self, arrays, state, callbacks):
        if not self.feed.resumes_within_epoch:
            _logger.warning(
                "A tf.data.Dataset resumes at the beginning of an epoch: %d.", state["epoch"] + 1
            )
        checkpoints.write_variables(self.workers, self._variables, arrays)
        fold_replica_into_seeds(self.workers.strategy, self._seeds)
        restore_state(callbacks, state["callbacks"], arrays)
        for name in _POSITION:
            setattr(self, name, state[name])
        self.model.stop_training = state["stopped"] and state["epochs"] == self._epochs

    def seconds_since_saved(self):
        """Seconds since the last checkpoint that this process wrote."""
        return time.monotonic() - self._saved

    def _build(self, loss, class_weight, train_source):
        """Builds what is built lazily, with one example: in a compiled call on replicas it would
        fail.

        Returns: whether the loss has a mask, and whether it or a metric takes a batch as a whole.
        Raises: ValueError when the loss or a metric does not fit the targets and the outputs.
        """
        batch = self.feed.load(self.feed.element(self.feed.start(0, 0), 0))
        inputs, targets, weights = tree.map_structure(lambda tensor: tensor[:EXAMPLES], batch)
        if class_weight and not _are_labels(targets):
            raise ValueError(
                "`class_weight` needs targets that are class indices, one whole number an example."
            )
        outputs = self.model(inputs, training=False)
        self.outputs = tree.map_structure(lambda tensor: tensor.shape, outputs)
        check_labels(self._task.loss(), targets_in(train_source), self.outputs, "train")
        self.optimizer.build(self.model.trainable_variables)

        def measure():
            _, mask = loss(targets, outputs, inputs)
            plain, counts = with_mask(outputs, weights)
            for metric in self.metrics[1:]:
                metric.update_state(targets, plain, sample_weight=counts)
            return mask is not None

        try:
            is_masked = self.workers.strategy.run(measure)
            whole = takes_whole_batches(loss, self.metrics[1:], targets, outputs, inputs)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            shapes = [
                tree.map_structure(lambda tensor: tuple(tensor.shape[1:]), part)
                for part in (targets, outputs)
            ]
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"The loss or a metric does not fit targets of shape {shapes[0]} and outputs of "
                f"shape {shapes[1]} for an example: {reason}"
            ) from None
        name, figures = self._task.monitor, self.take_figures()
        if isinstance(figures.get(name), list):
            raise ValueError(
                f"The metric {name!r} has a value for each class, and cannot pick the best "
                "weights: give it an `average`, or put another metric first."
            )
        return self.workers.strategy.experimental_local_results(is_masked)[0], whole


def use_jit(setting, model, workers, has_whole_batches=False):
    """Whether XLA compiles the step.

    Raises: ValueError when it is asked for on several replicas, where the sums over them forbid it,
        or for a loss or metric that takes a batch as a whole, whose last one is smaller.
    """
    if has_whole_batches:
        if setting is True:
            raise ValueError(
                "`jit_compile` must be False or 'auto': the loss or a metric takes a batch as a "
                "whole, and the last one may be smaller. Received: jit_compile=True"
            )
        return False
    if setting is True and not workers.has_one_device:
        raise ValueError(
            "`jit_compile` must be False or 'auto' on several replicas. Received: "
            f"jit_compile=True, {workers.strategy.num_replicas_in_sync} replicas"
        )
    return setting is True or (setting == "auto" and workers.has_one_device and jit_pays(model))


@contextlib.contextmanager
def dtype_policy(name):
    """Layers made inside the block get this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check_batch_size(feed, replicas):
    if feed.size is not None and feed.size < feed.batch_size:
        raise ValueError(
            "`batch_size` must be at most the number of training examples. Received: "
            f"batch_size={feed.batch_size}, {feed.size} examples"
        )
    if feed.batch_size % replicas:
        raise ValueError(
            "`batch_size` must be a multiple of the number of replicas. Received: "
            f"batch_size={feed.batch_size}, {replicas} replicas"
        )


def _are_labels(targets):
    """Whether a few targets are class indices, `(B,)` or `(B, 1)`."""
    if tree.is_nested(targets) or len(targets.shape) > 2 or (*targets.shape[1:], 1)[0] != 1:
        return False
    return not targets.dtype.is_floating or bool(tf.reduce_all(targets == tf.round(targets)))


def _named(**groups):
    return {
        f"{group}/{index}": v
        for group, variables in groups.items()
        for index, v in enumerate(variables)
    }
