"""Compiled calls of many steps, and the measuring of a model by them."""

import math
import time

import keras
import tensorflow as tf

from deepapps.distribution.heartbeat import beat
from deepapps.distribution.workers import Workers
from deepapps.inference.sharing import shared_predict
from deepapps.training.feeds import make_feed
from deepapps.training.step import Step, figures_of, per_example

CALL_SECONDS = 0.5  # what `steps_per_execution="auto"` aims at


class Calls:
    """A compiled call, and how many steps to give it.

    Args:
        function: The compiled function.
        length: Steps of a call; "auto" finds those that take about `CALL_SECONDS`.
    """

    def __init__(self, function, length="auto"):
        self._function, self._fixed = function, length != "auto"
        self.length, self._traced = 1 if length == "auto" else length, False

    def __call__(self, steps, block, start, *counts):
        beat()
        began = time.monotonic()
        first, *rest = counts
        result = self._function(block, tf.constant(start), tf.constant(first), *rest)
        result = result if result is None else int(result)  # waits for the end
        seconds = max(time.monotonic() - began, 1e-6)
        if self._traced and not self._fixed:
            self.length = max(1, min(math.ceil(steps * CALL_SECONDS / seconds), 8 * steps))
        self._traced = True
        return result


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
        self._metrics = code.metrics
        self._call = Calls(code.evaluation_call(self._feed))
        self._callbacks = callbacks or keras.callbacks.CallbackList()

    def __call__(self):
        """The figures, `{name: float}`."""
        self._callbacks.on_test_begin()
        block, step = self._feed.start(0, 0), 0
        while step < self._feed.steps:
            self._callbacks.on_test_batch_begin(step)
            steps = min(self._call.length, self._feed.steps - step)
            self._call(steps, block, step, steps)
            step += steps
            self._callbacks.on_test_batch_end(step - 1)
        figures = figures_of(self._metrics)
        for metric in self._metrics:  # or they would be part of the next epoch's training figures
            metric.reset_state()
        self._callbacks.on_test_end(figures)
        return figures


def evaluate_model(task, model, source, batch_size, workers=None, **answering):
    """All figures of a model on a source: loss, the task's metrics, and what its `evaluate` adds.

    Args:
        task: The `Task`.
        model: Made in the scope of the strategy.
        source: What `Splits` holds.
        batch_size: Examples of a batch over all replicas; made a multiple of their number.
        workers: The `Workers` of the strategy, who must call this together. Defaults to one alone.
        **answering: Settings of the task's `Answering`.
    """
    workers = workers or Workers(tf.distribute.get_strategy())
    replicas = workers.strategy.num_replicas_in_sync
    with workers.strategy.scope():
        metrics = [keras.metrics.Mean("loss"), *task.metrics()]
    code = Step(model, None, per_example(task.loss()), metrics, workers)
    figures = Measure(code, source, -(-batch_size // replicas) * replicas)()
    with shared_predict(model, workers):
        return {**figures, **task.evaluate(model, source, **answering)}
