"""Batches of like length follow the one rule of order, shards and resume."""

import numpy as np
import pytest

from deepapps.data.ragged import Ragged, RaggedSource, bucket_widths
from deepapps.training.bucketed import BucketedFeed, bucketed_batches

SIZES = np.random.default_rng(0).integers(1, 60, 230)


@pytest.mark.parametrize("size, batch_size", [(230, 32), (64, 32), (31, 32), (1, 7), (97, 97)])
@pytest.mark.parametrize("seed", [None, 3])
def test_every_example_counts_exactly_once_an_epoch(size, batch_size, seed):
    rows, valid, widths = bucketed_batches(SIZES[:size], batch_size, seed, epoch=5)
    assert rows.shape == valid.shape == (-(-size // batch_size), batch_size)
    np.testing.assert_array_equal(np.sort(rows[valid == 1]), np.arange(size))
    assert (widths[:, None] >= SIZES[rows]).all()


def test_the_order_follows_from_seed_and_epoch_alone():
    orders = {
        (seed, epoch): bucketed_batches(SIZES, 10, seed, epoch)[0] for seed in (0, 1) for epoch in (0, 1)
    }
    for place, order in orders.items():
        np.testing.assert_array_equal(bucketed_batches(SIZES, 10, *place)[0], order)
    assert len({order.tobytes() for order in orders.values()}) == 4


def test_a_batch_holds_examples_of_like_length():
    sizes = np.random.default_rng(1).integers(1, 100, 5000)
    rows, _, widths = bucketed_batches(sizes, 50, seed=0)
    padding = 1 - sizes.sum() / (widths * 50).sum()
    assert padding < 0.15 < 1 - sizes.mean() / 100
    assert np.ptp(bucket_widths(sizes)[rows], axis=1).mean() < 4
    assert np.abs(np.diff(widths)).mean() > 20, "the rows themselves come in random order"


def test_the_feed_loads_what_the_source_holds():
    lengths = np.stack([SIZES, SIZES[::-1]], axis=1)
    ragged = Ragged(np.arange(1, lengths.sum() + 1, dtype="int32"), lengths)
    source = RaggedSource(ragged, np.arange(230), np.linspace(0, 1, 230).astype("float32"))
    feed = BucketedFeed(source, 32, seed=1)
    block = feed.start(2, 0)
    for step in range(feed.steps):
        rows, valid, widths = feed.element(block, step)
        inputs, targets, weights = feed.load((rows, valid, widths))
        expected = source[rows.numpy()]
        np.testing.assert_array_equal(inputs, ragged.padded(rows.numpy(), widths.numpy()[0]))
        np.testing.assert_array_equal(targets, expected[1])
        np.testing.assert_array_equal(weights, expected[2] * valid.numpy())
