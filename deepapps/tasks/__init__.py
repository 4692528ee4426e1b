"""Tasks: what to learn. `TASKS` is the one table of names."""

import importlib

from deepapps.settings import close_names

TASKS = {"mnist": "deepapps.tasks.image_classification:Mnist"}


def find_task(name):
    """The class of the task with this name. Imports no TensorFlow.

    Raises: ValueError for an unknown name, with the close ones.
    """
    if name not in TASKS:
        raise ValueError(f"Unknown task {name!r}.{close_names(name, TASKS)}")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
