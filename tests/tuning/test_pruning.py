"""Pruners against their definitions."""

import numpy as np
import pytest

from deepapps.tuning.pruning import by_halving, by_median


def test_the_median_rule_waits_for_five_and_then_cuts_the_lower_half():
    others = [[value, value + 1] for value in range(4)]
    assert not by_median(1, -1, others)
    others.append([4, 5])
    assert by_median(1, 1.9, others) and not by_median(1, 2, others)
    assert by_median(2, 2.9, others) and not by_median(2, 3, others)
    assert not by_median(3, -1, others)  # nobody has come so far


def test_the_best_so_far_counts():
    others = [[9, 1]] * 5
    assert by_median(2, 8, others) and not by_median(2, 9, others)


@pytest.mark.parametrize(
    "epoch, is_rung", [(1, True), (2, True), (3, False), (4, True), (6, False), (8, True)]
)
def test_halving_looks_at_its_rungs_alone(epoch, is_rung):
    assert by_halving(epoch, 0.0, [[1.0] * 12] * 5) == is_rung


def test_halving_keeps_the_best_half():
    values = np.random.default_rng(0).permutation(30) / 30
    others = [[value] for value in values]
    kept = sum(not by_halving(1, value, [o for o in others if o[0] != value]) for value in values)
    assert kept == 15
    assert not by_halving(1, 0.5, [])  # the first one goes on
