"""Test accuracy on MNIST, and the time it takes: bare defaults on several seeds, or the best
setting found.

    python benchmarks/mnist.py sample                                    # the embedded 5,000 digits
    python benchmarks/mnist.py FOLDER_OF_MNIST_IDX_FILES [--seeds 3]
    python benchmarks/mnist.py FOLDER_OF_MNIST_IDX_FILES --network lenet
    python benchmarks/mnist.py FOLDER_OF_MNIST_IDX_FILES --best --seeds 1

Weights are picked on the validation split, 10 % of the training digits; the test set is opened
once, at the end. The time is that of all epochs, validation included.
"""

import statistics
import tempfile
import time

import click
import keras

import deepapps

BEST = {"network": "vgg", "epochs": 6}


class Stopwatch(keras.callbacks.Callback):
    """Takes the time from the first step, tracing included, to the end of the last epoch."""

    def on_train_begin(self, logs=None):
        self._began = time.perf_counter()

    def on_train_end(self, logs=None):
        self.seconds = time.perf_counter() - self._began


@click.command()
@click.argument("data", default="sample")
@click.option("--seeds", default=3, show_default=True)
@click.option("--network", default="cnn", show_default=True)
@click.option("--best", is_flag=True, help="The best setting found, instead of the defaults.")
def main(data, seeds, network, best):
    accuracies, times = [], []
    for seed in range(seeds):
        watch = Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            run = deepapps.mnist_classifier(
                data=data,
                seed=seed,
                output=folder,
                callbacks=[watch],
                progress=best,
                **(BEST if best else {"network": network}),
            )
            validation, test = (run.metrics[part]["accuracy"] for part in ("validation", "test"))
        accuracies.append(test)
        times.append(watch.seconds)
        print(
            f"seed {seed}: validation {validation:.4f}, test {test:.4f}, {watch.seconds:.0f} s",
            flush=True,
        )
    print(
        f"mean test accuracy {statistics.mean(accuracies):.4f}, longest training {max(times):.0f} s"
    )


if __name__ == "__main__":
    main()
