"""Several workers learn what one process learns; each reads its own share; the first alone
writes.
"""

import numpy as np
import pytest
import worker_scenario as scenario

import deepapps
from deepapps.data.order import index_batches, share_of
from deepapps.training.feeds import make_feed

CASES = [
    ("mlp", {}),
    ("batch norm", {}),
    ("mlp", {"batch_size": 8, "gradient_accumulation_steps": 4, "epochs": 4, "as_rows": True}),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The Runs of all cases in one process."""
    folder = tmp_path_factory.mktemp("alone")
    return [
        scenario.train(folder / str(i), name, "none", **settings)
        for i, (name, settings) in enumerate(CASES)
    ]


def assert_equal(run, other):
    """The same weights within 1e-5, and the same figures."""
    for one, two in zip(*(scenario.last_weights(r.path) for r in (run, other)), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    for line, twin in zip(run.history, other.history, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert twin[name] == pytest.approx(line[name], abs=1e-5)
    for name, value in run.metrics["validation"].items():
        assert other.metrics["validation"][name] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_workers_learn_what_one_process_learns(count, alone, tmp_path):
    """200 steps of SGD over an uneven last batch; 32 accumulated ones, from a source read by
    batches.
    """
    assert scenario.in_cluster(count, scenario.train_all, tmp_path, CASES) == [0] * count
    for number, run in enumerate(alone):
        assert_equal(run, deepapps.load_run(tmp_path / str(number)))


@pytest.mark.slow
def test_slurm_makes_the_same_cluster(alone, tmp_path):
    assert scenario.under_slurm(2, scenario.train_all, tmp_path, CASES[:1]) == [0, 0]
    assert_equal(alone[0], deepapps.load_run(tmp_path / "0"))


@pytest.mark.slow
def test_every_feature_works_under_every_strategy_or_is_refused_as_the_docs_say(tmp_path):
    import strategy_table

    assert strategy_table.current_table() in strategy_table.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_accumulated_batches_equal_a_large_one_under_workers(tmp_path):
    sgd = {"epochs": 3, "learning_rate": 0.1}
    cases = [
        ("mlp", {"batch_size": 64, **sgd}),
        ("mlp", {"batch_size": 16, "gradient_accumulation_steps": 4, **sgd}),
    ]
    assert scenario.in_cluster(2, scenario.train_all, tmp_path, cases) == [0, 0]
    for large, small in zip(*(scenario.last_weights(tmp_path / n) for n in "01"), strict=True):
        np.testing.assert_allclose(small, large, atol=1e-6)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("as_rows", [False, True])
def test_every_example_is_read_by_one_worker_once_an_epoch(workers, as_rows):
    size, batch_size = 77, 8
    source = deepapps.ArraySource(np.arange(size), np.arange(size))
    source = scenario.Rows(source) if as_rows else source
    read = []
    for index in range(workers):
        feed = make_feed(source, batch_size, seed=3, share=(index, workers))
        block = feed.start(2, 0)
        for step in range(feed.steps):
            inputs, _, weights = feed.load(feed.element(block, step))
            assert len(inputs) == batch_size // workers
            read += inputs.numpy()[weights.numpy() == 1].tolist()
    assert sorted(read) == list(range(size))


def test_the_shares_of_the_workers_make_the_global_batch():
    rows, _ = index_batches(50, 12, seed=0)
    shares = [share_of(rows, (index, 3)) for index in range(3)]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), rows)


def test_workers_refuse_a_dataset():
    import tensorflow as tf

    with pytest.raises(ValueError, match="trains in one process.*Received: 2 workers"):
        make_feed(tf.data.Dataset.range(10).batch(2), 2, share=(0, 2))
