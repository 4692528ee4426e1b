"""Trainings to compare between one process, replicas and workers, and a cluster of forked
processes.
"""

import json
import os
import pathlib
import socket

import numpy as np
import processes

NETWORKS = ("mlp", "batch norm")


def splits():
    """230 images of three classes to train on, so that the last batch of 32 is not full, and 90
    to validate.
    """
    import deepapps

    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 320).astype("int32")
    inputs = (random.normal(size=(320, 6, 6, 1)) + targets[:, None, None, None] * 0.7).astype(
        "float32"
    )
    parts = (slice(230), slice(230, None))
    return deepapps.Splits(*(deepapps.ArraySource(inputs[part], targets[part]) for part in parts))


class Rows:
    """The same examples as random access, which the loop reads batch by batch."""

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source)

    def __getitem__(self, indices):
        return self._source[indices]


def network(name):
    import keras
    from keras import layers

    def build():
        if name == "mlp":
            return keras.Sequential(
                [
                    keras.Input((6, 6, 1)),
                    layers.Flatten(),
                    layers.Dense(16, "relu"),
                    layers.Dense(3),
                ]
            )
        if name == "dropout":
            dense = [
                layers.Flatten(),
                layers.Dense(16, "relu"),
                layers.Dropout(0.2),
                layers.Dense(3),
            ]
            return keras.Sequential([keras.Input((6, 6, 1)), *dense])
        normalization = layers.BatchNormalization(synchronized=True)
        first = [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            normalization,
            layers.ReLU(),
        ]
        return keras.Sequential([*first, layers.Flatten(), layers.Dense(3)])

    return build


def train(folder, name, strategy, as_rows=False, **settings):
    """Trains a network of `NETWORKS` for 200 steps of SGD; the last weights, history and
    metrics.
    """
    import keras

    import deepapps

    data = splits()
    if as_rows:
        data = deepapps.Splits(Rows(data.train), data.validation)
    settings = {
        "epochs": 25,
        "batch_size": 32,
        "optimizer": "sgd",
        "learning_rate": 0.05,
    } | settings
    return deepapps.train(
        model=network(name),
        data=data,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        strategy=strategy,
        output=pathlib.Path(folder),
        progress=False,
        **settings,
    )


def last_weights(folder):
    from deepapps.training.checkpoints import newest_checkpoint

    _, arrays, _ = newest_checkpoint(pathlib.Path(folder) / "checkpoints")
    return [array for name, array in arrays.items() if name.startswith("model/")]


def in_cluster(jobs, function, *arguments):
    """Runs `function(*arguments)` as each process of a cluster; returns the exit codes.

    Those that serve the chief beside parameter servers are ended when the chief has ended.

    Args:
        jobs: `{job: count}`, or the number of workers.
    """
    jobs = {"worker": jobs} if isinstance(jobs, int) else jobs
    cluster = {
        job: [f"127.0.0.1:{_free_port()}" for _ in range(count)] for job, count in jobs.items()
    }
    tasks = [{"type": job, "index": index} for job, count in jobs.items() for index in range(count)]
    configs = [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks]
    return _together(configs, function, arguments, 1 if "ps" in jobs else len(configs))


def under_slurm(count, function, *arguments):
    """The same for the tasks of a job step of Slurm on this machine."""
    step = {
        "SLURM_JOB_ID": str(_free_port()),
        "SLURM_STEP_NUM_TASKS": str(count),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": str(count),
    }
    return _together(
        [step | {"SLURM_PROCID": str(rank)} for rank in range(count)], function, arguments, count
    )


def _together(environments, function, arguments, awaited):
    started = [processes.start(_within, one, function, arguments) for one in environments]
    for process in started[:awaited]:
        process.join()
    for process in started:
        process.kill()
    return [process.exitcode for process in started[:awaited]]


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _within(environment, function, arguments):
    os.environ |= environment
    function(*arguments)


def train_all(folder, cases):
    """Trains each case, `(network, settings)`, into the folder of its number; as a worker of a
    cluster.
    """
    for number, (name, settings) in enumerate(cases):
        train(pathlib.Path(folder) / str(number), name, "multi-worker", **settings)
