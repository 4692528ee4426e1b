"""What a search costs, what pruning saves, and what it finds, on the sample of digits.

    python benchmarks/tuning.py [--only memory|workers|pruning|defaults] [--trials 100] [--seeds 5]

memory: the resident memory of the search after its tenth and its last trial, and the time of a
trial beyond its training, beside plain Keras Tuner that trains the same networks in one process.
workers: trials an hour of two workers against one, a thread each. pruning: the best score and the
epochs of a random search with and without it.
defaults: test accuracy of the best settings of `mlp` that a search finds and of its defaults, with
    the same fresh seeds.
"""

import functools
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

import click
import psutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import deepapps
from deepapps.runs.opening import open_run
from deepapps.runs.train import session_of
from deepapps.tasks.image_classification import Mnist, MnistSettings
from deepapps.tuning.statistics import mean_and_error

MLP = {"network": "mlp", "progress": False}


def units(hp):
    """A small space: every trial trains a network of about the same size."""
    return {
        "units": hp.Int("units", 96, 160),
        "learning_rate": hp.Float("learning_rate", 1e-3, 1e-2, sampling="log"),
    }


def rates(hp):
    """A space in which many trials are hopeless."""
    return {
        "units": hp.Int("units", 32, 256, step=32),
        "learning_rate": hp.Float("learning_rate", 1e-5, 1.0, sampling="log"),
        "optimizer": hp.Choice("optimizer", ["adam", "sgd", "rmsprop"]),
        "dropout": hp.Float("dropout", 0.0, 0.8),
    }


def followed(function, count):
    """Calls a function; the resident memory, in MB, each time that `count()` has grown."""
    sizes, running = {}, True

    def follow():
        while running:
            sizes.setdefault(count(), psutil.Process().memory_info().rss / 1e6)
            time.sleep(0.02)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        function()
    finally:
        running = False
        thread.join()
    return sizes


def memory(folder, trials, seeds):
    path = folder / "search"
    space = {"space": units, "tuner": "random", "trials": trials, "epochs": 1}
    call = functools.partial(deepapps.search, "mnist", output=path, retrain=0, **space, **MLP)
    sizes = followed(call, lambda: len(list(path.glob("trials/*/trial.json"))))
    ends = sorted(file.stat().st_mtime for file in path.glob("trials/*/trial.json"))
    whole = statistics.median(after - before for before, after in zip(ends, ends[1:], strict=False))
    alone = statistics.median(
        in_this_process(folder / "alone", row) for row in deepapps.load_search(path).trials[:20]
    )
    grown = sizes[trials - 1] / sizes[10]
    print(
        f"search: {sizes[10]:.0f} MB after 10 trials, {sizes[trials - 1]:.0f} MB after "
        f"{trials - 1}: {grown:.3f} times"
    )
    print(
        f"search: {whole:.2f} s a trial, {alone:.2f} s of which it trains: {whole - alone:.2f} s "
        "to start (medians)"
    )
    plain(folder, trials)


def in_this_process(folder, row):
    """Seconds that the training of a trial takes where TensorFlow is warm."""
    task = Mnist(MnistSettings(network="mlp", units=row.values["units"]))
    began = time.monotonic()
    run = open_run(
        task,
        {"epochs": 1, "learning_rate": row.values["learning_rate"], "progress": False},
        folder / row.trial,
    )
    with session_of(run) as session:
        session.fit()
    return time.monotonic() - began


def plain(folder, trials):
    """The same with plain Keras Tuner, as its tutorials do."""
    import keras
    import keras_tuner
    import numpy as np

    splits = Mnist().data()
    (x, y), (x_val, y_val) = (
        part[np.arange(len(part))][:2] for part in (splits.train, splits.validation)
    )

    def build(hp):
        inputs = keras.Input(x.shape[1:])
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        hidden = keras.layers.Dense(hp.Int("units", 96, 160), activation="relu")(flat)
        model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))
        optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-2, sampling="log"))
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    options = {"directory": str(folder), "project_name": "plain", "seed": 1}
    tuner = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=trials, **options)
    data = {
        "x": x,
        "y": y,
        "validation_data": (x_val, y_val),
        "batch_size": 64,
        "epochs": 1,
        "verbose": 0,
    }
    sizes = followed(lambda: tuner.search(**data), lambda: len(tuner.oracle.end_order))
    print(
        f"Keras Tuner: {sizes[10]:.0f} MB after 10 trials, {sizes[trials - 1]:.0f} MB after "
        f"{trials - 1}: {sizes[trials - 1] / sizes[10]:.3f} times",
        flush=True,
    )


def workers(folder, trials, seeds):
    hourly = {1: [], 2: []}
    for turn in range(3):
        for count in hourly:
            path = folder / f"{turn}-{count}"
            settings = {
                "space": units,
                "tuner": "random",
                "trials": 12,
                "epochs": 8,
                "workers": count,
                "threads": 1,
            }
            deepapps.search("mnist", output=path, retrain=0, **settings, **MLP)
            ends = sorted(file.stat().st_mtime for file in path.glob("trials/*/trial.json"))
            hourly[count].append((len(ends) - count) * 3600 / (ends[-1] - ends[count - 1]))
    medians = {count: statistics.median(values) for count, values in hourly.items()}
    print(
        f"trials an hour: {medians[1]:.0f} of 1 worker, {medians[2]:.0f} of 2: "
        f"{medians[2] / medians[1]:.2f} times"
    )


def pruning(folder, trials, seeds):
    best, epochs = {}, {}
    for pruner in ("none", "median", "halving"):
        found = []
        for seed in range(seeds):
            settings = {"space": rates, "tuner": "random", "trials": 18, "epochs": 9}
            path = folder / f"{pruner}-{seed}"
            found.append(
                deepapps.search(
                    "mnist", output=path, retrain=0, pruner=pruner, seed=seed, **settings, **MLP
                )
            )
        scores = [
            max(row.figures["val_accuracy"] for row in one.trials if row.figures) for one in found
        ]
        best[pruner] = mean_and_error(scores)
        epochs[pruner] = sum(
            row.figures["epochs"] for one in found for row in one.trials if row.figures
        )
        share = epochs[pruner] / epochs["none"]
        mean, error = best[pruner]
        print(
            f"pruner {pruner:8} best score {mean:.4f} +- {error:.4f}, {share:.0%} of the epochs",
            flush=True,
        )


def defaults(folder, trials, seeds):
    path = folder / "search"
    found = deepapps.search("mnist", output=path, trials=24, pruner="halving", retrain=0, **MLP)
    best = found.front[0]
    print(f"best settings: {found.best_settings}, validation {best.figures['val_accuracy']:.4f}")
    for name, settings in (("defaults", MLP), ("best", found.best_settings | {"progress": False})):
        runs = [
            deepapps.mnist_classifier(
                output=folder / f"{name}-{seed}", seed=1000 + seed, **settings
            )
            for seed in range(seeds)
        ]
        mean, error = mean_and_error([run.metrics["test"]["accuracy"] for run in runs])
        print(f"{name}: test accuracy {mean:.4f} +- {error:.4f}", flush=True)


PARTS = {"memory": memory, "workers": workers, "pruning": pruning, "defaults": defaults}


@click.command(help=__doc__)
@click.option("--only", type=click.Choice(list(PARTS)))
@click.option("--trials", default=100, show_default=True, type=click.IntRange(12))
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(2))
def main(only, trials, seeds):
    for name in [only] if only else PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](pathlib.Path(folder), trials, seeds)


if __name__ == "__main__":
    sys.exit(main())
