"""A space: a function `hp -> settings`, such as `Task.space`, checked before anything is
trained.
"""

import dataclasses
import linecache
import traceback
import types

from deepapps.files import path_of
from deepapps.settings import TrainingSettings, split_settings


@dataclasses.dataclass(frozen=True)
class Space:
    """The settings of a trial from its hyperparameters.

    Args:
        function: `hp -> settings`, a dict; None in it means the task's own.
        task: The `Task` that is searched: its settings hold where the space gives none.
        fixed: Settings of the task and the training that no trial changes; where the function asks
            for a hyperparameter of that name, it gets this value.
    """

    function: object
    task: object
    fixed: dict

    def __call__(self, hp):
        """The settings, `{name: value}`.

        Args:
            hp: A `keras_tuner.HyperParameters`.
        Raises: ValueError when the function gives no dict, an unknown setting or one out of range.
        """
        found = self.function(_Narrowed(hp, self.fixed))
        if not isinstance(found, dict):
            raise ValueError(f"A space must return a dict of settings. Received: {found!r}")
        given = {name: value for name, value in found.items() if value is not None}
        settings = self.task.settings.changed() | given | self.fixed
        self.split(settings)
        return settings

    def split(self, settings):
        """The task with its settings, and the settings of the training.

        Raises: ValueError as for a call.
        """
        kind = type(self.task)
        own, training = split_settings(kind, settings)
        TrainingSettings(**{**kind.training, **training})
        return kind(kind.Settings(**{**self.task.settings.as_dict(), **own})), training

    def check(self, space):
        """Tries the ends of every range and every choice.

        Args:
            space: The `keras_tuner.HyperParameters` that hold all of the space.
        Raises: ValueError for the first that gives an impossible setting.
        """
        for one in space.space:
            for value in _ends(one):
                hp = space.copy()
                for condition in one.conditions:
                    hp.values[condition.name] = condition.values[0]
                hp.values[one.name] = value
                hp.ensure_active_values()
                try:
                    self(hp)
                except ValueError as error:
                    raise ValueError(f"The space with {one.name}={value!r}: {error}") from None


class _Narrowed:
    """Hyperparameters of which some are fixed: they stay in the space, with that value alone."""

    def __init__(self, hp, fixed):
        self._hp, self._fixed = hp, fixed

    def __getattr__(self, name):
        member = getattr(self._hp, name)
        if name not in ("Int", "Float", "Choice", "Boolean", "Fixed"):
            return member

        def declare(name, *arguments, **options):
            if not isinstance(self._fixed.get(name), bool | int | float | str):
                return member(name, *arguments, **options)
            parents = {
                key: options[key] for key in ("parent_name", "parent_values") if key in options
            }
            return self._hp.Fixed(name, self._fixed[name], **parents)

        return declare


def _ends(hyperparameter):
    """The values of a hyperparameter that a setting may refuse: all choices, or the ends of the
    range.
    """
    if hasattr(hyperparameter, "min_value"):
        return hyperparameter.min_value, hyperparameter.max_value
    return tuple(hyperparameter.values)


def load_space(path):
    """The function `space` of a Python file.

    Raises: ValueError when it cannot be read or run, with the line, or defines no `space`.
    """
    path = path_of(path)
    try:
        text = path.read_bytes()  # a mark of its encoding may stand first
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}).") from None
    module = types.ModuleType("space")
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}.") from None
    except Exception as error:
        raise ValueError(f"{_place(error, path)}: {type(error).__name__}: {error}") from None
    if not callable(getattr(module, "space", None)):
        raise ValueError(f"{path}: defines no function `space(hp)`.")

    def space(hp):
        try:
            return module.space(hp)
        except Exception as error:
            raise ValueError(f"{_place(error, path)}: {type(error).__name__}: {error}") from None

    return space


def _place(error, path):
    """File and line of the file's own code where an error came up."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return f"{path}, line {lines[-1]} ({linecache.getline(str(path), lines[-1]).strip()})"
