"""Ready-made deep-learning applications on Keras 3 and TensorFlow.

The names below are loaded when they are first used, so that importing deepapps is instant.
"""

import importlib

__version__ = "0.1.0"

_PLACES = {
    "mnist_classifier": "deepapps.apps",
    "image_classifier": "deepapps.apps",
    "sequence_classifier": "deepapps.apps",
    "translator": "deepapps.apps",
    "summarizer": "deepapps.apps",
    "train": "deepapps.runs.train",
    "use_devices": "deepapps.distribution.strategies",
    "load_run": "deepapps.runs.run",
    "search": "deepapps.tuning.search",
    "load_search": "deepapps.tuning.search",
    "Run": "deepapps.runs.run",
    "Task": "deepapps.task",
    "Settings": "deepapps.settings",
    "setting": "deepapps.settings",
    "TrainingSettings": "deepapps.settings",
    "Splits": "deepapps.data.source",
    "ArraySource": "deepapps.data.source",
}

_ROOMS = ("layers", "tuning")

__all__ = ["__version__", *_ROOMS, *_PLACES]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"deepapps.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'deepapps' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
