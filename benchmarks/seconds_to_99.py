"""Seconds until the test accuracy on MNIST first reaches 0.99, against the keras.io convnet.

    python benchmarks/seconds_to_99.py FOLDER_OF_MNIST_IDX_FILES [--seeds 3]

The peer is the "simple MNIST convnet" of keras.io (32 and 64 filters, dropout 0.5, batch 128, Adam)
through `fit`. Both sides learn from all 60,000 training digits, in turns. The clock runs from
before the model is built, so tracing and compiling count; it stands still while the test set is
evaluated, every 150 steps of batch 128 or as many examples.
"""

import statistics
import tempfile
import time

import click
import keras
import numpy as np
from keras import layers

import deepapps
from deepapps.data.images.load import load_images
from deepapps.networks.images import cnn
from deepapps.tasks.image_classification import ImageSettings

TARGET = 0.99
FAST_NETWORK = ImageSettings(filters=16, dropout=0.0)
FAST = {
    "batch_size": 64,
    "epochs": 2,
    "learning_rate": 1e-2,
    "learning_rate_schedule": "CosineDecay",
    "warmup": 0.1,
    "final_learning_rate": 0.01,
}
EXAMPLES_BETWEEN = 150 * 128


class Clock(keras.callbacks.Callback):
    """Stops training once the test accuracy is there; evaluating costs no time."""

    def __init__(self, test, batch_size):
        super().__init__()
        self._inputs, self._labels = test.arrays
        self._every = EXAMPLES_BETWEEN // batch_size
        self._next, self._steps, self._paused = self._every, 0, 0.0
        self._began = time.perf_counter()
        self.seconds = None

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        if self._before + batch + 1 < self._next:
            return
        self._next += self._every
        now = time.perf_counter()
        outputs = self.model.predict(self._inputs, batch_size=1000, verbose=0)
        if (outputs.argmax(-1) == self._labels).mean() >= TARGET:
            self.seconds = now - self._began - self._paused
            self.model.stop_training = True
        self._paused += time.perf_counter() - now


def keras_io_convnet():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def with_fit(train, test, seed):
    keras.utils.set_random_seed(seed)
    clock = Clock(test, 128)
    model = keras_io_convnet()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train.arrays, batch_size=128, epochs=20, callbacks=[clock], verbose=0)
    return clock.seconds


def with_deepapps(train, test, seed):
    clock = Clock(test, FAST["batch_size"])
    with tempfile.TemporaryDirectory() as folder:
        deepapps.train(
            model=lambda: cnn(FAST_NETWORK, (28, 28, 1), 10),
            data=train,
            metrics=["accuracy"],
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            seed=seed,
            output=folder,
            callbacks=[clock],
            progress=False,
            steps_per_execution=EXAMPLES_BETWEEN // FAST["batch_size"],
            **FAST,
        )
    return clock.seconds


@click.command()
@click.argument("data")
@click.option("--seeds", default=3, show_default=True)
def main(data, seeds):
    splits = load_images(data)[0]
    parts = zip(splits.train.arrays, splits.validation.arrays, strict=True)
    train = deepapps.ArraySource(*(np.concatenate(pair) for pair in parts))
    sides = {"keras.io convnet, fit": with_fit, "deepapps": with_deepapps}
    seconds = {name: [] for name in sides}
    for seed in range(seeds):
        for name, side in sides.items():
            seconds[name].append(side(train, splits.test, seed))
            print(f"seed {seed}: {name:24} {seconds[name][-1] or float('nan'):7.2f} s", flush=True)
    medians = {
        name: statistics.median(s or float("inf") for s in values)
        for name, values in seconds.items()
    }
    peer, ours = medians.values()
    print(
        f"\nmedian seconds to {TARGET:.0%}: {peer:.1f} against {ours:.1f}, {peer / ours:.1f} times "
        "sooner"
    )


if __name__ == "__main__":
    main()
