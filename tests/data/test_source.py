"""Sources in memory and the split by hash."""

import numpy as np
import pytest
import scipy.sparse

from deepapps.data.source import ArraySource, class_weights, hash_split

KEYS = [str(number).encode() for number in range(3000)]
SHARES = (0.8, 0.1, 0.1)


def test_array_source_gives_rows_of_every_array():
    source = ArraySource(
        {"a": np.arange(7), "b": np.arange(14).reshape(7, 2)},
        np.arange(7) * 3,
        np.ones(7, "float32"),
    )
    inputs, targets, weights = source[np.array([5, 2])]
    assert len(source) == 7
    np.testing.assert_array_equal(inputs["a"], [5, 2])
    np.testing.assert_array_equal(inputs["b"], [[10, 11], [4, 5]])
    np.testing.assert_array_equal(targets, [15, 6])
    np.testing.assert_array_equal(weights, [1, 1])


def test_array_source_without_weights_gives_pairs():
    assert len(ArraySource(np.zeros((3, 2)), np.zeros(3))[np.array([0])]) == 2


@pytest.mark.parametrize(("inputs", "targets"), [([1, 2, 3], [1, 2]), ([], [])])
def test_array_source_refuses_unequal_or_no_examples(inputs, targets):
    with pytest.raises(ValueError, match="the same number of examples"):
        ArraySource(inputs, targets)


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [(1.0, "float"), ([[1, 2], [3]], "list"), (scipy.sparse.eye(2), "matrix|array")],
)
def test_array_source_refuses_what_is_no_array(inputs, kind):
    with pytest.raises(ValueError, match=f"must be arrays, of rows.* Received: .*({kind})"):
        ArraySource(inputs, [1, 2])


def test_weights_are_one_array():
    with pytest.raises(ValueError, match="`weights` must be one array"):
        ArraySource(np.ones(2), np.ones(2), [np.ones(2), np.ones(2)])


def test_hash_split_puts_every_example_in_one_part_near_its_share():
    parts = hash_split(KEYS, SHARES)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(KEYS)))
    np.testing.assert_allclose([len(part) / len(KEYS) for part in parts], SHARES, atol=0.02)
    assert all((np.diff(part) > 0).all() for part in parts)


def test_hash_split_does_not_change_with_the_order():
    order = np.random.default_rng(0).permutation(len(KEYS))
    straight = hash_split(KEYS, SHARES)
    shuffled = hash_split([KEYS[index] for index in order], SHARES)
    for before, after in zip(straight, shuffled, strict=True):
        np.testing.assert_array_equal(before, np.sort(order[after]))


def test_hash_split_keeps_equal_keys_together():
    parts = hash_split(KEYS[:200] * 3, SHARES)
    sides = [{KEYS[index % 200] for index in part} for part in parts]
    assert all(len(part) == 3 * len(side) for part, side in zip(parts, sides, strict=True))


def test_hash_split_is_the_same_on_every_machine():
    validation = hash_split(KEYS[:50], SHARES)[1]
    np.testing.assert_array_equal(validation, [11, 37])


def test_balanced_class_weights_let_classes_count_alike():
    targets = np.array([0] * 6 + [2] * 2)
    source = ArraySource(np.zeros((8, 1)), targets)
    weights = class_weights("balanced", source)
    assert weights == {0: 8 / (2 * 6), 2: 8 / (2 * 2)}
    assert np.mean([weights[target] for target in targets]) == pytest.approx(1)
    with pytest.raises(ValueError, match="class 7, of which training has no example"):
        class_weights({2: 2.0, 7: 1.0}, source)
    assert class_weights(None, source) is None and class_weights({2: 2.0}, source) == {2: 2.0}
    for other in (
        ArraySource(np.zeros(3), np.eye(3)),
        ArraySource(np.zeros(3), np.zeros(3)),
        range(3),
    ):
        with pytest.raises(ValueError, match="needs class indices"):
            class_weights("balanced", other)
