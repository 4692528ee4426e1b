"""The search: which settings are the best? Every trial is a Run."""

import logging
import os
import pathlib
import typing

from deepapps.distribution.cluster import find_cluster
from deepapps.distribution.pool import check_program
from deepapps.files import blamed_on, mark_of, new_folder, path_of, read_json
from deepapps.runs.commands import flags, is_flag, resuming, shell_command
from deepapps.runs.folders import check_free, check_plain, tidy
from deepapps.runs.opening import check_resume, load_run
from deepapps.runs.run import METRICS
from deepapps.settings import TrainingSettings, check_keywords, split_settings
from deepapps.task import Task
from deepapps.tasks import TASKS, find_task
from deepapps.tensorflow_start import starting_tensorflow
from deepapps.tuning.journal import Journal
from deepapps.tuning.progress import best_row, ranked
from deepapps.tuning.search_settings import FREE_ON_RESUME, Objective, SearchSettings, objectives_of
from deepapps.tuning.space import Space, load_space
from deepapps.tuning.statistics import pareto_front
from deepapps.tuning.trial import is_helper
from deepapps.typed_json import one_of

_logger = logging.getLogger(__name__)


class Config(typing.TypedDict):
    """The config of a hyperparameter of Keras Tuner."""

    name: str
    values: typing.NotRequired[list[str | int | float | bool] | None]
    ordered: typing.NotRequired[bool | None]
    sampling: typing.NotRequired[str | None]


class Hyperparameter(typing.TypedDict):
    """A hyperparameter as Keras Tuner describes it."""

    class_name: str
    config: Config


def _is_filled(objectives):
    """A check of `typed_json`."""
    return None if objectives else "a list of at least one"


class StoredSearch(typing.TypedDict):
    """What search.json holds."""

    task: str
    settings: dict[str, object]
    fixed: dict[str, object]
    objectives: typing.Annotated[
        list[tuple[str, typing.Annotated[str, one_of("max", "min")]]], _is_filled
    ]
    space_file: str | None
    space: list[Hyperparameter]
    versions: dict[str, str | None]


class Search:
    """What a search found, as a folder on disk and as an object.

    Made by `search`, and by `load_search` from the folder.

    Attributes:
        path: The folder.
        task: The name of the task.
        settings: The `SearchSettings`.
        fixed: The settings that no trial changed.
        objectives: The `Objective`s.
        space_file: The Python file of the space, or None.
        is_resumed: Whether it goes on with what stands in the folder.
        kind: The class of the task, where it is not one of deepapps's own.
        mark: What tells whether another process has been at work in the folder since.
    """

    def __init__(self, path, task, settings, fixed, objectives, space_file=None, is_resumed=False):
        self.path, self.task, self.settings = pathlib.Path(path), task, settings
        self.fixed, self.objectives, self.space_file = fixed, objectives, space_file
        self.is_resumed, self.kind = is_resumed, None
        self.journal = Journal(self.path / "journal.jsonl")
        self.mark = mark_of(self.path / "search.json")

    def __repr__(self):
        return f"Search({str(self.path)!r}, task={self.task!r}, {len(self.trials)} trials)"

    @property
    def trials(self):
        """A `Row` for each trial: `trial`, `status`, `values`, `figures`, `message`."""
        return list(self.journal.rows().values())

    @property
    def best_settings(self):
        """The settings of the best trial, `{name: value}`, as in best.json."""
        path = self.path / "best.json"
        if not path.exists():
            raise ValueError(f"{self.path}: no trial has ended well yet.")
        return read_json(path, dict[str, object])

    @property
    def best_run(self):
        """The `Run` of the best settings: the first with a fresh seed; with `retrain=0` the
        trial itself.
        """
        best = best_row(self.trials, self.objectives)
        if best is None:
            raise ValueError(f"{self.path}: no trial has ended well yet.")
        return load_run(next(iter(self._best_folders()), self.folder_of(best)), self.kind)

    @property
    def front(self):
        """The trials that no other one beats in all objectives, the best by the first objective
        first.
        """
        rows = ranked(self.trials, self.objectives)
        points = [[row.figures[one.figure] for one in self.objectives] for row in rows]
        return [
            rows[place] for place in pareto_front(points, [one.sign for one in self.objectives])
        ]

    @property
    def test_figures(self):
        """The test figures of the best settings with fresh seeds, `{name: [value of each Run]}`."""
        parts = [read_json(folder / "metrics.json", METRICS) for folder in self._best_folders()]
        figures = [part.get("test", {}) for part in parts]
        names = dict.fromkeys(name for one in figures for name in one)
        values = {name: [one.get(name) for one in figures] for name in names}
        return {
            name: numbers
            for name, numbers in values.items()
            if all(isinstance(number, int | float) for number in numbers)
        }

    @property
    def command(self):
        """The shell command that repeats the search into a new folder, or the Python call."""
        if self.task not in TASKS:
            return f"deepapps.search(..., output={str(self.path)!r})"
        fixed = {name: value for name, value in self.fixed.items() if value is not None}
        if not all(map(is_flag, fixed, fixed.values())):
            return f"deepapps.search(..., output={str(self.path)!r})"
        space = ["--space", self.space_file] if self.space_file else []
        return shell_command("tune", self.task, *flags(self.settings.changed() | fixed), *space)

    @property
    def resume_command(self):
        """The command, or the Python call, that goes on with the search, which has its settings."""
        return resuming(self.command, "tune", self.task, self.path)

    def folder_of(self, row):
        """The folder of a trial's Run."""
        return self.path / "trials" / row.trial

    def report(self):
        """Writes `report/index.html` anew and returns its path."""
        from deepapps.tuning.report import write_search_report

        tidy(self.path)
        return write_search_report(self)

    def _best_folders(self):
        best = best_row(self.trials, self.objectives)
        found = self.path.glob(f"best/{best.trial}-[0-9]*/metrics.json") if best else ()
        return sorted(
            (path.parent for path in found), key=lambda folder: int(folder.name.partition("-")[2])
        )


def search(task, space=None, output=None, resume=False, overwrite=False, **settings):
    """Searches the settings with which a task learns best.

    Args:
        task: The name of an app, such as "mnist", or a `Task`.
        space: A function `hp -> settings`, where `hp` is a `keras_tuner.HyperParameters`; or a
            Python file that defines it as `space`. Defaults to the task's own, `Task.space`.
        output: Folder of the search. Defaults to a new `runs/tune-<task>-<date>-<time>`.
        resume: Go on with the search in `output`; start where there is none.
        overwrite: Replace a search that stands in `output`.
        **settings: Those of `SearchSettings`, such as `trials`; any others are settings of the task
            and the training that no trial changes.
    Returns: the `Search`, whose `best_settings` have the best validation figure.
    Raises:
        ValueError: for a mistake in the settings or the space.
        RuntimeError: when all trials fail.
        SystemExit: with status 143 after a SIGTERM; trials that ran have written a checkpoint.
    """
    check_program("A search")
    found, task, function = open_search(task, space, output, resume, overwrite, settings)
    with starting_tensorflow():
        from deepapps.tuning.running import run_search  # Keras Tuner

    return run_search(found, Space(function, task, found.fixed))


def open_search(task, space, output, resume, overwrite, settings):
    """Finds the folder of a search, its task and its settings: those given, over those stored.

    Nothing is written yet, and TensorFlow is not imported.

    Returns: `(Search, Task, space function)`.
    Raises: ValueError as `search`.
    """
    if resume and overwrite:
        raise ValueError("`resume` and `overwrite` exclude each other.")
    if resume and not output:
        raise ValueError("`resume` needs the folder of the search to go on with (--output FOLDER).")
    if find_cluster() is not None:
        raise ValueError(
            "A search is no job for a cluster of TF_CONFIG: it starts the processes of its trials "
            "itself."
        )
    overwrite = overwrite or is_helper()  # which leaves the folder to the chief
    given = {name: value for name, value in settings.items() if name in SearchSettings.names()}
    kind = (
        find_task(task) if isinstance(task, str) else task if isinstance(task, type) else type(task)
    )
    if not issubclass(kind, Task):
        raise ValueError(f"`task` must be the name of an app or a Task. Received: {task!r}")
    fixed = _checked(kind, {name: value for name, value in settings.items() if name not in given})
    name = kind.name if isinstance(kind.name, str) else kind.__name__
    path = path_of(output) if output else new_folder(f"tune-{name}")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: is a file, not a folder for a search.")
    file = str(space) if isinstance(space, str | os.PathLike) else None
    is_resumed = resume and (path / "search.json").exists()
    if is_resumed:
        stored = load_search(path)
        _check_same(stored, name, given, fixed)
        given, fixed = {**stored.settings.as_dict(), **given}, stored.fixed
        file = file or (stored.space_file if space is None else None)
    else:
        check_free(path, overwrite, "search.json", "search")
    if not isinstance(task, Task):
        task = kind(
            kind.Settings(**{key: fixed[key] for key in fixed if key in kind.Settings.names()})
        )
    function = load_space(file) if file else space or task.space
    made = SearchSettings(**given)
    objectives = objectives_of(made.objective, task)
    found = Search(path, name, made, fixed, objectives, file, is_resumed)
    found.kind = None if name in TASKS else kind
    return found, task, function


def load_search(path, task=None):
    """Loads a search from its folder.

    Args:
        path: The folder.
        task: The class of the task, where it is not one of deepapps's own; `best_run` needs it.
    Raises: ValueError when there is none.
    """
    path = path_of(path)
    file = path / "search.json"
    if not file.exists():
        raise ValueError(f"{path}: holds no search (there is no search.json).")
    check_plain(path)
    stored = read_json(file, StoredSearch)
    name, fixed = stored["task"], stored["fixed"]
    objectives = [Objective(*pair) for pair in stored["objectives"]]
    with blamed_on(file):
        check_keywords(stored["settings"], SearchSettings.names())
        settings = SearchSettings(**stored["settings"])
        fixed = _checked(find_task(name), fixed) if name in TASKS else fixed
    found = Search(path, name, settings, fixed, objectives, stored["space_file"])
    found.kind = task
    return found


def _checked(kind, fixed):
    """The fixed settings as JSON gives them back.

    Raises: ValueError for an unknown one, one out of range, or a strategy of many processes.
    """
    check_keywords(
        fixed, {*SearchSettings.names(), *kind.Settings.names(), *TrainingSettings.names()}
    )
    own, training = split_settings(kind, fixed)
    values = (
        kind.Settings(**own).as_dict() | TrainingSettings(**{**kind.training, **training}).as_dict()
    )
    if values["strategy"] in ("multi-worker", "parameter-server"):
        raise ValueError(
            f"A trial is one process: `strategy` cannot be {values['strategy']!r} in a search."
        )
    return {name: values[name] for name in fixed}


def _check_same(stored, name, given, fixed):
    """Raises ValueError for a resume of another search."""
    if stored.task != name:
        raise ValueError(f"{stored.path}: holds a search of {stored.task}, not of {name}.")
    before = stored.settings.as_dict() | stored.fixed
    check_resume(stored.path, before, given | fixed, FREE_ON_RESUME, "search")
