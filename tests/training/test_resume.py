"""Killed at any instant and resumed, a training ends with the same bits."""

import random
import signal
import time

import processes
import pytest
import resume_scenario as scenario

POINTS = (
    "in a call",
    "after a call",
    "in validation",
    "while a checkpoint is written",
    "between write and rename",
    "after the rename",
    "before another file is renamed",
    "after another file is renamed",
    "at an epoch's end",
)
FEW = [
    ("in a call", 6),
    ("in validation", 2),
    ("while a checkpoint is written", 7),
    ("between write and rename", 5),
]
# once or little more an epoch, of which there are four
RARE = ("in validation", "at an epoch's end")
CHOSEN = [
    (point, count) for point in POINTS for count in ((1, 3, 4) if point in RARE else (2, 4, 9))
]


@pytest.fixture(scope="module", params=["none", "mirrored:2"])
def undisturbed(request, tmp_path_factory):
    """The strategy, and the result of a training that nothing has killed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert processes.run(scenario.train, folder, request.param) == 0
    return request.param, scenario.result(folder)


def kill_and_resume(folder, strategy, kill):
    assert processes.run(scenario.train, folder, strategy, kill) == -signal.SIGKILL
    assert processes.run(scenario.train, folder, strategy) == 0


@pytest.mark.parametrize("kill", FEW, ids=str)
def test_killed_at_a_chosen_point(kill, undisturbed, tmp_path):
    strategy, expected = undisturbed
    kill_and_resume(tmp_path / "run", strategy, kill)
    scenario.assert_same(scenario.result(tmp_path / "run"), expected)
    assert scenario.first_steps(tmp_path / "run")[-1] > 0, "the resumed run began anew"


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill for kill in CHOSEN if kill not in FEW], ids=str)
def test_killed_at_any_chosen_point(kill, undisturbed, tmp_path):
    strategy, expected = undisturbed
    kill_and_resume(tmp_path / "run", strategy, kill)
    scenario.assert_same(scenario.result(tmp_path / "run"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_random_instants(seed, undisturbed, tmp_path):
    strategy, expected = undisturbed
    instants = random.Random(seed)
    for _ in range(3):
        process = processes.start(scenario.train, tmp_path / "run", strategy)
        time.sleep(instants.uniform(0.5, 8))
        process.kill()
        process.join()
    assert processes.run(scenario.train, tmp_path / "run", strategy) == 0
    scenario.assert_same(scenario.result(tmp_path / "run"), expected)
