"""tf.distribute strategies by name, made in one place.

The loop asks a strategy only for its scope, its `run` and its replicas; a further kind of strategy
is one more entry of `_MAKERS`. A ready `tf.distribute.Strategy` passes through.
"""

import functools
import os

import tensorflow as tf

from deepapps.distribution.cluster import find_cluster, resolve_strategy
from deepapps.distribution.heartbeat import follow_launcher
from deepapps.distribution.rendezvous import wait_for_all


def use_devices(count):
    """Divides the CPU into `count` logical devices, for `mirrored:N` where there is no GPU.

    Must come before TensorFlow's first operation.

    Raises: RuntimeError when TensorFlow has already started with another number of devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError:
        raise RuntimeError(
            f"use_devices({count}) came after TensorFlow's first operation: call it first in the "
            "program."
        ) from None


def prepare_devices(strategy, threads=0):
    """Tells TensorFlow what it must know before its first operation.

    Args:
        strategy: The name of the strategy: without a GPU, `mirrored:N` divides the CPU.
        threads: Bound of TensorFlow's thread pools. Defaults to none.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    kind, _, count = strategy.partition(":")
    if kind == "mirrored" and count.isdecimal() and not tf.config.list_physical_devices("GPU"):
        use_devices(max(int(count), 1))


def make_strategy(strategy):
    """Makes the strategy that a name of the training settings means here.

    Args:
        strategy: The name; a `tf.distribute.Strategy`, which is returned as it is; or None for the
            present one.
    Raises: ValueError for an unknown name, or when the devices or the cluster asked for are not
        there.
    """
    follow_launcher()
    if strategy is None:
        return tf.distribute.get_strategy()
    if not isinstance(strategy, str):
        return strategy
    kind, _, count = resolve_strategy(strategy).partition(":")
    kind = automatic() if kind == "auto" else kind
    return _MAKERS[kind](int(count) if count else None)


def devices():
    """The devices of this machine, `["CPU:0", ...]`."""
    return [
        device.name.removeprefix("/physical_device:")
        for device in tf.config.list_physical_devices()
    ]


def automatic():
    """The strategy that `auto` picks here: that of the cluster, else `mirrored` on several GPUs,
    else `none`.
    """
    if find_cluster():
        return find_cluster().strategy
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "none"


def fold_replica_into_seeds(strategy, seeds):
    """Gives each replica random numbers of its own; replica 0 keeps those of a single device.

    Keras starts the seed generators of all replicas alike, so they would share dropout masks.

    Args:
        seeds: The state variables of the seed generators, `(2,)` each: seed and counter.
    """
    if strategy.num_replicas_in_sync == 1:
        return

    @tf.function
    def fold():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for seed in seeds:
            offset = tf.cast(replica * 1_000_003, seed.dtype)  # a prime, far from any counter
            seed.assign_add(tf.stack([offset, tf.zeros_like(offset)]))

    strategy.run(fold)


def _mirrored(count):
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    count = len(devices) if count is None else count
    if count > len(devices):
        remedy = (
            f" call deepapps.use_devices({count}) first in the program." if kind == "CPU" else ""
        )
        raise ValueError(
            f"Strategy 'mirrored:{count}' needs {count} devices, and TensorFlow has {len(devices)} "
            f"{kind}:" + (remedy or " ask for fewer.")
        )
    return _mirrored_on(tuple(devices[:count]))


@functools.cache
def _mirrored_on(devices):
    """One strategy for all trainings of a process: a second one would count its collectives from
    the start again, and TensorFlow would take them for those of the first.
    """
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker(count):
    """One for all trainings of a process: TensorFlow takes part in one cluster only."""
    is_slurm = find_cluster().slurm
    resolver = (
        _slurm_resolver() if is_slurm else tf.distribute.cluster_resolver.TFConfigClusterResolver()
    )
    jobs = resolver.cluster_spec().as_dict()
    addresses = {f"{job} {i}": at for job, places in jobs.items() for i, at in enumerate(places)}
    wait_for_all(addresses, find_cluster().name)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        raise RuntimeError(
            "Strategy 'multi-worker' must be made before TensorFlow's first operation, and any "
            f"metric or layer is one: train earlier in the program ({str(error).splitlines()[0]})."
        ) from None


def _slurm_resolver():
    """The tasks of the job step are the workers, on ports that follow from the number of the
    job.
    """
    port = 20_000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 10_000
    has_gpus = bool(tf.config.list_physical_devices("GPU"))
    tasks = find_cluster().jobs[
        "worker"
    ]  # TensorFlow counts tasks by GPUs: without any, one is claimed for each
    options = {} if has_gpus else {"gpus_per_node": tasks, "gpus_per_task": 1}
    return tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, auto_set_gpu=has_gpus, **options
    )


@functools.cache
def _parameter_server(count):
    """The chief's; the workers and the parameter servers serve it until they are ended."""
    cluster = find_cluster()
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if not cluster.is_chief:
        tf.distribute.Server(resolver.cluster_spec(), cluster.job, cluster.index, "grpc").join()
    return tf.distribute.ParameterServerStrategy(resolver)


_MAKERS = {
    "none": lambda count: tf.distribute.get_strategy(),
    "mirrored": _mirrored,
    "multi-worker": _multi_worker,
    "parameter-server": _parameter_server,
}
