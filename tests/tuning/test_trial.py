"""How a machine is shared out to trials."""

import os

import pytest

from deepapps.distribution.pool import share_out
from deepapps.tuning.tuner import seed_of


@pytest.mark.parametrize(
    "visible, workers, shares",
    [
        ("4,5", 1, [None]),
        ("4,5,6", 2, ["4,6", "5"]),
        ("4,5", 3, ["4", "5", "4"]),
        ("", 2, [None, None]),
    ],
)
def test_gpus_are_shared_out(visible, workers, shares, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [slot.gpus for slot in share_out(workers)] == shares


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert [slot.threads for slot in share_out(3)] == [2, 2, 2]
    assert share_out(1)[0].threads == 0 and share_out(9)[0].threads == 1
    assert share_out(2, threads=1)[0].threads == 1


def test_seeds_differ_and_stay():
    assert seed_of(0, 7, 0) == seed_of(0, 7, 0)
    assert len({seed_of(s, t, r) for s in range(3) for t in range(9) for r in range(3)}) == 81
