"""Opens the folder of a Run: to load it, or to train into it. Imports no TensorFlow."""

import re
import typing

import deepapps
from deepapps.distribution.cluster import fit_to_strategy
from deepapps.files import new_folder, path_of, read_json
from deepapps.runs.folders import check_free, check_plain
from deepapps.runs.run import Run
from deepapps.settings import TrainingSettings, check_keywords
from deepapps.tasks import TASKS, find_task

FREE_ON_RESUME = ("epochs", "progress", "tensorboard")


class StoredRun(typing.TypedDict):
    """What settings.json holds."""

    task: str
    settings: dict[str, object]
    training: dict[str, object]
    versions: dict[str, str | None]


def load_run(path, task=None):
    """Loads a Run from its folder; no code from the folder is run, and nothing is read or written
    through links in it.

    Args:
        path: The folder.
        task: The class of the task, where it is not one of deepapps's own.
    Raises: ValueError when there is no Run, one from a newer version of deepapps, or one with links
        or devices in it.
    """
    path = path_of(path)
    stored = _read(path)
    if task is None and stored["task"] not in (*TASKS, "model"):
        raise ValueError(
            f"{path}: is of task {stored['task']!r}; give its class, load_run(path, task=...)."
        )
    kind = task or find_task(stored["task"])
    task = kind(_settings(path, kind.Settings, stored["settings"]))
    task.load(path)
    return Run(
        path, task, _settings(path, TrainingSettings, stored["training"]), stored["versions"]
    )


def stored_settings(path, task):
    """The task settings of the Run in a folder, as a dict; empty if there is none.

    Args:
        path: The folder.
        task: The class of the task that the Run must be of.
    """
    path = path_of(path)
    if not (path / "settings.json").exists():
        return {}
    return _settings(path, task.Settings, _read(path, task.name)["settings"]).as_dict()


def open_run(task, training, output=None, resume=False, overwrite=False):
    """Finds the folder of a Run, and the training settings: those given, over those stored, over
    the task's own. Nothing is written yet, and TensorFlow is not imported.

    Raises: ValueError when the folder holds another Run or other files, or when a resume would
        change a setting other than those in `FREE_ON_RESUME`.
    """
    check_keywords(training, TrainingSettings.names())
    if resume and overwrite:
        raise ValueError("`resume` and `overwrite` exclude each other.")
    if resume and not output:
        raise ValueError("`resume` needs the folder of the Run to go on with (--output FOLDER).")
    training = fit_to_strategy(training)
    path = path_of(output) if output else new_folder(task.name)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: is a file, not a folder for a Run.")
    if resume and (path / "settings.json").exists():
        return _reopen(path, task, training)
    check_free(path, overwrite)
    training = TrainingSettings(**{**task.training, **training})
    return Run(path, task, training, is_named=output is not None)


def _reopen(path, task, training):
    stored = _read(path, task.name)
    stored_training = _settings(path, TrainingSettings, stored["training"])
    settings = TrainingSettings(**{**stored["training"], **training})
    given = {name: value for name, value in settings.as_dict().items() if name in training}
    check_resume(path, stored_training.as_dict(), given)
    stored_task = _settings(path, type(task.settings), stored["settings"])
    check_resume(path, stored_task.as_dict(), task.settings.as_dict())
    run = Run(path, task, settings, stored["versions"])
    if run.finished:  # it may be handed back as it is, its data not read again
        task.load(path)
    return run


def check_resume(path, stored, given, free=FREE_ON_RESUME, verb="train"):
    """Raises ValueError for the first setting given to a resume that differs from the stored one.

    Args:
        path: The folder.
        stored, given: Settings, `{name: value}`.
        free: The names of those that may differ. Default to those of a Run.
        verb: What is done with such a folder.
    """
    for name, value in given.items():
        if name not in free and stored.get(name) != value:
            raise ValueError(
                f"{path}: its `{name}` is {stored.get(name)!r} and cannot become {value!r} in a "
                f"resume. Leave it out, or {verb} into another folder."
            )


def _read(path, task=None):
    """What stands in settings.json, a `StoredRun`; of a Run of `task`, if that is given."""
    file = path / "settings.json"
    if not file.exists():
        raise ValueError(f"{path}: holds no Run (there is no settings.json).")
    check_plain(path)
    stored = read_json(file, StoredRun)
    _check_version(path, stored["versions"].get("deepapps"))
    if task is not None and stored["task"] != task:
        raise ValueError(f"{path}: holds a Run of {stored['task']}, not of {task}.")
    return stored


def _check_version(path, version):
    """Raises ValueError for a Run of a later release, whose files this one may not know."""
    release, own = (
        re.match(r"(\d+)\.(\d+)", str(text)) for text in (version, deepapps.__version__)
    )
    if release is None or tuple(map(int, release.groups())) > tuple(map(int, own.groups())):
        raise ValueError(
            f"{path}: was made by deepapps {version}, and this is {deepapps.__version__}. Update "
            "deepapps."
        )


def _settings(path, kind, values):
    """The stored settings as an instance of `kind`."""
    try:
        check_keywords(values, kind.names())
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{path / 'settings.json'}: {error}") from None
