"""The metrics of a model on a source."""

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from deepapps.distribution.workers import Workers
from deepapps.inference.predictor import READ
from deepapps.metrics.losses import per_example, uses_inputs
from deepapps.task import Task
from deepapps.training.feeds import make_feed
from deepapps.training.pace import Pace
from deepapps.training.step import Step, figures_of


class Measure:
    """Measures the model on a source, by the metrics of its `Step`; compiled once.

    Args:
        code: The `Step`.
        source: What `Splits` holds.
        batch_size: Examples of a batch.
        callbacks: Get the batch hooks of a test, once a call.
    """

    def __init__(self, code, source, batch_size, callbacks=None):
        self._feed = make_feed(source, batch_size, share=code.workers.share)
        self._metrics, self._pace = code.metrics, Pace()
        self._call = code.evaluation_call(self._feed)
        self._callbacks = callbacks or keras.callbacks.CallbackList()

    def __call__(self):
        """The metrics, `{name: float}`."""
        self._callbacks.on_test_begin()
        block, step = self._feed.start(0, 0), 0
        while step < self._feed.steps:
            self._callbacks.on_test_batch_begin(step)
            steps = min(self._pace.steps, self._feed.steps - step)
            with self._pace.call(steps):
                self._call(block, tf.constant(step), tf.constant(steps))
            step += steps
            self._callbacks.on_test_batch_end(step - 1)
        figures = figures_of(self._metrics)
        for metric in self._metrics:  # or they would be part of the next epoch's training metrics
            metric.reset_state()
        self._callbacks.on_test_end(figures)
        return figures


def evaluate_model(task, predictor, source, batch_size, workers, **answering):
    """All metrics of a model on a source: the loss, the task's Keras metrics, and what the task
    adds.

    A task that measures outputs needs a single pass over the source: its loss and metrics come from
    the same outputs.

    Args:
        task: The `Task`.
        predictor: The `Predictor` of the model.
        source: What `Splits` holds.
        batch_size: Examples of a batch over all replicas; rounded up to a multiple of their number.
        workers: The `Workers` of the strategy, all of which must call this together.
        **answering: Settings of the task's `Answering`.
    """
    measures = type(task).measure is not Task.measure and type(task).evaluate is Task.evaluate
    if measures and not uses_inputs(task.loss()):
        outputs, targets, weights = predictor.outputs(source)
        figures = _measured(task, predictor, outputs, targets, weights)
        return figures | task.measure(outputs, targets, source)
    replicas = workers.strategy.num_replicas_in_sync
    with workers.strategy.scope():
        code = _step(task, predictor, workers)
    figures = Measure(code, source, -(-batch_size // replicas) * replicas)()
    return figures | task.evaluate(predictor, source, **answering)


def _step(task, predictor, workers):
    metrics = [keras.metrics.Mean("loss"), *task.metrics()]
    loss = per_example(task.loss())
    return Step(predictor.model, None, loss, metrics, workers, has_whole_batches=True)


def _measured(task, predictor, outputs, targets, weights):
    """The loss and the Keras metrics from outputs; every worker computes them for itself."""
    code = _step(task, predictor, Workers(tf.distribute.get_strategy()))
    weights = np.ones(len(tree.flatten(targets)[0]), "float32") if weights is None else weights
    for start in range(0, len(weights), READ):
        rows = slice(start, start + READ)
        part = tree.map_structure(
            lambda array, rows=rows: tf.constant(array[rows]), (targets, outputs)
        )
        code.measure(*part, tf.constant(weights[rows], "float32"))
    return figures_of(code.metrics)
