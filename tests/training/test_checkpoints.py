"""Checkpoints: whole or not there, and true to the bit."""

import logging

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from deepapps.distribution.workers import Workers
from deepapps.training.checkpoints import checkpoints, newest_checkpoint, save_checkpoint


def save(folder, step, value=1.0):
    return save_checkpoint(folder, 0, step, {"w": np.full(1000, value, "float32")}, {"step": step})


def test_comes_back_as_it_was(tmp_path):
    save_checkpoint(
        tmp_path,
        2,
        7,
        {"model/0": np.arange(3, dtype="float32")},
        {"best": None, "history": [{"loss": 0.1}]},
    )
    path, arrays, state = newest_checkpoint(tmp_path)
    assert path.name == "00002-000000007.npz"
    assert arrays["model/0"].tolist() == [0, 1, 2]
    assert state == {"best": None, "history": [{"loss": 0.1}]}


def test_the_newest_two_are_kept(tmp_path):
    for step in (9, 10, 100):
        save(tmp_path, step)
    assert [newest_checkpoint(tmp_path)[2]["step"], len(checkpoints(tmp_path))] == [100, 2]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "other"])
def test_a_damaged_one_is_passed_over_with_a_warning(damage, tmp_path, caplog):
    save(tmp_path, 1, value=1.0)
    newest = save(tmp_path, 2, value=2.0)
    content = newest.read_bytes()
    newest.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "flipped": content[:2000] + bytes([content[2000] ^ 1]) + content[2001:],
            "other": b"not a checkpoint at all",
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        _, arrays, state = newest_checkpoint(tmp_path)
    assert state == {"step": 1} and arrays["w"][0] == 1.0
    assert "is damaged" in caplog.text and newest.name in caplog.text


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full_disk(*arguments, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    assert newest_checkpoint(tmp_path)[2] == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["00000-000000001.npz"]


def test_nothing_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "absent") is None


def test_bfloat16_variables_come_back(tmp_path):
    import keras

    from deepapps.training.checkpoints import read_variables, write_variables

    workers = Workers(tf.distribute.get_strategy())
    variable = keras.Variable(np.array([1.5, 2.5]), dtype="bfloat16")
    save_checkpoint(tmp_path, 0, 0, read_variables(workers, {"v": variable}), {})
    variable.assign([0, 0])
    write_variables(workers, {"v": variable}, newest_checkpoint(tmp_path)[1])
    assert variable.numpy().astype(ml_dtypes.bfloat16).tolist() == [1.5, 2.5]


def test_one_that_does_not_fit_changes_nothing():
    import keras

    from deepapps.training.checkpoints import check_variables

    one, other = keras.Variable(np.ones(2)), keras.Variable(np.ones(3))
    arrays = {"one": np.zeros((1, 2), "float32"), "other": np.zeros((1, 4), "float32")}
    with pytest.raises(ValueError, match=r"other needs shape \(1, 3\)"):
        check_variables(Workers(tf.distribute.get_strategy()), {"one": one, "other": other}, arrays)
    assert one.numpy().tolist() == [1, 1]
