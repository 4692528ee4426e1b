"""Tasks: what to learn. `TASKS` is the one table of names."""

import importlib

from deepapps.settings import close_names

TASKS = {
    "mnist": "deepapps.tasks.image_classification:Mnist",
    "image": "deepapps.tasks.image_classification:Image",
    "sequence": "deepapps.tasks.sequence_classification:SequenceClassification",
    "translator": "deepapps.tasks.translation:Translation",
    "summarizer": "deepapps.tasks.summarization:Summarization",
}
_LOADED_MODEL = "deepapps.tasks.model:LoadedModel"  # of `train(model=...)`, which no command names


def find_task(name):
    """The class of the task with this name. Imports no TensorFlow.

    Raises: ValueError for an unknown name, with the close ones.
    """
    places = TASKS | {"model": _LOADED_MODEL}
    if name not in places:
        raise ValueError(f"Unknown task {name!r}.{close_names(name, TASKS)}")
    module, _, attribute = places[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
