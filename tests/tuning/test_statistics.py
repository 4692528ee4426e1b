"""What is computed from the trials, against definitions."""

import numpy as np
import pytest

import deepapps
from deepapps.tuning.importance import columns_of, importances
from deepapps.tuning.journal import Row
from deepapps.tuning.search_settings import Objective, objectives_of
from deepapps.tuning.statistics import check_figures, mean_and_error, pareto_front


def test_nobody_beats_the_front():
    random = np.random.default_rng(0)
    points = random.integers(6, size=(40, 3))
    front = pareto_front(points.tolist(), (1, -1, 1))
    signed = points * (1, -1, 1)
    for place, point in enumerate(signed):
        beaten = any((other >= point).all() and (other > point).any() for other in signed)
        assert (place in front) != beaten


def test_the_setting_that_matters_is_found():
    random = np.random.default_rng(0)
    rows = [
        Row(
            str(i),
            {"rate": 10.0 ** random.uniform(-4, -1), "units": int(random.integers(9)), "name": "x"},
        )
        for i in range(40)
    ]
    space = [
        {"class_name": "Float", "config": {"name": "rate", "sampling": "log"}},
        {"class_name": "Int", "config": {"name": "units"}},
        {
            "class_name": "Choice",
            "config": {"name": "name", "values": ["x", "y"], "ordered": False},
        },
    ]
    columns = columns_of(rows, space)
    assert [column.name for column in columns] == ["rate", "units"]
    assert np.allclose(columns[0].numbers, [np.log10(row.values["rate"]) for row in rows])
    scores = [-((np.log10(row.values["rate"]) + 2) ** 2) for row in rows]
    found = importances(columns, scores)
    assert list(found) == ["rate", "units"]
    (rate, error), (units, _) = found.values()
    assert rate > 0.5 and abs(units) < 0.1 and error > 0
    assert importances(columns, [1.0] * 40) == {} and importances(columns, scores[:5]) == {}


def test_mean_and_standard_error():
    assert mean_and_error([1.0]) == (1.0, None)
    mean, error = mean_and_error([1.0, 2.0, 3.0, 6.0])
    assert mean == 3 and np.isclose(error, np.std([1, 2, 3, 6], ddof=1) / 2)


def test_objectives():
    class task(deepapps.Task):
        directions = {"missed": "min"}

    task = task()
    assert objectives_of(None, task) == [Objective("val_accuracy", "max")]
    assert objectives_of("f1,-parameters, -loss", task) == [
        Objective("val_f1", "max"),
        Objective("parameters", "min"),
        Objective("val_loss", "min"),
    ]
    assert objectives_of("mae,latency,missed,+gained", task) == [
        Objective("val_mae", "min"),
        Objective("latency", "min"),
        Objective("val_missed", "min"),
        Objective("val_gained", "max"),
    ]
    for text in ("accuracy,accuracy", "accuracy,", "-accuracy", "+loss", "+missed"):
        with pytest.raises(ValueError, match="`objective`"):
            objectives_of(text, task)
    with pytest.raises(ValueError, match="which way is 'gained' better"):
        objectives_of("gained", task)
    with pytest.raises(ValueError, match="Unknown objective 'acuracy'. Did you mean 'accuracy'"):
        check_figures([Objective("val_acuracy", "max")], {"val_accuracy": 1, "parameters": 2})
