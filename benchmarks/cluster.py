"""What several workers bring, what the loop costs under a strategy, and what checkpoints cost.

    python benchmarks/cluster.py [--rounds 3] [--only scaling|overhead|checkpoints]

Scaling: examples a second of two workers with one thread each against one worker with one thread,
with the same batch for each worker, in turns; docs/distributed.md has what we saw. Overhead:
`mirrored:1` against `none`. Checkpoints: the share of the time that checkpoints of a model of 50
million weights with AdamW take, when written once a minute.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import click

DEEPAPPS = (sys.executable, "-P", "-m", "deepapps")


def rate(network, strategy="none", workers=1, batch=64, epochs=4):
    """Examples a second of the sample's training part, in all epochs but the first, which
    compiles.
    """
    with tempfile.TemporaryDirectory() as folder:
        launch = ["launch", "--workers", str(workers), "--"] if workers > 1 else []
        options = {
            "network": network,
            "epochs": epochs,
            "batch-size": batch * workers,
            "threads": 1,
            "strategy": "multi-worker" if workers > 1 else strategy,
            "output": f"{folder}/run",
        }
        flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        words = [*DEEPAPPS, *launch, "train", "mnist", *flags, "--no-progress", "--no-jit-compile"]
        subprocess.run(words, check=True, capture_output=True)
        lines = (pathlib.Path(folder) / "run" / "history.jsonl").read_text().splitlines()[1:]
        examples = 3980  # of the sample's 5,000 digits, those to train on
        return examples * len(lines) / sum(json.loads(line)["seconds"] for line in lines)


def compare(name, sides, rounds):
    """Measures the sides in turns and prints the medians and their ratio to the first."""
    rates = {side: [] for side in sides}
    for _ in range(rounds):
        for side, arguments in sides.items():
            rates[side].append(rate(**arguments))
    medians = {side: statistics.median(values) for side, values in rates.items()}
    first = next(iter(medians.values()))
    for side, median in medians.items():
        print(
            f"{name:24} {side:16} {median:10.0f} examples/s   {median / first:5.2f} times",
            flush=True,
        )


def checkpoint_share(million=50):
    """The seconds of a checkpoint of an AdamW model with that many million weights, as a share
    of a minute.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import tensorflow as tf

    from deepapps.distribution.workers import Workers
    from deepapps.training.checkpoints import read_variables, save_checkpoint

    width = round((million * 1e6 / 2) ** 0.5)
    model = keras.Sequential(
        [keras.Input((width,)), keras.layers.Dense(width), keras.layers.Dense(width)]
    )
    optimizer = keras.optimizers.AdamW()
    optimizer.build(model.trainable_variables)
    for variable in optimizer.variables[2:]:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape).astype("float32"))
    variables = {str(index): v for index, v in enumerate([*model.variables, *optimizer.variables])}
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for step in range(5):
            began = time.perf_counter()
            save_checkpoint(
                folder,
                0,
                step,
                read_variables(Workers(tf.distribute.get_strategy()), variables),
                {},
            )
            seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    print(
        f"checkpoint of {model.count_params() / 1e6:.0f} M weights with AdamW: {median:.2f} s, "
        f"{100 * median / 60:.1f} % of a minute"
    )


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--only", type=click.Choice(["scaling", "overhead", "checkpoints"]))
def main(rounds, only):
    if only in (None, "scaling"):
        for network, batch in (("cnn", 128), ("cnn", 64), ("mlp", 16)):
            sides = {
                f"{n} workers"[: 8 if n == 1 else 9]: {
                    "network": network,
                    "workers": n,
                    "batch": batch,
                }
                for n in (1, 2)
            }
            compare(f"{network}, batch {batch} each", sides, rounds)
    if only in (None, "overhead"):
        for network, batch in (("cnn", 64), ("mlp", 64)):
            sides = {
                s: {"network": network, "strategy": s, "batch": batch}
                for s in ("none", "mirrored:1")
            }
            compare(f"{network}, batch {batch}", sides, rounds)
    if only in (None, "checkpoints"):
        checkpoint_share()


if __name__ == "__main__":
    main()
