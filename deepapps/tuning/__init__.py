"""Hyperparameter search: Keras Tuner picks the settings, each trial is a Run in a process of its
own.
"""

from deepapps.registry import Registry

_NAMES = Registry("name", {"TaskHyperModel": "deepapps.tuning.hypermodel:TaskHyperModel"})


def __getattr__(name):
    if name not in _NAMES:  # loaded when it is asked for: Keras Tuner imports TensorFlow
        raise AttributeError(f"module 'deepapps.tuning' has no attribute {name!r}")
    return _NAMES[name]
