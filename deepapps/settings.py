"""Settings: frozen dataclasses whose fields carry their range and their help text.

A setting is declared once, `epochs: int = setting(10, "Passes over the data.", minimum=1)`; the
Python keyword, the command-line flag, the check and the documentation all come from that line.
Nothing here imports TensorFlow, so that `deepapps --help` is instant.
"""

import dataclasses
import difflib
import json
import math
import os
import types
import typing


def setting(default, help, *, minimum=None, maximum=None, above=None, choices=None):
    """A field of a `Settings` class.

    Args:
        default: Value where the user gives none.
        help: One sentence, with the unit, for the command line and the docs.
        minimum, maximum: Inclusive bounds. Default to none.
        above: Exclusive lower bound. Defaults to none.
        choices: The values allowed, or None for any.
    """
    limits = {"minimum": minimum, "maximum": maximum, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata={"help": help, **limits})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every settings class: checks its values as it is made.

    Raises: ValueError when a value has the wrong type or lies outside its range.
    """

    def __post_init__(self):
        allowed = types_of(type(self))
        for field in dataclasses.fields(self):
            value = _checked(field, allowed[field.name], getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def names(cls):
        """The names of all settings, in their order."""
        return [field.name for field in dataclasses.fields(cls)]

    def as_dict(self):
        """The settings as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    def changed(self, defaults=None):
        """The settings that differ from those of `defaults`, an instance; from the class's own where that is None."""
        plain = (type(self)() if defaults is None else defaults).as_dict()
        return {name: value for name, value in self.as_dict().items() if value != plain[name]}


def types_of(settings_class):
    """The types each setting allows, as `{name: (type, ...)}`; NoneType among them where None is allowed."""
    hints = typing.get_type_hints(settings_class)
    unions = (typing.Union, types.UnionType)
    return {
        name: typing.get_args(hint) if typing.get_origin(hint) in unions else (hint,)
        for name, hint in hints.items()
    }


def close_names(name, known):
    """The end of an error line about an unknown name: the close ones, and all where they are few."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    return hint + (f" Known: {', '.join(known)}." if len(known) <= 12 or not close else "")


def check_keywords(keywords, known):
    """Raises ValueError for the first keyword that no setting has, and names the close ones."""
    for name in keywords:
        if name not in known:
            raise ValueError(f"Unknown setting {name!r}.{close_names(name, known)}")


def read_settings(path):
    """Reads a JSON file of settings, `{"name": value, ...}`."""
    try:
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON settings ({error}).") from None
    if not isinstance(settings, dict):
        raise ValueError(f'{path}: must hold one JSON object, {{"setting": value, ...}}.')
    return settings


def _checked(field, allowed, value):
    """The value of a field in its own type, or a ValueError that states the rule and the value."""
    if value is None and type(None) in allowed:
        return None
    value = _plain(value)
    if float in allowed and int not in allowed and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    fits = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
    if not fits:
        names = " or ".join(kind.__name__.replace("NoneType", "None") for kind in allowed)
        raise ValueError(f"`{field.name}` must be {names}. Received: {field.name}={value!r}")
    choices = field.metadata["choices"]
    if choices and isinstance(value, str) and value not in choices:
        hint = close_names(value, choices)
        raise ValueError(f"Unknown {field.name.replace('_', ' ')} {value!r}.{hint}")
    _check_range(field, value)
    return value


def _plain(value):
    """A value as JSON gives it back: NumPy scalars as numbers, paths as text, numbers as keys of a dict."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if isinstance(value, dict):
        return {int(k) if isinstance(k, str) and k.isdecimal() else k: v for k, v in value.items()}
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _check_range(field, value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, most, above = (field.metadata[limit] for limit in ("minimum", "maximum", "above"))
    rules = {
        f"at least {least}": least is None or value >= least,
        f"at most {most}": most is None or value <= most,
        f"greater than {above}": above is None or value > above,
        "finite": isinstance(value, int) or math.isfinite(value),
    }
    for rule, kept in rules.items():
        if not kept:
            raise ValueError(f"`{field.name}` must be {rule}. Received: {field.name}={value}")
