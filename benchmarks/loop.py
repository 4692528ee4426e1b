"""Training throughput of the loop against Keras `fit`: the classic program, 784-128-10, batch 32.

    python benchmarks/loop.py FOLDER_OF_MNIST_IDX_FILES [--rounds 3] [--epochs 5]

Both sides train the same model from the same arrays, in turns, in this process. An epoch is timed
from `on_epoch_begin` to `on_epoch_end`; the first one has the tracing and compiling in it. Printed
are medians over the rounds, and test accuracies.
"""

import statistics
import tempfile
import time

import click
import keras
from keras import layers

import deepapps
from deepapps.data.images.load import load_images

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Stopwatch(keras.callbacks.Callback):
    """Notes the seconds of each epoch."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(time.perf_counter() - self._began)


def build():
    """The classic program."""
    pixels = [keras.Input((28, 28, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten()]
    return keras.Sequential([*pixels, layers.Dense(128, "relu"), layers.Dense(10)])


def with_fit(source, epochs, seed, **options):
    keras.utils.set_random_seed(seed)
    model, watch = build(), Stopwatch()
    model.compile("adam", LOSS, metrics=["accuracy"], **options)
    model.fit(*source.arrays, batch_size=32, epochs=epochs, callbacks=[watch], verbose=0)
    return model, watch.epochs


def with_deepapps(source, epochs, seed):
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        run = deepapps.train(
            model=build,
            data=source,
            loss=LOSS,
            metrics=["accuracy"],
            epochs=epochs,
            batch_size=32,
            seed=seed,
            output=folder,
            callbacks=[watch],
            progress=False,
        )
        return run.model, watch.epochs


@click.command()
@click.argument("data")
@click.option("--rounds", default=3, show_default=True)
@click.option("--epochs", default=5, show_default=True)
def main(data, rounds, epochs):
    splits = load_images(data)[0]
    sides = {
        "keras fit": with_fit,
        "keras fit, XLA": lambda *arguments: with_fit(*arguments, jit_compile=True),
        "deepapps": with_deepapps,
    }
    rates, accuracies = {name: [] for name in sides}, {name: [] for name in sides}
    for seed in range(rounds):
        for name, side in sides.items():
            model, seconds = side(splits.train, epochs, seed)
            rates[name].append(len(splits.train) * epochs / sum(seconds))
            inputs, labels = splits.test.arrays
            accuracies[name].append((model.predict(inputs, verbose=0).argmax(-1) == labels).mean())
            print(
                f"{name:16} seconds an epoch: {' '.join(f'{s:.2f}' for s in seconds)}", flush=True
            )
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{len(splits.train)} examples, batch 32, {epochs} epochs, median of {rounds} rounds")
    for name, rate in medians.items():
        accuracy = statistics.mean(accuracies[name])
        ratio = rate / medians["keras fit"]
        print(
            f"{name:16} {rate:8.0f} examples/s   {ratio:5.2f} times fit   test accuracy "
            f"{accuracy:.4f}"
        )


if __name__ == "__main__":
    main()
