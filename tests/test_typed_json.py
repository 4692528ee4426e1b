"""JSON from a stranger: what is parsed, and what fits a type hint."""

import typing

import pytest

from deepapps import typed_json
from deepapps.typed_json import all_different, check_type, one_of, within


class Cat(typing.TypedDict):
    name: str
    lives: typing.Annotated[int, within(1, 9)]
    coat: typing.NotRequired[typing.Annotated[str, one_of("short", "long")] | None]
    weights: typing.NotRequired[list[float | None]]
    box: typing.NotRequired[tuple[int, int]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[NaN, Infinity, -Infinity, 1e999]", [None] * 4),
        ("9223372036854775807", 2**63 - 1),
        ('"\\ud83d\\ude00"', "😀"),
        ("[1, 2.5, true, null]", [1, 2.5, True, None]),
    ],
)
def test_parse(text, value):
    assert typed_json.parse(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9223372036854775808", "at most 64 bits"),
        ("9" * 100_000, "at most 64 bits, not 100000 digits"),
        ('["\\ud800"]', "UTF-8 cannot hold"),
        ("[1", "Expecting"),
    ],
)
def test_what_is_refused_as_it_is_parsed(text, words):
    with pytest.raises(ValueError, match=words):
        typed_json.parse(text)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "Tom", "lives": 9},
        {"name": "Tom", "lives": 1, "coat": None, "weights": [3, 4.5, None], "box": [1, 2]},
        {"name": "Tom", "lives": 2, "coat": "long", "owner": {"of": "any kind"}},
    ],
)
def test_what_fits(value):
    check_type(value, Cat)
    check_type({"a": [value]}, dict[str, list[Cat]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lives": None}, "lives must be a whole number. Received: None"),
        ({"lives": True}, "lives must be a whole number. Received: True"),
        ({"lives": 10}, "lives must be from 1 to 9. Received: 10"),
        ({"lives": 2.0}, "lives must be a whole number. Received: 2.0"),
        ({"name": ["Tom"]}, "name must be text. Received: ['Tom']"),
        ({"coat": "none"}, "coat must be one of short, long. Received: 'none'"),
        ({"coat": 3}, "coat must be text or null. Received: 3"),
        ({"weights": {}}, "weights must be a list. Received: {}"),
        ({"weights": [1, "2"]}, "weights[1] must be a number or null. Received: '2'"),
        ({"box": [1]}, "box must be a list of 2. Received: [1]"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change, message):
    with pytest.raises(ValueError) as error:
        check_type({"name": "Tom", "lives": 9} | change, Cat)
    assert str(error.value) == message


def test_what_is_missing_and_what_is_no_object():
    with pytest.raises(ValueError, match="cats.b has no 'lives'"):
        check_type({"b": {"name": "Tom"}}, dict[str, Cat], "cats")
    with pytest.raises(ValueError, match="it must be an object. Received: 'cat'"):
        check_type("cat", Cat)
    with pytest.raises(ValueError, match="a list of different names"):
        check_type(["a", "a"], typing.Annotated[list[str], all_different])
