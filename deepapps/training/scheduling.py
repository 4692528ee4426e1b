"""Calls that the workers of parameter servers do for the chief, in pieces and each at its own
pace.
"""

import keras
import tensorflow as tf

from deepapps.data.source import ArraySource
from deepapps.keras_internals import layers_of, number_of_workers
from deepapps.metrics.adapters import copied


class ScheduledCall:
    """A compiled call of a `Step`, cut into one piece a worker.

    The chief waits for all pieces, so between calls nothing moves, and it can validate and write
    checkpoints. A piece that a lost worker had is done again by another, so some updates may come
    twice.

    Args:
        step: The `Step`. Every piece gets metrics of its own, which are added to the step's:
            workers that add to the same ones at the same time would lose what the others add.
        make_call: `make_call(step)` compiles the call `(block, start, count, *rest)`, whose `count`
            is what is cut. `rest` is empty or holds the batches of one of them.
    """

    def __init__(self, step, make_call):
        self._step, strategy = step, step.strategy
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        workers = number_of_workers(strategy)
        with strategy.scope():
            self._metrics = [[_copy(metric) for metric in step.metrics] for _ in range(workers)]
        self._calls = [make_call(step.with_metrics(metrics)) for metrics in self._metrics]

    def __call__(self, block, start, count, *rest):
        start, count, stride = int(start), int(count), *(rest or [1])
        size = -(-count // len(self._calls))
        pieces = []
        for call, first in zip(self._calls, range(0, count, size), strict=False):
            length = min(size, count - first)
            where = tf.constant(start + first * stride), tf.constant(length)
            pieces.append((first, self._coordinator.schedule(call, (block, *where, *rest))))
        self._coordinator.join()
        self._add_metrics()
        results = [(first, piece.fetch()) for first, piece in pieces]
        bad = [
            first + int(result) for first, result in results if result is not None and result >= 0
        ]
        return min(bad, default=-1)

    def _add_metrics(self):
        for metrics in self._metrics:
            for total, part in zip(self._step.metrics, metrics, strict=True):
                for one, other in zip(total.variables, part.variables, strict=True):
                    one.assign_add(other)
                part.reset_state()


def _copy(metric):
    copy = copied(metric)
    # of a metric that is built when it is first used
    late = metric.variables[len(copy.variables) :]
    for variable in late:
        copy.add_variable(variable.shape, "zeros", variable.dtype, name=variable.name)
    return copy


def check_asynchronous(model, source):
    """Raises ValueError when a layer of the model would wait for the other replicas, or the data
    cannot be sent.
    """
    if not isinstance(source, ArraySource):
        raise ValueError(
            "Parameter servers need data in memory, an ArraySource. Received: "
            f"{type(source).__name__}"
        )
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.synchronized:
            raise ValueError(
                "Batch normalization cannot be synchronized with parameter servers, whose workers "
                f"do not wait for each other. Received: {layer.name} with synchronized=True"
            )
