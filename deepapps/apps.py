"""The app functions: one call from data to a trained Run."""

import inspect

from deepapps.runs.opening import stored_settings
from deepapps.settings import TrainingSettings, split_settings
from deepapps.tasks import find_task
from deepapps.tensorflow_start import starting_tensorflow

_ARGUMENTS = {"output": None, "resume": False, "overwrite": False, "callbacks": ()}


def train_app(name, output=None, resume=False, overwrite=False, callbacks=(), **settings):
    """Trains the task with this name.

    Args:
        name: A name of `deepapps.tasks.TASKS`.
        output, resume, overwrite, callbacks: As in `deepapps.train`.
        **settings: Settings of the task and of the training. In a resume, those not given come from
            the Run in `output`.
    Returns: the `Run`.
    """
    task, training = configure(name, settings, output if resume else None)
    with starting_tensorflow():
        from deepapps.runs.train import train

    return train(
        task, output=output, resume=resume, overwrite=overwrite, callbacks=callbacks, **training
    )


def configure(name, settings, resumed=None):
    """Makes the task and sorts out the training settings, without TensorFlow.

    Args:
        name: The task's name.
        settings: Settings of both kinds, `{name: value}`.
        resumed: Folder of a Run whose task settings hold where none are given. Defaults to none.
    Returns: `(task, training)`, the latter only what was given.
    Raises: ValueError for an unknown setting or a value outside its range.
    """
    task = find_task(name)
    own, training = split_settings(task, settings)
    TrainingSettings(**task.training | {k: v for k, v in training.items() if not _is_object(k, v)})
    stored = stored_settings(resumed, task) if resumed else {}
    return task(task.Settings(**stored | own)), training


def defaults_of(task):
    """The defaults of all settings of a task, its own training defaults included, `{name:
    value}`.
    """
    return task.Settings().as_dict() | TrainingSettings(**task.training).as_dict()


def _is_object(name, value):
    """Whether a training setting is an optimizer, a schedule or a strategy itself, which `train`
    takes too.
    """
    return name in ("optimizer", "learning_rate_schedule", "strategy") and not isinstance(
        value, str
    )


def _app(name, function_name, summary):
    """The app function of a task, with a signature and a docstring made of its settings."""

    def app(**arguments):
        return train_app(name, **arguments)

    task = find_task(name)
    values = _ARGUMENTS | defaults_of(task)
    kind = inspect.Parameter.KEYWORD_ONLY
    app.__signature__ = inspect.Signature(
        [inspect.Parameter(k, kind, default=v) for k, v in values.items()]
    )
    helps = "\n".join(f"    {key}: {text}" for key, text in helps_of(task).items())
    helps += "\n    output, resume, overwrite, callbacks: As in `deepapps.train`."
    app.__doc__ = f"{summary}\n\nArgs:\n{helps}\nReturns: the `Run`.\nRaises: as `deepapps.train`."
    app.__name__ = app.__qualname__ = function_name
    return app


def helps_of(task):
    """The help text of every setting of a task, `{name: text}`."""
    fields = (
        *task.Settings.__dataclass_fields__.values(),
        *TrainingSettings.__dataclass_fields__.values(),
    )
    return {field.name: field.metadata["help"] for field in fields}


mnist_classifier = _app(
    "mnist",
    "mnist_classifier",
    "Trains a classifier of digits, or of other small images, and returns its Run.",
)
image_classifier = _app(
    "image",
    "image_classifier",
    "Trains a classifier of images, such as photos in one folder for each class, and returns its "
    "Run.",
)
sequence_classifier = _app(
    "sequence",
    "sequence_classifier",
    "Trains a classifier of texts, names or time series, and returns its Run.",
)
translator = _app(
    "translator",
    "translator",
    "Trains a translator of sentences, or of any texts into others, and returns its Run.",
)
summarizer = _app(
    "summarizer",
    "summarizer",
    "Trains a summarizer of texts, on pairs of a text and its summary, and returns its Run.",
)
