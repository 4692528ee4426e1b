"""The cluster that this process is part of, as `TF_CONFIG` or Slurm describes it. Imports no
TensorFlow.
"""

import dataclasses
import json
import os

from deepapps.settings import close_names

STRATEGIES = ("auto", "none", "mirrored", "multi-worker", "parameter-server")
_ASYNCHRONOUS = {
    "deterministic": (False,),
    "gradient_accumulation_steps": (1,),
    "jit_compile": ("auto", False),
}
_JOBS = ("chief", "worker", "ps")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster and the place of this process in it.

    Attributes:
        jobs: `{job: number of its processes}`, of the jobs "chief", "worker" and "ps".
        job, index: Those of this process.
        slurm: Whether Slurm started it, so that the addresses are Slurm's to tell.
    """

    jobs: dict
    job: str
    index: int
    slurm: bool = False

    @property
    def name(self):
        """What messages call this process, such as "worker 1"."""
        return f"{self.job} {self.index}"

    @property
    def is_chief(self):
        """Whether this process writes the Run: the chief or, where none is named, the first
        worker.
        """
        return self.job == "chief" or (
            self.job == "worker" and self.index == 0 and "chief" not in self.jobs
        )

    @property
    def strategy(self):
        """The strategy that such a cluster is for."""
        return "parameter-server" if "ps" in self.jobs else "multi-worker"


def find_cluster():
    """The `Cluster` of this process, or None where it is alone.

    Raises: ValueError when TF_CONFIG makes no sense.
    """
    text = os.environ.get("TF_CONFIG")
    cluster = _of_tf_config(text) if text else _of_slurm()
    return cluster if cluster and sum(cluster.jobs.values()) > 1 else None


def resolve_strategy(strategy):
    """The name of the strategy that holds here: `auto` becomes that of the cluster, if there is
    one.

    Args:
        strategy: A name, as in the training settings.
    Raises: ValueError for an unknown name, one that needs a cluster where there is none, or one
        that would have every process of the cluster train by itself.
    """
    kind, _, count = strategy.partition(":")
    if kind not in STRATEGIES or (
        count and (kind != "mirrored" or not count.isdecimal() or int(count) < 1)
    ):
        raise ValueError(
            f"Unknown strategy {strategy!r}.{close_names(strategy, (*STRATEGIES, 'mirrored:2'))}"
        )
    cluster = find_cluster()
    if cluster is None and kind in ("multi-worker", "parameter-server"):
        raise ValueError(
            f"Strategy {strategy!r} needs a cluster: start it with `deepapps launch`, or set "
            "TF_CONFIG."
        )
    if cluster is None:
        return strategy
    if kind not in ("auto", cluster.strategy):
        raise ValueError(
            f"In a cluster of {_counted(cluster.jobs)} the strategy must be 'auto' or "
            f"{cluster.strategy!r}. Received: {strategy!r}"
        )
    return cluster.strategy


def fit_to_strategy(training):
    """Training settings with what the strategy of this cluster fixes: parameter servers are
    asynchronous.

    Args:
        training: `{name: value}`, those that are given.
    Raises: ValueError where they ask for what the strategy cannot do, or `resolve_strategy` does.
    """
    strategy = training.get("strategy", "auto")
    if (
        strategy.partition(":")[0] not in STRATEGIES
        or resolve_strategy(strategy) != "parameter-server"
    ):
        return training
    for name, (value, *others) in _ASYNCHRONOUS.items():
        if training.get(name, value) not in (value, *others):
            raise ValueError(
                f"Strategy 'parameter-server' is asynchronous: `{name}` must be {value!r}. "
                f"Received: {name}={training[name]!r}"
            )
    return {**training, "deterministic": False}


def _of_tf_config(text):
    try:
        config = json.loads(text)
        jobs = {job: len(addresses) for job, addresses in config.get("cluster", {}).items()}
        task = config.get("task", {})
        job, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"TF_CONFIG must be JSON that describes a cluster and a task: {error}"
        ) from None
    if not jobs:
        return None
    if not set(jobs) <= set(_JOBS) or not 0 <= index < jobs.get(job, 0) or not jobs.get("worker"):
        raise ValueError(
            f"TF_CONFIG must hold workers, besides them at most {_JOBS[0]!r} and {_JOBS[2]!r}, and "
            f"a task among them. Received: {_counted(jobs)}, and task {job} {index}"
        )
    return Cluster(jobs, job, index)


def _of_slurm():
    """The tasks of a Slurm job step are the workers."""
    tasks, rank = os.environ.get("SLURM_STEP_NUM_TASKS"), os.environ.get("SLURM_PROCID")
    return (
        Cluster({"worker": int(tasks)}, "worker", int(rank), slurm=True) if tasks and rank else None
    )


def _counted(jobs):
    return ", ".join(f"{count} {job}" for job, count in jobs.items()) or "nothing"
