"""Batches of like length follow the one rule of order, shards and resume."""

import numpy as np
import pytest

from deepapps.data.order import REPLICAS, bucketed_batches, pair_batches
from deepapps.data.ragged import PairSource, Ragged, RaggedSource, bucket_widths
from deepapps.training.feeds import BucketedFeed, PairFeed

SIZES = np.random.default_rng(0).integers(1, 60, 230)
PAIRS = np.stack(
    [SIZES, np.clip(SIZES + np.random.default_rng(1).integers(-4, 5, 230), 2, None)], axis=1
)


@pytest.mark.parametrize("size, batch_size", [(230, 32), (64, 32), (31, 32), (1, 7), (97, 97)])
@pytest.mark.parametrize("seed", [None, 3])
def test_every_example_counts_exactly_once_an_epoch(size, batch_size, seed):
    rows, valid, widths = bucketed_batches(SIZES[:size], batch_size, seed, epoch=5)
    assert rows.shape == valid.shape == (-(-size // batch_size), batch_size)
    np.testing.assert_array_equal(np.sort(rows[valid == 1]), np.arange(size))
    assert (widths[:, None] >= SIZES[rows]).all()


def test_the_order_follows_from_seed_and_epoch_alone():
    orders = {
        (seed, epoch): bucketed_batches(SIZES, 10, seed, epoch)[0]
        for seed in (0, 1)
        for epoch in (0, 1)
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


@pytest.mark.parametrize("batch_tokens", [None, 240, 1000])
def test_every_pair_counts_exactly_once_and_batches_keep_the_bounds(batch_tokens):
    counts = set()
    for seed, epoch in ((None, 0), (3, 0), (3, 1)):
        rows, valid, widths = pair_batches(PAIRS, 24, batch_tokens, seed, epoch)
        np.testing.assert_array_equal(np.sort(rows[valid == 1]), np.arange(230))
        used = rows >= 0
        assert (widths[:, None] >= np.where(used[..., None], PAIRS[rows], 0)).all() and not valid[
            ~used
        ].any()
        tokens = used.sum(1) * widths.max(1)
        assert tokens[used.sum(1) > REPLICAS].max() <= (batch_tokens or 24 * widths.max())
        if batch_tokens is None:
            assert used.all()
        quarters = used.reshape(len(rows), 4, -1).sum(2)
        assert np.ptp(quarters, axis=1).max() <= 1 <= quarters.min(), "no replica is left empty"
        counts.add(len(rows))
    assert len(counts) == 1, "every epoch has as many batches"


def test_batches_of_pairs_follow_from_seed_and_epoch():
    first, second = (pair_batches(PAIRS, 24, 240, 3, epoch)[0] for epoch in (0, 1))
    np.testing.assert_array_equal(first, pair_batches(PAIRS, 24, 240, 3, 0)[0])
    assert not np.array_equal(first, second)


def test_the_feed_of_pairs_loads_what_the_source_holds():
    sides = [Ragged(np.arange(1, side.sum() + 1, dtype="int32"), side) for side in PAIRS.T]
    source = PairSource(*sides, batch_tokens=240)
    feed = PairFeed(source, 24, seed=1)
    block, seen = feed.start(2, 0), 0
    for step in range(feed.steps):
        rows, valid, widths = feed.element(block, step)
        (sources, begun), targets, weights = feed.load((rows, valid, widths))
        used = rows.numpy()[rows.numpy() >= 0]
        seen += int(valid.numpy().sum())
        np.testing.assert_array_equal(sources, sides[0].padded(used, widths.numpy()[0, 0]))
        whole = sides[1].padded(used, widths.numpy()[0, 1])
        np.testing.assert_array_equal(begun, whole[:, :-1])
        np.testing.assert_array_equal(targets, whole[:, 1:])
        np.testing.assert_array_equal(
            weights, (whole[:, 1:] != 0) * valid.numpy()[rows.numpy() >= 0][:, None]
        )
    assert seen == 230
