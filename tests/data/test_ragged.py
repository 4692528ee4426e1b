"""Sequences end to end: padding, buckets, and what is refused."""

import numpy as np
import pytest

from deepapps.data.ragged import Ragged, RaggedSource, bucket_widths


def test_examples_are_padded_with_0_to_the_longest():
    ragged = Ragged(np.arange(1, 8), [2, 1, 4])
    assert ragged.padded(np.array([0, 1])).tolist() == [[1, 2], [3, 0]]
    assert ragged.padded(np.array([2, 1]), width=5).tolist() == [[4, 5, 6, 7, 0], [3, 0, 0, 0, 0]]
    assert ragged.sizes.tolist() == [2, 1, 4]


def test_pairs_and_features():
    pairs = Ragged(np.arange(1, 8), [[2, 1], [1, 3]])
    assert pairs.padded(np.array([0])).tolist() == [[[1, 2], [3, 0]]]
    assert pairs.sizes.tolist() == [2, 3]
    series = Ragged(np.ones((3, 2), "float32"), [1, 2])
    assert series.padded(np.array([0, 1])).tolist() == [[[1, 1], [0, 0]], [[1, 1], [1, 1]]]


def test_a_source_gives_inputs_targets_and_weights():
    source = RaggedSource(Ragged([1, 2, 3], [1, 2]), [0, 1], [1.0, 0.5])
    inputs, targets, weights = source[np.array([1])]
    assert (inputs.tolist(), targets.tolist(), weights.tolist()) == ([[2, 3]], [1], [0.5])
    assert len(source) == 2


@pytest.mark.parametrize("values, lengths", [([1, 2], [1]), ([1, 2], [2, 0]), ([1], [1, 1])])
def test_lengths_that_do_not_fit_are_refused(values, lengths):
    with pytest.raises(ValueError, match="at least 1 and add up to the"):
        Ragged(values, lengths)


def test_a_source_of_different_numbers_of_examples_is_refused():
    with pytest.raises(ValueError, match="the same number of examples"):
        RaggedSource(Ragged([1, 2], [1, 1]), [0])


def test_buckets_waste_little_and_are_few():
    sizes = np.arange(1, 2000)
    widths = bucket_widths(sizes)
    assert (widths >= sizes).all() and (widths <= 1.25 * sizes).all()
    assert len(set(widths.tolist())) < 45
    assert bucket_widths(widths).tolist() == widths.tolist()
