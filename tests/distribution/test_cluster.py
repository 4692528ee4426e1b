"""What TF_CONFIG and Slurm say of a cluster, and which strategy that means."""

import json

import pytest

from deepapps.distribution.cluster import Cluster, find_cluster, resolve_strategy

VARIABLES = ("TF_CONFIG", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def describe(monkeypatch, jobs, job="worker", index=0):
    cluster = {name: [f"host{i}:2222" for i in range(count)] for name, count in jobs.items()}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})
    )


@pytest.mark.parametrize(
    "jobs, place, name, is_chief",
    [
        ({"worker": 2}, ("worker", 0), "multi-worker", True),
        ({"worker": 2}, ("worker", 1), "multi-worker", False),
        ({"chief": 1, "worker": 2}, ("chief", 0), "multi-worker", True),
        ({"chief": 1, "worker": 2}, ("worker", 0), "multi-worker", False),
        ({"chief": 1, "worker": 2, "ps": 1}, ("chief", 0), "parameter-server", True),
        ({"chief": 1, "worker": 2, "ps": 1}, ("ps", 0), "parameter-server", False),
    ],
)
def test_tf_config_tells_strategy_and_chief(jobs, place, name, is_chief, monkeypatch):
    describe(monkeypatch, jobs, *place)
    assert find_cluster() == Cluster(jobs, *place)
    assert find_cluster().is_chief is is_chief
    assert resolve_strategy("auto") == resolve_strategy(name) == name


def test_slurm_tells_the_workers(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("SLURM_PROCID", "2")
    assert find_cluster() == Cluster({"worker": 3}, "worker", 2, slurm=True)
    assert resolve_strategy("auto") == "multi-worker"


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["host:1"]}}'])
def test_one_process_is_no_cluster(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    assert find_cluster() is None
    assert [resolve_strategy(name) for name in ("auto", "mirrored:2")] == ["auto", "mirrored:2"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": 3}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"], "evaluator": ["b:1"]}, "task": {"type": "evaluator", '
        '"index": 0}}',
    ],
)
def test_a_wrong_tf_config_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must"):
        find_cluster()


@pytest.mark.parametrize("name", ["multi-worker", "parameter-server"])
def test_a_cluster_strategy_needs_a_cluster(name):
    with pytest.raises(ValueError, match="needs a cluster"):
        resolve_strategy(name)


@pytest.mark.parametrize("name", ["none", "mirrored", "mirrored:2", "parameter-server"])
def test_workers_may_not_train_each_for_itself(name, monkeypatch):
    describe(monkeypatch, {"worker": 2})
    with pytest.raises(ValueError, match="must be 'auto' or 'multi-worker'"):
        resolve_strategy(name)


@pytest.mark.parametrize(
    "name", ["mirored", "mirrored:0", "mirrored:x", "none:2", "multi-worker:2"]
)
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="Unknown strategy"):
        resolve_strategy(name)
