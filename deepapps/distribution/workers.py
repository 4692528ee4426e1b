"""The workers of a synchronous strategy: which of them this process is, and how they agree.

All workers run the same loop, each on its own share of every batch. What they compute together is
the same on each, and so is all that follows from it; what depends on a clock or a signal they
settle.
"""

import contextlib
import signal

import numpy as np
import tensorflow as tf

from deepapps.distribution.heartbeat import beat
from deepapps.keras_internals import keep_to_this_process, number_of_workers

_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Workers:
    """The processes that train together; under every strategy but `multi-worker` one alone.

    Args:
        strategy: The `tf.distribute.Strategy`.

    Attributes:
        count, index: How many there are, and which of them this is; both are `share`.
        is_chief: Whether this one writes the Run.
        is_asynchronous: Whether others compute for this one, each at its own pace, with parameter
            servers.
        replicas: Replicas of each worker.
        has_one_device: Whether this process computes by itself, on one device.
        strategy: The strategy.
    """

    def __init__(self, strategy):
        self.strategy, self.count, self.index = strategy, 1, 0
        self.replicas = strategy.num_replicas_in_sync
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            self.replicas = len(strategy.extended.worker_devices)
            self.count = strategy.num_replicas_in_sync // self.replicas
            self.index = _index_of(strategy.cluster_resolver)
        self.is_asynchronous = isinstance(strategy, tf.distribute.ParameterServerStrategy)
        self.has_one_device = strategy.num_replicas_in_sync == 1 and not self.is_asynchronous
        self.is_chief, self.share = self.index == 0, (self.index, self.count)
        self._gathers = {}
        self._reduce = tf.function(self._reduced, autograph=False, reduce_retracing=True)

    def __str__(self):
        """What the work is shared out to, such as "2 workers of 1 replica"."""
        if self.is_asynchronous:
            return f"{number_of_workers(self.strategy)} workers with parameter servers"
        return f"{self.count} workers of {self.replicas} replica{'s'[: self.replicas > 1]}"

    def settle(self, signals, *decisions):
        """Has all workers do the same: the chief decides, and a signal to any worker counts for
        all.

        Args:
            signals: The numbers of the signals that this worker got.
            *decisions: Whole numbers or booleans.
        Returns: `(signal or None, *decisions of the chief)`.
        """
        beat()
        if self.count == 1:
            return (signals[0] if signals else None, *decisions)
        mine = [number in signals for number in _SIGNALS]
        totals = self._totals([*mine, *(decision * self.is_chief for decision in decisions)])
        sent = [number for number, total in zip(_SIGNALS, totals, strict=False) if total]
        settled = zip(decisions, totals[len(mine) :], strict=True)
        return (sent[0] if sent else None, *(type(decision)(total) for decision, total in settled))

    def check_same(self, *position):
        """Raises ValueError, on all workers, unless they stand at the same position, given in
        whole numbers.
        """
        if self.count == 1:
            return
        theirs = self.settle((), *position)[1:]
        if self._totals([theirs != position])[0]:
            raise ValueError(
                "The workers found different checkpoints: `output` must be a folder that all of "
                "them share."
            )

    def adopt(self, model):
        """Has Keras's own `predict` keep to this process: it fails on several workers. Returns
        the model.
        """
        if self.count > 1 or self.is_asynchronous:
            keep_to_this_process(model)
        return model

    def slice(self, tensor):
        """The contiguous part of this worker's share of a batch that is the present replica's."""
        if self.replicas == 1:
            return tensor
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group % self.replicas
        # None in a trace for batches of any size
        known = tensor.shape[0] and tensor.shape[0] // self.replicas
        size = known or tf.shape(tensor)[0] // self.replicas
        return tf.ensure_shape(
            tensor[replica * size : (replica + 1) * size], [known, *tensor.shape[1:]]
        )

    def gather(self, variables):
        """The values of variables that each replica has for itself, `(replicas, ...)` each, in
        order.
        """

        def gather():
            values = [tf.expand_dims(variable.read_value(), 0) for variable in variables]
            return tf.distribute.get_replica_context().all_gather(values, 0)

        if self.count == 1:
            local = self.strategy.experimental_local_results
            return [np.stack([part.numpy() for part in local(variable)]) for variable in variables]

        key = tuple(map(id, variables))
        if key not in self._gathers:
            self._gathers[key] = tf.function(lambda: self.strategy.run(gather), autograph=False)
        gathered = self._gathers[key]()
        return [self.strategy.experimental_local_results(values)[0].numpy() for values in gathered]

    def scatter(self, variable, values):
        """Gives each replica of this worker its own of the values that `gather` returned."""
        first = self.index * self.replicas
        parts = self.strategy.experimental_local_results(variable)
        for part, value in zip(parts, values[first : first + self.replicas], strict=True):
            part.assign(value)

    def _totals(self, numbers):
        """The sums over all workers of whole numbers."""
        return [
            total // self.replicas
            for total in self._reduce(tf.constant(numbers, "int64")).numpy().tolist()
        ]

    def _reduced(self, numbers):
        def reduce():
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(numbers))

        return self.strategy.experimental_local_results(self.strategy.run(reduce))[0]


@contextlib.contextmanager
def lost_workers_named(run):
    """Says in one line that contact with another worker was lost, and how to go on.

    Raises: ConnectionError in place of TensorFlow's error.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not isinstance(error, _LOST) and "Collective ops is aborted" not in str(error):
            raise
        raise ConnectionError(
            f"Lost contact with another worker. Start all of them again with: {run.resume_command}"
        ) from error


def _index_of(resolver):
    """The place of this process among the workers, of which a chief is the first."""
    after_chief = resolver.task_type == "worker" and "chief" in resolver.cluster_spec().jobs
    return resolver.task_id + after_chief
