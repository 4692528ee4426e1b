"""Settings as flags of a command: one for each, with its type, its help and its default; and
whole commands.
"""

import dataclasses

import click

from deepapps.settings import types_of
from deepapps.tasks import TASKS, find_task


def answering_options():
    """A flag for every `Answering` setting that a task has; tasks that share one share the flag."""
    found = {}
    for task in map(find_task, TASKS):
        for option in options_of(task.Answering):
            found.setdefault(option.name, (option, []))[1].append(task.name)
    for option, tasks in found.values():
        option.help = f"Of {' and '.join(tasks)}: {option.help}"
        yield option


def options_of(kind, defaults=None):
    """A flag for every setting of a class; `defaults` is an instance where they are not the
    class's own.
    """
    types = types_of(kind)
    for field in dataclasses.fields(kind):
        default = getattr(defaults, field.name) if defaults else field.default
        yield _option(
            field.name,
            types[field.name],
            field.metadata["help"],
            field.metadata["choices"],
            default,
        )


def _option(name, types, text, choices, default):
    """The flag of a setting. A flag that is not given is None, so that a resume knows."""
    flag = f"--{name.replace('_', '-')}"
    if bool in types:
        shown = {True: "yes", False: "no", None: ""}.get(default, default)
        flag, kind = f"{flag}/--no-{flag[2:]}", click.BOOL
    else:
        shown = "" if default is None else default
        kind = next(kind for name, kind in _TYPES.items() if name in types)
        kind = _Pairs() if dict in types and not isinstance(default, str) else kind
        kind = _NumberOrName() if {int, str} <= set(types) else kind
        kind = _Seconds() if name.endswith("time_limit") else kind
    text += f" [{', '.join(choices)}]" if choices and len(choices) > 1 else ""
    text += f" [default: {shown}]" if shown != "" else ""
    return click.Option([flag], type=kind, default=None, help=text)


class _NumberOrName(click.ParamType):
    """A whole number, or else a name such as `auto`."""

    name = "number or name"

    def convert(self, value, param, ctx):
        try:
            return int(value)
        except ValueError:
            return value


class _Seconds(click.ParamType):
    """A duration, `90`, `90s`, `30m` or `1.5h`, in seconds."""

    name = "duration"

    def convert(self, value, param, ctx):
        unit = {"s": 1, "m": 60, "h": 3600}.get(value[-1:])
        try:
            return float(value[:-1] if unit else value) * (unit or 1)
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 90s, 30m or 1.5h", param, ctx)


class _Pairs(click.ParamType):
    """`0=2.5,3=0.5` as a dict of numbers, or else a name such as `balanced`."""

    name = "class=weight,... or name"

    def convert(self, value, param, ctx):
        if "=" not in value:
            return value
        try:
            pairs = (pair.split("=") for pair in value.split(","))
            return {int(key): float(number) for key, number in pairs}
        except ValueError:
            self.fail(f"{value!r} is not of the form 0=2.5,3=0.5", param, ctx)


_TYPES = {str: click.STRING, float: click.FLOAT, int: click.INT}  # the first that fits
