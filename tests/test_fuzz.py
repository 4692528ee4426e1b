"""A few of the cases of `fuzz.py`, which runs thousands: no command ends in anything but its work
or one line.
"""

import fuzz
import pytest

FEW = [(kind, number) for kind in ("runs", "files", "settings", "flags") for number in range(5)]


def assert_handled(kind, number, seed):
    case, result, fault = fuzz.tried(kind, number, seed)
    again = f"python tests/fuzz.py --kind {kind} --seed {seed} --only {number}"
    assert not fault, f"{fault}: {again}\n{case}\n{result.err[-1000:]}"


@pytest.mark.parametrize("kind, number", FEW)
def test_a_few_cases(kind, number):
    assert_handled(kind, number, seed=1)


@pytest.mark.slow
def test_hundreds_of_cases():
    for kind, number in fuzz.fuzz_cases.kinds_of(300):
        assert_handled(kind, number, seed=2)


def test_what_is_mishandled_is_found(tmp_path):
    case = fuzz.fuzz_cases.Case(["predict", "run", "x"], "a run")
    for status, err, fault in (
        (1, "deepapps: run: x\n", "status 1"),
        (-9, "", "status -9"),
        (2, "", "does not end with one line"),
        (2, "deepapps: a\ndeepapps: run\n", "does not end with one line"),
        (2, "deepapps: run: 'x' object has no attribute 'y'\n", "says 'object has no attribute'"),
        (2, "Traceback (most recent call last):\ndeepapps: run: x\n", "says 'Traceback'"),
        (2, f"deepapps: run: {'x' * 1000}\n", "says 1015 characters, 1 lines"),
        (2, "deepapps: run: \x1b[31m\n", "says what cannot be printed"),
        (2, "deepapps: it is damaged\n", "names no file"),
        (2, "deepapps: run/labels.json: is damaged\n", ""),
        (0, "", ""),
    ):
        assert fuzz.judged(case, fuzz.Result(status, "", err)) == fault
