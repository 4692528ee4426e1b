"""Hyperparameter search: Keras Tuner picks the settings, each trial is a Run in a process of its own."""


def __getattr__(name):
    if name == "TaskHyperModel":  # loaded when it is asked for: Keras Tuner imports TensorFlow
        from deepapps.tuning.hypermodel import TaskHyperModel

        return TaskHyperModel
    raise AttributeError(f"module 'deepapps.tuning' has no attribute {name!r}")
