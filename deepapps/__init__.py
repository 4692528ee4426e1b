"""Ready-made deep-learning applications on Keras 3 and TensorFlow.

The names below are loaded when they are first used, so that importing deepapps is instant.
"""

import importlib

from deepapps.registry import Registry
from deepapps.tensorflow_start import starting_tensorflow

__version__ = "0.1.0"

_NAMES = Registry(
    "name",
    {
        "mnist_classifier": "deepapps.apps:mnist_classifier",
        "image_classifier": "deepapps.apps:image_classifier",
        "sequence_classifier": "deepapps.apps:sequence_classifier",
        "translator": "deepapps.apps:translator",
        "summarizer": "deepapps.apps:summarizer",
        "train": "deepapps.runs.train:train",
        "use_devices": "deepapps.distribution.strategies:use_devices",
        "load_run": "deepapps.runs.opening:load_run",
        "search": "deepapps.tuning.search:search",
        "load_search": "deepapps.tuning.search:load_search",
        "Run": "deepapps.runs.run:Run",
        "Task": "deepapps.task:Task",
        "Settings": "deepapps.settings:Settings",
        "setting": "deepapps.settings:setting",
        "TrainingSettings": "deepapps.settings:TrainingSettings",
        "Splits": "deepapps.data.source:Splits",
        "ArraySource": "deepapps.data.source:ArraySource",
    },
)
_ROOMS = ("layers", "tuning")

__all__ = ["__version__", *_ROOMS, *_NAMES]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"deepapps.{name}")
    if name not in _NAMES:
        raise AttributeError(f"module 'deepapps' has no attribute {name!r}")
    if name not in ("train", "use_devices"):
        return _NAMES[name]
    with starting_tensorflow():
        return _NAMES[name]


def __dir__():
    return sorted({*globals(), *__all__})
