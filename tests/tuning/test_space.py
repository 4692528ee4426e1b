"""Spaces: what they may say, and what is refused before anything is trained."""

import keras_tuner
import pytest
from tuning_task import Points, PointsSettings

from deepapps.tasks import TASKS, find_task
from deepapps.tuning.space import Space, load_space


def declared(space):
    """The hyperparameters that a space asks for."""
    hp = keras_tuner.HyperParameters()
    space(hp)
    return hp


def test_a_fixed_setting_leaves_the_space():
    hp = declared(Space(Points.space, Points(), {"units": 6, "epochs": 2}))
    assert type(hp.space[0]).__name__ == "Fixed"
    assert Space(Points.space, Points(), {"units": 6})(hp)["units"] == 6
    assert len(Space(Points.space, Points(), {"epochs": 2})(hp)) == 4


def test_the_settings_of_the_task_itself_hold_where_the_space_gives_none():
    task = Points(PointsSettings(units=7, trouble="hang"))
    settings = Space(lambda hp: {"units": 5}, task, {})(keras_tuner.HyperParameters())
    assert settings == {"units": 5, "trouble": "hang"}


def test_none_means_the_default_and_conditions_hold():
    def space(hp):
        hp.Choice("network", ["a", "b"])
        with hp.conditional_scope("network", ["b"]):
            return {"units": hp.Int("units", 2, 4)}

    assert Space(space, Points(), {})(keras_tuner.HyperParameters()) == {}
    hp = keras_tuner.HyperParameters()
    hp.values["network"] = "b"
    assert Space(space, Points(), {})(hp) == {"units": 2}


@pytest.mark.parametrize(
    "space, words",
    [
        (lambda hp: {"unit": 3}, "Unknown setting 'unit'. Did you mean 'units'"),
        (
            lambda hp: {"units": hp.Int("units", 0, 4)},
            "`units` must be at least 1. Received: units=0",
        ),
        (
            lambda hp: {"optimizer": hp.Choice("optimizer", ["adam", "adamm"])},
            "Unknown optimizer 'adamm'",
        ),
        (lambda hp: 3, "must return a dict"),
    ],
)
def test_a_space_that_cannot_be_is_refused(space, words):
    space = Space(space, Points(), {})
    with pytest.raises(ValueError, match=words):
        space.check(declared(space))


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_a_space_whose_values_it_takes(name):
    kind = find_task(name)
    task = kind(kind.Settings(data="sample"))
    space = Space(task.space, task, {})
    hp = declared(space)
    assert {one.name for one in hp.space} >= {"network", "learning_rate", "batch_size"}
    space.check(hp)


def test_a_task_without_a_space_says_so():
    import deepapps

    with pytest.raises(ValueError, match="--space FILE"):
        deepapps.Task.space(None)


@pytest.mark.parametrize(
    "text, words",
    [
        ("def space(hp)\n", r"space.py, line 1: expected ':'"),
        ("import math\n\nmath.sqrt(-1)\n", r"space.py, line 3 \(math.sqrt\(-1\)\): ValueError: .*"),
        ("x = 1\n", r"defines no function `space\(hp\)`"),
    ],
)
def test_a_file_that_fails_names_its_line(tmp_path, text, words):
    path = tmp_path / "space.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_space(path)


def test_a_function_of_a_file_that_fails_names_its_line(tmp_path):
    path = tmp_path / "space.py"
    path.write_text("def space(hp):\n    return {'units': hp.Integer('units')}\n")
    space = load_space(path)
    with pytest.raises(ValueError, match=r"space.py, line 2 .*AttributeError"):
        space(keras_tuner.HyperParameters())
    with pytest.raises(ValueError, match="cannot be read"):
        load_space(tmp_path / "none.py")
