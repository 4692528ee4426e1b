"""A Run: the result of training, as a folder on disk and as an object."""

import contextlib
import copy
import functools
import json
import os
import pathlib
import shutil
import typing

from deepapps.data.source import fingerprint
from deepapps.files import (
    mark_of,
    read_json,
    read_json_lines,
    read_text,
    remove_unfinished,
    storable,
    write_json,
    write_text,
)
from deepapps.runs.commands import flags, is_flag, resuming, shell_command
from deepapps.runs.folders import claimed, locked, tidy
from deepapps.runs.named_data import check_named_data, named_data
from deepapps.settings import TrainingSettings, check_keywords
from deepapps.tasks import TASKS, find_task
from deepapps.tensorflow_start import starting_tensorflow

_FOLDERS = ("checkpoints", "report", "tensorboard")
_FILES = ("metrics.json", "history.jsonl", "examples.json", "model.keras", "data.txt", "data.json")


FOR_USERS = (
    "path",
    "name",
    "task",
    "settings",
    "training",
    "versions",
    "model",
    "metrics",
    "history",
    "examples",
    "description",
    "finished",
    "command",
    "resume_command",
    "predict",
    "evaluate",
    "explain",
    "report",
)


def _counted(epoch):
    """A check of `typed_json`."""
    return None if isinstance(epoch.get("epoch"), int) else "an object with the number of its epoch"


# what the files of a Run hold
METRICS, EXAMPLES = dict[str, dict[str, object]], list[object]
EPOCH = typing.Annotated[dict[str, float | list[float | None] | None], _counted]
FINGERPRINTS = dict[str, str]


class Run:
    """What a training left behind: `settings`, `model`, `metrics`, `history`, and a folder with
    them.

    Made by `train` and the app functions, and by `load_run` from the folder.

    Attributes:
        path: The folder.
        task: The `Task`.
        training: The `TrainingSettings`.
        versions: `{"deepapps": ..., "keras": ..., ...}` of the training; None before it starts.
        is_named: Whether the folder was asked for; else another one does as well, until training
            starts.
    """

    def __init__(self, path, task, training, versions=None, is_named=True):
        self.path = pathlib.Path(path)
        self.task = task
        self.training = training
        self.versions = versions
        self.is_named, self._mark = is_named, mark_of(self.path / "settings.json")
        self._asked = None  # the last strategy, with its `Predictor` and `Workers`

    def __dir__(self):
        """What is for users."""
        return [*FOR_USERS]

    def __repr__(self):
        return f"Run({str(self.path)!r}, task={self.name!r})"

    @property
    def name(self):
        """The name of the task."""
        return self.task.name

    @property
    def settings(self):
        """The settings of the task."""
        return self.task.settings

    @property
    def metrics(self):
        """`{"validation": {...}, "test": {...}}`, as in metrics.json; empty until training has
        ended.
        """
        path = self.path / "metrics.json"
        return read_json(path, METRICS) if path.exists() else {}

    @property
    def examples(self):
        """Single examples that the report shows, such as the worst mistakes, as in
        examples.json.
        """
        path = self.path / "examples.json"
        return read_json(path, EXAMPLES) if path.exists() else []

    @property
    def description(self):
        """What was said of the data before training, and what was left out of them, as in
        data.txt: lines of text.
        """
        path = self.path / "data.txt"
        return read_text(path).splitlines() if path.exists() else []

    @property
    def history(self):
        """One dict per epoch, as in history.jsonl."""
        path = self.path / "history.jsonl"
        return read_json_lines(path, EPOCH) if path.exists() else []

    @property
    def finished(self):
        """Whether training has ended, before or with the last of `epochs`, and was evaluated."""
        last = ("metrics.json", "report/index.html")
        if self.versions is None or not all((self.path / file).exists() for file in last):
            return False
        training = read_json(self.path / "settings.json")["training"]
        stored = training.get("epochs", self.training.epochs)
        return self.training.epochs in (stored, *range(1, len(self.history) + 1))

    @functools.cached_property
    def model(self):
        """The `keras.Model` with the best weights by the task's monitor."""
        return self._work.load_model(self)

    @property
    def model_file(self):
        """The file of the model. ValueError before the first epoch has ended."""
        path = self.path / "model.keras"
        if not path.exists():
            raise ValueError(f"{self.path}: holds no model yet. Go on with: {self.resume_command}")
        return path

    @property
    def _work(self):
        with starting_tensorflow():
            from deepapps.runs import work

        return work

    @property
    def command(self):
        """The shell command that repeats the training, into a new folder; the Python call, for a
        task of the user's own.
        """
        if self.name not in TASKS:
            return f"deepapps.train(..., output={str(self.path)!r})"
        changed = self.settings.changed() | self.training.changed(
            TrainingSettings(**self.task.training)
        )
        if not all(map(is_flag, changed, changed.values())):
            return f"deepapps.train(..., output={str(self.path)!r})"
        return shell_command("train", self.name, *flags(changed))

    @property
    def resume_command(self):
        """The command, or the Python call, that goes on with the training; the Run has its
        settings.
        """
        return resuming(self.command, "train", self.name, self.path)

    def predict(self, inputs, probabilities=False, strategy=None, progress=False, **answering):
        """Answers raw inputs.

        Args:
            inputs: What the task's `encode` takes: for images, uint8 arrays or file names; for
                sequences strings, one or thousands.
            probabilities: Also return all that the task knows of an answer.
            strategy: Shares the work out, as in `train`. Defaults to one device.
            progress: Show a bar on stderr, where that is a terminal and the inputs are sequences.
            **answering: Settings of the task's `Answering`, such as `beam` of a translator.
        Returns: a list of answers; with `probabilities`, of dicts such as
            `{"label": "7", "probabilities": {"0": ..., ...}}`.
        """
        self._check_answering(answering)
        if isinstance(inputs, list | tuple) and not inputs:
            return []
        predictor, _ = self._predictor_for(strategy)
        with self._work.model_blamed(self):
            answers = self.task.answer(predictor, inputs, progress, **answering)
        return answers if probabilities else [next(iter(answer.values())) for answer in answers]

    def explain(self, one_input, target=None):
        """Explains an answer.

        Args:
            one_input: A raw input, as `predict` takes them: for images, a uint8 array or a file
                name.
            target: The answer to explain, such as a label or a translation. Defaults to the one
                that the model gives.
        Returns: an object with arrays, and `plot(path)`: for images, a
            `deepapps.inference.image_explanation.ImageExplanation`, for texts a
            `deepapps.inference.text_explanation.TextExplanation`, for translations a
            `deepapps.inference.alignment.Alignment`.
        Raises: ValueError for an unknown target, and when the task cannot explain.
        """
        predictor, _ = self._predictor_for(None)
        with self._work.model_blamed(self):
            return self.task.explain(predictor, one_input, target)

    def evaluate(self, data=None, strategy=None, **answering):
        """The figures of the model on other data of the same kind.

        Args:
            data: As the task's `data` setting, or a source. None: the test split of the Run's own
                data.
            strategy: As in `predict`.
            **answering: As in `predict`.
        Raises: ValueError when the Run's own data are asked for and have changed since the
            training, are not there, or would have to be downloaded.
        """
        self._check_answering(answering)
        predictor, workers = self._predictor_for(strategy)
        task, source = self._own_test_split() if data is None else (self.task, data)
        if isinstance(source, str | os.PathLike):
            source = task.evaluation_source(source)
        if source is None:
            raise ValueError(f"{self.path}: the data have no test split; name data to evaluate on.")
        with self._work.model_blamed(self):
            return self._work.evaluate_model(
                task, predictor, source, self.training.batch_size, workers, **answering
            )

    def _own_test_split(self):
        """The test split, and the task that read it: a copy, for the model goes with what was
        learnt in training.
        """
        task = copy.copy(self.task)
        check_named_data(self.path, named_data(self.settings))
        splits = task.data()
        self.check_data(splits, ["test"])
        return task, splits.test

    def _predictor_for(self, strategy):
        """The `Predictor` of the model on a strategy, and the `Workers`; the last one asked for
        is kept.
        """
        model = vars(self).get("model")
        if self._asked is None or self._asked[0] != strategy or self._asked[1] is not model:
            asked = self._work.predictor_of(self, strategy)
            self._asked = strategy, vars(self).get("model"), *asked
        return self._asked[2:]

    def _check_answering(self, answering):
        """Raises ValueError for a setting of answers that the task has not, or that is out of
        range.
        """
        known = self.task.Answering.names()
        if answering and not known:
            raise ValueError(
                f"A Run of {self.name} has no setting {next(iter(answering))!r} of its answers."
            )
        check_keywords(answering, known)
        self.task.Answering(**answering)

    def report(self):
        """Writes `report/index.html` anew and returns its path."""
        from deepapps.reporting.report import write_report

        tidy(self.path)
        return write_report(self)

    @contextlib.contextmanager
    def held(self):
        """No other process trains into the folder while the block runs; it is made if it is not
        there.

        Raises: ValueError when another one does.
        """
        if self.versions is None and not self.is_named:
            self.path = claimed(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / "settings.json", self._mark, "Run"):
            yield

    @property
    def is_begun(self):
        """Whether all that the task learned from its data is in the folder, to go on with."""
        return self.versions is not None and (self.path / "data.json").exists()

    def check_data(self, splits, parts=("train", "validation", "test")):
        """Raises ValueError when parts of the data are not those of the training; a Run of 0.1
        does not tell.
        """
        path = self.path / "data.json"
        stored = read_json(path, FINGERPRINTS) if path.exists() else {}
        now = _fingerprints(splits, [part for part in parts if part in stored])
        for part in parts:
            if part in stored and stored[part] != now.get(part):
                raise ValueError(
                    f"{self.path}: the data have changed since the training: the {part} part was "
                    f"{stored[part]}, and now is {now.get(part, 'not there')}."
                )

    def start(self, splits):
        """Writes settings.json and what the task learned from its data: from here on the folder is
        a Run.

        A Run that stood there and is not gone on with is deleted first, other files are left alone.
        """
        if self.versions is None:
            self._clear()
            self.versions = self._work.versions()
        for last in ("report/index.html", "metrics.json", "examples.json"):
            (self.path / last).unlink(missing_ok=True)
        remove_unfinished(self.path)
        write_json(
            self.path / "settings.json",
            {
                "task": self.name,
                "settings": self.settings.as_dict(),
                "training": self.training.as_dict(),
                "seed": self.training.seed,
                "versions": self.versions,
            },
        )
        lines = [*splits.description.splitlines(), *splits.left_out]
        if lines:
            write_text(self.path / "data.txt", "".join(f"{line}\n" for line in lines))
        self.task.save(self.path)
        # The last file: where it stands, all that the task learned does, and the data are checked.
        path = self.path / "data.json"
        if not path.exists():
            write_json(path, _fingerprints(splits))

    def _clear(self):
        """Deletes the old Run but its settings.json, which stays until the new one replaces it:
        killed at any instant, the folder still counts as one of a Run.
        """
        for name in _FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        tasks = (self.task, *map(find_task, TASKS))
        for name in {*_FILES, *(name for task in tasks for name in task.files)}:
            (self.path / name).unlink(missing_ok=True)

    def write_history(self, history):
        """Writes history.jsonl."""
        write_text(
            self.path / "history.jsonl",
            "".join(json.dumps(storable(line)) + "\n" for line in history),
        )


def _fingerprints(splits, parts=("train", "validation", "test")):
    """`{part: fingerprint}` of the parts that are there and have one."""
    sources = {part: source for part, source in splits.sources.items() if part in parts}
    return {part: mark for part, source in sources.items() if (mark := fingerprint(source))}
