"""The one rule for order, shards and resume."""

import numpy as np
import pytest
import tensorflow as tf

from deepapps.data.order import index_batches
from deepapps.training.feeds import make_feed


@pytest.mark.parametrize("size, batch_size", [(230, 32), (64, 32), (31, 32), (1, 7), (97, 97)])
def test_every_example_counts_exactly_once_an_epoch(size, batch_size):
    rows, valid = index_batches(size, batch_size, seed=3, epoch=5)
    assert rows.shape == valid.shape == (-(-size // batch_size), batch_size)
    np.testing.assert_array_equal(np.sort(rows[valid == 1]), np.arange(size))
    assert set(np.unique(valid)) <= {0.0, 1.0}


def test_the_last_batch_is_filled_up_with_examples_of_weight_0():
    rows, valid = index_batches(5, 4, seed=0)
    assert valid.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert rows[1, 1:].tolist() == rows[0, :3].tolist()


def test_the_order_follows_from_seed_and_epoch_alone():
    orders = {
        (seed, epoch): index_batches(100, 10, seed, epoch)[0] for seed in (0, 1) for epoch in (0, 1)
    }
    for place, order in orders.items():
        np.testing.assert_array_equal(index_batches(100, 10, *place)[0], order)
    different = {order.tobytes() for order in orders.values()}
    assert len(different) == 4


def test_without_a_seed_the_order_is_that_of_the_source():
    rows, _ = index_batches(6, 3)
    assert rows.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: tf.data.Dataset.from_tensor_slices((np.ones((4, 2)), np.ones(4))), "single exam"),
        (lambda: tf.data.Dataset.from_tensor_slices(np.ones((4, 2))).batch(2), "give batches"),
        (
            lambda: tf.data.Dataset.from_tensors((tf.ragged.constant([[1], [2, 3]]), np.ones(2))),
            "dense tensors",
        ),
        (lambda: tf.data.Dataset.from_tensors((np.ones(2), np.ones(2), {"a": 1})), "one tensor"),
    ],
    ids=["no batches", "no targets", "ragged", "weights of outputs"],
)
def test_a_dataset_that_gives_no_batches_is_refused_in_one_line(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make_feed(make(), 2)
    assert "\n" not in str(caught.value)
