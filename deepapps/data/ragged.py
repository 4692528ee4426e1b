"""Sequences of many lengths, held end to end in memory."""

import numpy as np


class Ragged:
    """Sequences of many lengths, without padding.

    Args:
        values: All steps of all sequences, end to end: `(total,)` for tokens, `(total, F)` for
            features.
        lengths: Integers `(N,)`; or `(N, K)` where an example is K sequences, a pair for example.
        cut: Number of sequences that have been cut short, for reports.
    Raises: ValueError when the two do not fit together, or a sequence has no steps.
    """

    def __init__(self, values, lengths, cut=0):
        self.values, self.lengths, self.cut = np.asarray(values), np.asarray(lengths, "int32"), cut
        if self.lengths.size and self.lengths.min() < 1 or self.lengths.sum() != len(self.values):
            raise ValueError(
                f"`lengths` must be at least 1 and add up to the {len(self.values)} steps of "
                f"`values`. Received: a sum of {self.lengths.sum()}"
            )
        ends = np.cumsum(self.lengths, dtype="int64").reshape(self.lengths.shape)
        self.starts = ends - self.lengths

    @property
    def sizes(self):
        """The steps that each example needs: its length, or that of its longest sequence,
        `(N,)`.
        """
        return self.lengths.reshape(len(self.lengths), -1).max(axis=1)

    def __len__(self):
        return len(self.lengths)

    def padded(self, indices, width=None):
        """Examples padded with 0 at the end, `(B, [K,] T, ...)`; T is `width`, or else the
        longest.
        """
        steps = np.arange(self.sizes[indices].max() if width is None else width)
        real = steps < self.lengths[indices][..., None]
        inputs = self.values[np.where(real, self.starts[indices][..., None] + steps, 0)]
        inputs[~real] = 0
        return inputs


class RaggedSource:
    """Examples whose inputs are `Ragged`. The loop puts those of like length into a batch and pads
    it.

    Args:
        inputs: `Ragged`, N examples.
        targets: `(N, ...)`.
        weights: Sample weights `(N,)`. None means 1 for all.
        raw: The N inputs as they were before they were encoded, for reports. Defaults to none.
    Raises: ValueError when they do not hold the same number of examples, or none.
    """

    def __init__(self, inputs, targets, weights=None, raw=None):
        self.inputs, self.raw = inputs, raw
        self.rest = tuple(np.asarray(array) for array in (targets, weights) if array is not None)
        sizes = {len(inputs), *map(len, self.rest)}
        if len(sizes) > 1 or 0 in sizes:
            raise ValueError(
                "`inputs`, `targets` and `weights` must hold the same number of examples, at "
                f"least one. Received: {sorted(sizes)} examples"
            )

    @property
    def targets(self):
        return self.rest[0]

    @property
    def arrays_in_memory(self):
        """All that a training depends on, for its fingerprint."""
        return [self.inputs.values, self.inputs.lengths, *self.rest]

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, indices):
        return (self.inputs.padded(indices), *(array[indices] for array in self.rest))


class PairSource:
    """Pairs of sequences, to learn the second from the first. The loop makes batches of pairs of
    like lengths.

    Inputs are the sources `(B, Ts)` and the targets but for their last step, `(B, Tt - 1)`; targets
    are the targets but for their first step, so that each step is learnt from those before it;
    weights `(B, Tt - 1)` are 1, and 0 for padding.

    Args:
        sources, targets: `Ragged` token numbers of N examples; a target has at least two steps.
        batch_tokens: Most steps of a batch, padding included, counted on the longer side. None: no
            bound.
        raw: The N pairs as they were before they were encoded. Defaults to none.
        kinds: For each pair what kind it is of. Defaults to none.
    Raises: ValueError when they do not hold the same number of examples, or none.
    """

    def __init__(self, sources, targets, batch_tokens=None, raw=None, kinds=None):
        self.sources, self.targets, self.batch_tokens = sources, targets, batch_tokens
        self.raw, self.kinds = raw, kinds
        if len(sources) != len(targets) or not len(sources):
            raise ValueError(
                "`sources` and `targets` must hold the same number of examples, at least one. "
                f"Received: {len(sources)} and {len(targets)}"
            )

    @property
    def arrays_in_memory(self):
        """All that a training depends on, for its fingerprint."""
        return [
            part for side in (self.sources, self.targets) for part in (side.values, side.lengths)
        ]

    @property
    def sizes(self):
        """The steps of both sides, `(N, 2)`."""
        return np.stack([self.sources.sizes, self.targets.sizes], axis=1)

    def __len__(self):
        return len(self.sources)

    def __getitem__(self, indices):
        sources, targets = self.sources.padded(indices), self.targets.padded(indices)
        return (sources, targets[:, :-1]), targets[:, 1:], (targets[:, 1:] != 0).astype("float32")


def bucket_widths(sizes):
    """Rounds sizes up so that few different ones remain: 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32,
    40, ...

    Args:
        sizes: Integers `(N,)`, at least 1.
    Returns: int32 `(N,)`, at most a quarter more.
    """
    sizes = np.asarray(sizes, "int64")
    quarter = 2 ** np.maximum(np.ceil(np.log2(sizes)).astype("int64") - 3, 0)
    return (-(-sizes // quarter) * quarter).astype("int32")
