"""A training with everything in play that a resume could lose, and ways to kill it."""

import os
import pathlib
import signal
import threading

import numpy as np


def train(folder, strategy="none", kill=None, **settings):
    """Trains the scenario in `folder`, and kills this process where `kill`, (point, count),
    says.
    """
    import deepapps

    deepapps.use_devices(2)
    import keras
    from keras import layers

    class Scenario(deepapps.Task):
        monitor = "accuracy"

        def data(self):
            random = np.random.default_rng(0)
            targets = random.integers(0, 3, 300)
            inputs = random.normal(size=(300, 6, 6, 1)) + targets[:, None, None, None] * 0.5
            weights = random.uniform(0.5, 1.5, 300)
            arrays = (inputs.astype("float32"), targets.astype("int32"), weights.astype("float32"))
            parts = [
                tuple(array[rows] for array in arrays) for rows in (slice(0, 200), slice(200, 300))
            ]
            return deepapps.Splits(*(deepapps.ArraySource(*part) for part in parts))

        def network(self):
            images = keras.Input((6, 6, 1))
            x = layers.Conv2D(4, 3)(images)
            x = layers.BatchNormalization(synchronized=True)(x)
            x = layers.Dropout(0.3)(layers.Flatten()(layers.ReLU()(x)))
            return keras.Model(images, layers.Dense(3)(x))

        def augmentation(self):
            return keras.Sequential(
                [layers.RandomTranslation(0.1, 0.1), layers.RandomRotation(0.05)]
            )

        def loss(self):
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        def metrics(self):
            return [keras.metrics.SparseCategoricalAccuracy("accuracy")]

    arguments = {
        "epochs": 4,
        "batch_size": 32,
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "learning_rate_schedule": "CosineDecay",
        "warmup": 0.1,
        "use_ema": True,
        "ema_momentum": 0.9,
        "global_clipnorm": 1.0,
        "patience": 3,
        "steps_per_execution": 2,
        "checkpoint_seconds": 0.0,
        "progress": False,
    }
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True),
        Watch(folder),
    ]
    # always: a resume needs the same list of callbacks
    callbacks.append(killer(*(kill or ("never", 0))))
    deepapps.train(
        Scenario(),
        output=folder,
        resume=True,
        callbacks=callbacks,
        strategy=strategy,
        **(arguments | settings),
    )


def result(folder):
    """All that two trainings must have in common to the bit: weights, state, figures, history."""
    from deepapps.files import read_json
    from deepapps.training.checkpoints import newest_checkpoint

    folder = pathlib.Path(folder)
    _, arrays, state = newest_checkpoint(folder / "checkpoints")
    import keras

    model = keras.models.load_model(folder / "model.keras", compile=False)
    arrays |= {f"best/{index}": weight for index, weight in enumerate(model.get_weights())}
    history = [{k: v for k, v in line.items() if k != "seconds"} for line in state["history"]]
    return arrays, history, read_json(folder / "metrics.json"), state["best"]


def assert_same(one, other):
    """Asserts that two results are bit-identical."""
    assert one[0].keys() == other[0].keys()
    different = [name for name in one[0] if one[0][name].tobytes() != other[0][name].tobytes()]
    assert not different
    assert one[1:] == other[1:]


def first_steps(folder):
    """The step at which each process of a training did its first call, as `epoch * 1000 + step`."""
    path = pathlib.Path(folder) / "first-steps.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def Watch(folder):
    """A callback that notes where this process did its first step."""
    import keras

    class Watch(keras.callbacks.Callback):
        epoch = None

        def get_state(self):
            return {}

        def set_state(self, state):
            pass

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = self.epoch if self.epoch is None else -1
            self.first = epoch if self.epoch is None else None

        def on_train_batch_begin(self, batch, logs=None):
            if self.epoch is None:
                with open(pathlib.Path(folder) / "first-steps.txt", "a") as file:
                    file.write(f"{self.first * 1000 + batch}\n")
                self.epoch = -1

    return Watch()


def killer(point, count):
    """Arms the kill at the `count`-th time that this process passes a point."""
    import keras

    passed = {"times": 0}

    def here(at):
        passed["times"] += at == point
        if at == point and passed["times"] == count:
            _die()

    class Killer(keras.callbacks.Callback):
        def get_state(self):
            return {}

        def set_state(self, state):
            pass

        def on_train_batch_begin(self, batch, logs=None):
            if point == "in a call":
                passed["times"] += 1
                if passed["times"] == count:
                    threading.Timer(0.001, _die).start()

        def on_train_batch_end(self, batch, logs=None):
            here("after a call")

        def on_test_batch_end(self, batch, logs=None):
            here("in validation")

        def on_epoch_end(self, epoch, logs=None):
            here("at an epoch's end")

    savez, replace = np.savez, os.replace

    def dying_savez(file, **arrays):
        passed["times"] += point == "while a checkpoint is written"
        if point == "while a checkpoint is written" and passed["times"] == count:
            file.write(b"PK\x03\x04 half a checkpoint")
            file.flush()
            _die()
        savez(file, **arrays)

    def dying_replace(source, target):
        checkpoint = str(target).endswith(".npz")
        here("between write and rename" if checkpoint else "before another file is renamed")
        replace(source, target)
        here("after the rename" if checkpoint else "after another file is renamed")

    np.savez, os.replace = dying_savez, dying_replace
    return Killer()
