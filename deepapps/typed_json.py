"""JSON that may come from a stranger: parsed, and compared with a type hint, in one place."""

import json
import math
import re
import types
import typing

_UNIONS = (typing.Union, types.UnionType)
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_WORDS |= {list: "a list", tuple: "a list", dict: "an object", type(None): "null"}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str):
    """The value of a JSON text. NaN and infinities, which JSON does not have, become None.

    Raises: ValueError for what is no JSON, is nested too deeply, or holds whole numbers of more
        than 64 bits or text that UTF-8 cannot hold.
    """
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_nothing)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds text that UTF-8 cannot hold") from None


def _integer(digits):
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"whole numbers must have at most 64 bits, not {len(digits)} digits")
    return int(digits)


def _number(digits):
    number = float(digits)
    return number if math.isfinite(number) else None


def _nothing(name):
    return None


def check_type(value, hint, name: str = "it") -> None:
    """Raises ValueError, which names the place, for a JSON value that does not fit a type hint.

    Args:
        value: The value, as `parse` returns it.
        hint: `str`, `int`, `float` (whole numbers too), `bool`, `None`, `object` (anything),
            `list[X]`, `tuple[X, Y]` (a list of just these), `dict[str, X]`, a union of them, or a
            `TypedDict`, of which further keys are let pass. `typing.Annotated[X, check]` also calls
            `check(value)`, which returns the rule that is broken, or None.
        name: What to call the value.
    """
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is typing.NotRequired:
        check_type(value, parts[0], name)
    elif kind is typing.Annotated:
        check_type(value, parts[0], name)
        if rule := parts[1](value):
            raise ValueError(f"{name} must be {rule}. Received: {value!r:.80}")
    elif kind in _UNIONS:
        fitting = [part for part in parts if _is_of(value, part)]
        if not fitting:
            _refuse(value, name, *parts)
        check_type(value, fitting[0], name)
    elif kind is not object:
        if not _is_of(value, hint):
            _refuse(value, name, hint)
        _check_items(value, hint, kind, parts, name)


def _check_items(value, hint, kind, parts, name):
    """Checks what is in a list or an object."""
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        if missing := sorted(hint.__required_keys__ - value.keys()):
            raise ValueError(f"{name} has no {missing[0]!r}")
        items = [(key, value[key], hints[key]) for key in hints if key in value]
    elif kind is tuple:
        if len(value) != len(parts):
            raise ValueError(f"{name} must be a list of {len(parts)}. Received: {value!r:.80}")
        items = [(index, *pair) for index, pair in enumerate(zip(value, parts, strict=True))]
    elif kind is list and parts:
        items = [(index, item, parts[0]) for index, item in enumerate(value)]
    elif kind is dict and parts:
        items = [(key, item, parts[1]) for key, item in value.items()]
    else:
        return
    for key, item, item_hint in items:
        if item_hint is not object:
            check_type(item, item_hint, _place(name, key))


def _place(name, key):
    """`class_names[3]`, `per_class.cat.f1`."""
    part = f"[{key}]" if isinstance(key, int) else f".{key:.40}"
    return part.removeprefix(".") if name == "it" else name + part


def _is_of(value, hint):
    """Whether a value is of the kind of a hint, whatever is in it."""
    kind = _kind(hint)
    if isinstance(value, bool):
        return kind in (bool, object)
    allowed = {float: int | float, tuple: list}.get(kind, kind)
    return isinstance(value, allowed)


def _kind(hint):
    if typing.get_origin(hint) is typing.Annotated:
        return _kind(typing.get_args(hint)[0])
    kind = dict if typing.is_typeddict(hint) else typing.get_origin(hint) or hint
    return type(None) if kind is None else kind


def _refuse(value, name, *hints):
    kinds = " or ".join(dict.fromkeys(_WORDS[_kind(hint)] for hint in hints))
    raise ValueError(f"{name} must be {kinds}. Received: {value!r:.80}")


def within(least: float, most: float):
    """A check of `typing.Annotated`: the number lies between these, both included."""
    return lambda value: None if least <= value <= most else f"from {least} to {most}"


def one_of(*choices):
    """A check of `typing.Annotated`: the value is one of these."""
    return lambda value: None if value in choices else f"one of {', '.join(map(str, choices))}"


def all_different(values: list) -> str | None:
    """A check of `typing.Annotated`: no value stands twice in the list, and there is one."""
    return None if values and len(set(values)) == len(values) else "a list of different names"
