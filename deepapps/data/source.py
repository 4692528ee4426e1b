"""Sources of examples: random access by index, so that order, shards and resume follow one rule."""

import dataclasses
import hashlib

import numpy as np
import optree


class ArraySource:
    """Examples held in memory. The loop gathers its batches inside the compiled step.

    Args:
        inputs: An array, or a tuple or dict of arrays, whose first axis counts the `N` examples.
        targets: Likewise.
        weights: Sample weights, `(N,)`, that the loss is multiplied with. None means 1 for all.
    Raises: ValueError when the arrays do not hold the same number of examples, or none, and for
        what is no array, as ragged and sparse ones.
    """

    def __init__(self, inputs, targets, weights=None):
        arrays = (inputs, targets) if weights is None else (inputs, targets, weights)
        self.arrays = optree.tree_map(_array, arrays, is_leaf=_is_list_of_numbers)
        if len(arrays) == 3 and not isinstance(self.arrays[2], np.ndarray):
            raise ValueError("`weights` must be one array, also where there are several outputs.")
        sizes = {array.shape[0] if array.ndim else 0 for array in optree.tree_leaves(self.arrays)}
        if len(sizes) != 1 or 0 in sizes:
            raise ValueError(
                "`inputs`, `targets` and `weights` must hold the same number of examples, at "
                f"least one. Received: {sorted(sizes)} examples"
            )
        self._size = sizes.pop()

    def __len__(self):
        return self._size

    def __getitem__(self, indices):
        return optree.tree_map(lambda array: array[indices], self.arrays)


def _array(part):
    """What a user gives, as an array."""
    try:
        array = np.asarray(part)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.ndim == 0:
        raise ValueError(
            "`inputs`, `targets` and `weights` must be arrays, of rows of one length: pad ragged "
            f"ones with zeros, make sparse ones dense. Received: {type(part).__name__}"
        )
    return array


def _is_list_of_numbers(part):
    """Whether a list stands for an array, and not for several arrays."""
    return isinstance(part, list) and not any(hasattr(item, "shape") for item in part)


@dataclasses.dataclass(frozen=True)
class Splits:
    """The sources of a task: what to train on, what picks the best weights, what is opened at the
    end.

    A source has `__len__` and `__getitem__(indices)`, which returns `(inputs, targets[, weights])`
    for an array of indices. `train` may also be a `tf.data.Dataset` of batches. A tuple of arrays
    `(inputs, targets[, weights])` becomes an `ArraySource`.

    Attributes:
        train, validation, test: The sources; the latter two may be None.
        description: What is to be said about the data before training: lines of text, which the
            report shows, too.
        left_out: What was left out or cut, as it has been warned of: lines of text for the report.
    """

    train: object
    validation: object = None
    test: object = None
    description: str = ""
    left_out: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        for name, source in self.sources.items():
            if isinstance(source, tuple):
                object.__setattr__(self, name, ArraySource(*source))

    @property
    def sources(self):
        """`{"train": source, ...}`, of the three those that are there."""
        named = {name: getattr(self, name) for name in ("train", "validation", "test")}
        return {name: source for name, source in named.items() if source is not None}

    @property
    def held_out(self):
        """Of the `sources` those that are not trained on."""
        return {name: source for name, source in self.sources.items() if name != "train"}


def targets_in(source):
    """All targets of a source that has them at hand: an `ArraySource`, or one with `targets`;
    else None.
    """
    return source.arrays[1] if isinstance(source, ArraySource) else getattr(source, "targets", None)


def first_not_finite(source):
    """The first example of a source in memory with NaN or infinite values.

    Returns: `(part, index)`, where the part is "inputs", "targets" or "weights"; None where there
        is none, or the source is not in memory.
    """
    if not isinstance(source, ArraySource):
        return None
    for part, arrays in zip(("inputs", "targets", "weights"), source.arrays, strict=False):
        for array in optree.tree_leaves(arrays):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return part, int(np.argwhere(~np.isfinite(array))[0][0])
    return None


def fingerprint(source):
    """The number of examples of a source and, where they are in memory, a hash of all in their
    order.

    Returns: a string such as "3980 examples, 5f0c..."; None for a source that gives batches.
    """
    if isinstance(source, ArraySource):
        arrays = optree.tree_leaves(source.arrays)
    else:
        arrays = getattr(source, "arrays_in_memory", [])
    if not hasattr(source, "__getitem__") or hasattr(source, "num_batches"):  # of batches
        return None
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        is_plain = not array.dtype.hasobject
        digest.update(np.ascontiguousarray(array) if is_plain else repr(array.tolist()).encode())
    return f"{len(source)} examples" + (f", {digest.hexdigest()}" if arrays else "")


def class_weights(given, source):
    """The weight of each class, `{class index: weight}`, or None.

    Args:
        given: Such a dict, None, or "balanced": every class then counts alike in the loss, whatever
            its number of examples, and the mean weight of an example is 1.
        source: The training source, which for "balanced" must have class indices as targets at
            hand.
    Raises: ValueError when it has not, or for a class without an example.
    """
    targets = targets_in(source) if given else None
    is_array = isinstance(targets, np.ndarray)
    targets = targets[:, 0] if is_array and targets.shape[1:] == (1,) else targets
    classes = is_array and targets.ndim == 1 and targets.dtype.kind in "iub"
    if given != "balanced":
        absent = sorted({*given} - {*np.unique(targets).tolist()}) if classes else []
        if absent:
            raise ValueError(
                f"`class_weight` has a weight for class {absent[0]}, of which training has no "
                f"example. Its classes are the indices {targets.min()} to {targets.max()}."
            )
        return given or None
    if not classes:
        raise ValueError(
            "class_weight='balanced' needs class indices `(N,)` as the targets of its source."
        )
    classes, counts = np.unique(targets, return_counts=True)
    weights = len(targets) / (len(classes) * counts)
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def hash_split(keys, shares):
    """Parts the examples by a hash of each, so the split is the same on every machine and in any
    order.

    Args:
        keys: For each example the bytes that stand for it; equal keys go to the same part.
        shares: The parts' shares of the whole, for example `(0.8, 0.1, 0.1)`.
    Returns: one array of indices per part, ascending.
    """
    digests = (hashlib.blake2b(key, digest_size=8).digest() for key in keys)
    places = np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
    part = np.searchsorted(np.cumsum(shares)[:-1], places, side="right")
    return [np.flatnonzero(part == index) for index in range(len(shares))]
