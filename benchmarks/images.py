"""Training from image files: the loop against Keras `fit` with `tf.data`, from the same JPEG files.

    python benchmarks/images.py [--network resnet] [--images 1000] [--side 240] [--rounds 3]
    python benchmarks/images.py --memory          # peak memory, while a folder grows fourfold

Both sides train the same network, without augmentation, on files that are drawn first, scaled to
64x64, in turns. Keras reads them as its documentation advises, `image_dataset_from_directory` and
`prefetch`, and once more with `cache`. deepapps decodes them at every epoch, as it does for a
folder that takes more than 1 GiB; or holds them in memory, as it does for others. Rates are of the
epochs after the first, which compiles.
"""

import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import click
import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

import deepapps
from deepapps.data.images import store as image_store
from deepapps.networks import IMAGE_NETWORKS as NETWORKS
from deepapps.tasks.image_classification import ImageSettings

CLASSES = ("cross", "disc", "ring", "square")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EPOCHS = 3


class Stopwatch(keras.callbacks.Callback):
    """Notes the seconds that an epoch takes to train, without its validation."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self._last - self._began)


def draw_images(folder, count, side):
    """Draws `count` JPEG files of figures on noise, about `side` pixels high and wide, a folder
    for each class.
    """
    random = np.random.default_rng(0)
    for index in range(count):
        name = CLASSES[index % len(CLASSES)]
        width, height = (int(size) for size in random.integers(side * 3 // 4, side * 5 // 4, 2))
        noise = random.integers(0, 256, (height // 8, width // 8, 3)).astype("uint8")
        image = Image.fromarray(noise).resize((width, height))
        pen, box = ImageDraw.Draw(image), [width // 4, height // 4, width * 3 // 4, height * 3 // 4]
        color, line = tuple(random.integers(0, 256, 3).tolist()), side // 16
        if name == "cross":
            pen.line([box[0], height // 2, box[2], height // 2], color, line)
            pen.line([width // 2, box[1], width // 2, box[3]], color, line)
        elif name == "square":
            pen.rectangle(box, outline=color, width=line)
        else:
            pen.ellipse(box, fill=color if name == "disc" else None, outline=color, width=line)
        path = pathlib.Path(folder) / name / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90)


def with_fit(folder, network, cache=False):
    keras.utils.set_random_seed(0)
    files = keras.utils.image_dataset_from_directory(
        folder, image_size=(64, 64), batch_size=32, seed=0, verbose=False
    )
    files = (files.cache() if cache else files).prefetch(tf.data.AUTOTUNE)
    model, watch = NETWORKS[network](ImageSettings(), (64, 64, 3), len(CLASSES)), Stopwatch()
    model.compile(keras.optimizers.Adam(1e-3), LOSS, metrics=["accuracy"])
    model.fit(files, epochs=EPOCHS, callbacks=[watch], verbose=0)
    return sum(watch.epochs[1:])


def with_deepapps(folder, network, in_memory=True):
    watch = Stopwatch()
    image_store.IN_MEMORY_BYTES = 2**30 if in_memory else 0
    with tempfile.TemporaryDirectory() as output:
        deepapps.image_classifier(
            data=folder,
            network=network,
            image_size=64,
            epochs=EPOCHS,
            augment=False,
            progress=False,
            output=output,
            overwrite=True,
            callbacks=[watch],
        )
    return sum(watch.epochs[1:])


SIDES = {
    "keras fit, tf.data": with_fit,
    "keras fit, tf.data, cache": lambda *arguments: with_fit(*arguments, cache=True),
    "deepapps, decoding": lambda *arguments: with_deepapps(*arguments, in_memory=False),
    "deepapps, in memory": with_deepapps,
}


def measure_speed(folder, network, images, rounds):
    trained = {name: images if name.startswith("keras") else round(0.8 * images) for name in SIDES}
    rates = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name, side in SIDES.items():
            rates[name].append((EPOCHS - 1) * trained[name] / side(folder, network))
            print(f"{name:26} {rates[name][-1]:8.1f} images/s", flush=True)
    peer = statistics.median(rates["keras fit, tf.data"])
    print(f"\n{network}, {images} images, median of {rounds} rounds")
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"{name:26} {rate:8.1f} images/s   {rate / peer:5.2f} times tf.data")


def measure_memory(folder, network, images):
    """Peak memory of a training that decodes, in a process of its own, for ever more images."""
    for count in (images, 2 * images, 4 * images):
        draw_images(folder, count, 240)
        command = [sys.executable, __file__, "--alone", folder, "--network", network]
        peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[
            -1
        ]
        decoded = count * 64 * 64 * 3 / 2**20
        print(f"{count:6} images, {decoded:6.0f} MiB decoded: peak {peak} MiB", flush=True)


@click.command()
@click.option("--network", default="resnet", show_default=True)
@click.option("--images", default=1000, show_default=True)
@click.option("--side", default=240, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--memory", is_flag=True, help="Measure memory instead.")
@click.option(
    "--alone", help="One training that decodes the images of this folder; prints its peak memory."
)
def main(network, images, side, rounds, memory, alone):
    if alone:
        with_deepapps(alone, network, in_memory=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    with tempfile.TemporaryDirectory() as folder:
        if memory:
            measure_memory(folder, network, images)
            return
        draw_images(folder, images, side)
        measure_speed(folder, network, images, rounds)


if __name__ == "__main__":
    main()
