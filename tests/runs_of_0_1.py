"""The Runs in tests/data/runs-0.1: what the script that made them and their test share."""

import json
import math
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "data" / "runs-0.1"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/settings.json"))
WHOLE = 64  # numbers up to which an array is stored whole


def expected(name):
    """The content of the `expected.json` of a Run."""
    return json.loads((FOLDER / name / "expected.json").read_text(encoding="utf-8"))


def raw_inputs(task, inputs):
    """Inputs as `predict` takes them: strings, series `(T, F)`, or one array for the task
    `model`.
    """
    if task == "model":
        return np.array(inputs)
    return [value if isinstance(value, str) else np.array(value, "float32") for value in inputs]


def plain(value):
    """A value as JSON holds it: floats with 6 digits, a large array as its shape, two sums and
    some of its numbers.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist() if value.size <= WHOLE else _digest(value.astype("float64")))
    return round(value, 6) if isinstance(value, float) else value


def _digest(array):
    return {
        "shape": list(array.shape),
        "sum": array.sum(),
        "sum_of_sizes": np.abs(array).sum(),
        "some": array.ravel()[np.linspace(0, array.size - 1, WHOLE).astype(int)].tolist(),
    }


def assert_same(found, stored, where="value"):
    """Checks that a value is the stored one: floats within a ten-thousandth, dicts with the same
    keys or more.
    """
    found = plain(found)
    if isinstance(stored, dict):
        assert isinstance(found, dict) and stored.keys() <= found.keys(), where
        for key in stored:
            assert_same(found[key], stored[key], f"{where}[{key!r}]")
    elif isinstance(stored, list):
        assert isinstance(found, list) and len(found) == len(stored), where
        for index, pair in enumerate(zip(found, stored, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    elif isinstance(stored, float):
        assert isinstance(found, float | int) and math.isclose(
            found, stored, rel_tol=1e-4, abs_tol=1e-4
        ), f"{where} is {found}, and was {stored}"
    else:
        assert found == stored, f"{where} is {found!r}, and was {stored!r}"
