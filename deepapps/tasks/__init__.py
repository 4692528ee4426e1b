"""Tasks: what to learn, one file per task. `TASKS` are the names that apps and commands know."""

from deepapps.registry import Registry

TASKS = Registry(
    "task",
    {
        "mnist": "deepapps.tasks.image_classification:Mnist",
        "image": "deepapps.tasks.image_classification:Image",
        "sequence": "deepapps.tasks.sequence_classification:SequenceClassification",
        "translator": "deepapps.tasks.translation:Translation",
        "summarizer": "deepapps.tasks.summarization:Summarization",
    },
)
# of a Run of `train(model=...)`, which no command names
STORED_TASKS = Registry("task", {"model": "deepapps.tasks.model:LoadedModel"})


def find_task(name):
    """The class of the task with this name. Imports no TensorFlow.

    Raises: ValueError for an unknown name, with the close ones.
    """
    return (STORED_TASKS if name in STORED_TASKS else TASKS)[name]
