"""A task whose trials take a moment, and which can fail in every way."""

import dataclasses
import os
import signal
import time

import keras
import numpy as np

import deepapps


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointsSettings(deepapps.Settings):
    """What a `Points` learns with."""

    units: int = deepapps.setting(4, "Width of the hidden layer.", minimum=1)
    trouble: str = deepapps.setting(
        "none", "What goes wrong.", choices=("none", "raise", "kill", "hang")
    )


class Points(deepapps.Task):
    """Which of two clouds of points does a point belong to?"""

    Settings = PointsSettings
    training = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}

    @staticmethod
    def space(hp):
        """The width, and how it is trained."""
        return {
            "units": hp.Int("units", 2, 8, step=2),
            "learning_rate": hp.Float("learning_rate", 1e-3, 1e-1, sampling="log"),
            "optimizer": hp.Choice("optimizer", ["adam", "sgd"]),
        }

    def data(self):
        if self.settings.trouble == "raise":
            raise ValueError("no points today")
        if self.settings.trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.settings.trouble == "hang":
            time.sleep(600)
        random = np.random.default_rng(0)
        labels = random.integers(2, size=144).astype("int32")
        points = (random.normal(size=(144, 3)) + labels[:, None]).astype("float32")
        parts = [deepapps.ArraySource(points[i : i + 48], labels[i : i + 48]) for i in (0, 48, 96)]
        return deepapps.Splits(*parts)

    def network(self):
        inputs = keras.Input([3])
        hidden = keras.layers.Dense(self.settings.units, activation="relu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(2)(hidden))

    def loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


def troubled(hp):
    """A space in which each trial fails in another way, but for the first."""
    return {"trouble": hp.Choice("trouble", ["none", "raise", "kill", "hang"])}


def searches(output, **settings):
    """The arguments of a small search of `Points`."""
    return {"output": output, "progress": False, "retrain": 0, "jit_compile": False, **settings}


def search_points(output, settings):
    """Runs a search, in a process of its own."""
    deepapps.search(Points(), **searches(output, **settings))
