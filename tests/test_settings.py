"""Settings: types, ranges, choices, close names, and the way through JSON and back."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from deepapps.settings import (
    Settings,
    TrainingSettings,
    check_keywords,
    close_names,
    read_settings,
    setting,
    types_of,
)
from deepapps.tasks import TASKS, find_task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bread(Settings):
    loaves: int = setting(2, "Number of loaves.", minimum=1, maximum=7)
    salt: float = setting(0.02, "Share of salt.", minimum=0)
    heat: float | None = setting(None, "Degrees; default: the oven's own.", above=0)
    flour: str = setting("rye", "Kind of flour.", choices=("rye", "wheat", "spelt"))
    shop: str = setting("mill", "Where from.")
    sliced: bool = setting(False, "Whether to slice it.")
    minutes: int | str = setting("auto", "Time in the oven.", minimum=5, choices=("auto",))
    crust: bool | str = setting("auto", "Whether it has a crust.", choices=("auto",))
    prices: dict | None = setting(None, "Price of each size.")


def test_defaults_and_values():
    assert Bread().as_dict() == {
        "loaves": 2,
        "salt": 0.02,
        "heat": None,
        "flour": "rye",
        "shop": "mill",
        "sliced": False,
        "minutes": "auto",
        "crust": "auto",
        "prices": None,
    }
    assert Bread(loaves=7, heat=210, minutes=5, crust=False, flour="spelt").heat == 210.0
    assert Bread.names() == [field.name for field in dataclasses.fields(Bread)]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"loaves": 0}, "`loaves` must be at least 1. Received: loaves=0"),
        ({"loaves": 8}, "`loaves` must be at most 7. Received: loaves=8"),
        ({"loaves": 1.0}, "`loaves` must be int. Received: loaves=1.0"),
        ({"loaves": "2"}, "`loaves` must be int. Received: loaves='2'"),
        ({"loaves": True}, "`loaves` must be int. Received: loaves=True"),
        ({"loaves": None}, "`loaves` must be int. Received: loaves=None"),
        ({"salt": -1e-9}, "`salt` must be at least 0. Received: salt=-1e-09"),
        ({"salt": float("nan")}, "`salt` must be at least 0. Received: salt=nan"),
        ({"salt": float("inf")}, "`salt` must be finite. Received: salt=inf"),
        ({"salt": None}, "`salt` must be float. Received: salt=None"),
        ({"heat": 0}, "`heat` must be greater than 0. Received: heat=0.0"),
        ({"heat": "hot"}, "`heat` must be float or None. Received: heat='hot'"),
        (
            {"flour": "weat"},
            "Unknown flour 'weat'. Did you mean 'wheat'? Known: rye, spelt, wheat.",
        ),
        ({"flour": 3}, "`flour` must be str. Received: flour=3"),
        ({"sliced": 1}, "`sliced` must be bool. Received: sliced=1"),
        ({"sliced": "yes"}, "`sliced` must be bool. Received: sliced='yes'"),
        ({"minutes": 4}, "`minutes` must be at least 5. Received: minutes=4"),
        ({"minutes": "aut"}, "Unknown minutes 'aut'. Did you mean 'auto'? Known: auto."),
        ({"crust": 1}, "`crust` must be bool or str. Received: crust=1"),
        ({"prices": [1]}, "`prices` must be dict or None. Received: prices=[1]"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_with_its_rule(given, message):
    with pytest.raises(ValueError) as error:
        Bread(**given)
    assert str(error.value) == message


def test_numpy_scalars_and_paths_become_plain_values():
    bread = Bread(
        loaves=np.int64(3),
        salt=np.float32(0.5),
        sliced=np.bool_(True),
        flour=np.str_("rye"),
        shop=pathlib.Path("old/mill"),
        minutes=np.array(9),
    )
    values = [bread.loaves, bread.salt, bread.sliced, bread.flour, bread.shop, bread.minutes]
    assert values == [3, 0.5, True, "rye", "old/mill", 9]
    assert [type(value) for value in values] == [int, float, bool, str, str, int]
    with pytest.raises(ValueError, match="`loaves` must be int"):
        Bread(loaves=np.float64(3))
    with pytest.raises(ValueError, match="`loaves` must be at least 1"):
        Bread(loaves=np.int8(0))


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Bread().loaves = 3
    assert dataclasses.replace(Bread(), loaves=3).loaves == 3
    with pytest.raises(ValueError, match="at most 7"):
        dataclasses.replace(Bread(), loaves=30)


def test_through_json_and_back():
    bread = Bread(heat=200.5, prices={0: 1.5, 12: 2.0}, minutes=45, crust=True)
    assert Bread(**json.loads(json.dumps(bread.as_dict()))) == bread
    for name in TASKS:
        for kind in (find_task(name).Settings, TrainingSettings):
            assert kind(**json.loads(json.dumps(kind().as_dict()))) == kind()
    weights = TrainingSettings(class_weight={0: 2.0, 3: 0.5})
    assert TrainingSettings(**json.loads(json.dumps(weights.as_dict()))) == weights


def test_every_setting_says_what_it_is():
    for kind in (*(find_task(name).Settings for name in TASKS), TrainingSettings):
        types = types_of(kind)
        for field in dataclasses.fields(kind):
            assert field.metadata["help"].endswith("."), field.name
            assert types[field.name], field.name


def test_types_of_unions():
    assert types_of(Bread)["heat"] == (float, type(None))
    assert types_of(Bread)["loaves"] == (int,)


def test_close_names():
    known = ["epochs", "batch_size"]
    assert close_names("epoch", known) == " Did you mean 'epochs'? Known: batch_size, epochs."
    assert close_names("zzz", known) == " Known: batch_size, epochs."
    many = [f"setting_{number}" for number in range(20)]
    assert "Known" not in close_names("setting_1", many)
    assert "Known" in close_names("zzz", many)


def test_an_unknown_keyword_is_named():
    check_keywords({"loaves": 1}, Bread.names())
    with pytest.raises(ValueError, match="^Unknown setting 'loave'. Did you mean 'loaves'"):
        check_keywords({"loave": 1}, Bread.names())


def test_read_settings(tmp_path):
    path = tmp_path / "best.json"
    path.write_text('{"epochs": 3, "network": "mlp"}')
    assert read_settings(path) == {"epochs": 3, "network": "mlp"}
    for content, message in (
        ("[1, 2]", "must hold one JSON object"),
        ('{"epochs": 3', "is not valid JSON"),
        ("", "is not valid JSON"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message) as error:
            read_settings(path)
        assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    path.write_bytes(b'{"data": "caf\xe9"}')
    with pytest.raises(ValueError, match=r"is not UTF-8 \(byte 0xe9\)"):
        read_settings(path)
    for encoding in ("utf-8-sig", "utf-16"):  # as Notepad and PowerShell write them
        path.write_text('{"data": "größer"}\r\n', encoding=encoding)
        assert read_settings(path) == {"data": "größer"}
    with pytest.raises(ValueError, match=r"nowhere.json: .*No such file"):
        read_settings(tmp_path / "nowhere.json")
