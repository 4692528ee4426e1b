"""Time series of many lengths: .npz arrays to numbers that a network can read."""

import typing

import numpy as np

from deepapps.data.examples import Examples
from deepapps.data.npz import as_labels, npz_parts
from deepapps.data.ragged import Ragged
from deepapps.settings import LONGEST
from deepapps.typed_json import within

_RULE = "series must be an array (N, T, F) of numbers, shorter ones filled up with NaN at their end"


def npz_series_parts(path, multi_label=False):
    """Finds the labelled series of an .npz file: `x` and `y`, or `x_train`, `y_train`, `x_test`,
    `y_test`.

    Args:
        path: The file. `x` is `(N, T, F)`, shorter series filled up with NaN; `y` integers `(N,)`,
            or 0 and 1 `(N, C)`, one-hot without `multi_label`; `class_names`, strings, is optional.
        multi_label: Whether an example has any number of labels.
    Returns: `{"train": read, "test": read}`, of these what is there; `read()` returns `Examples`.
    Raises: ValueError when the file cannot be read, or lacks one of a pair.
    """
    return {
        part: lambda part=part, read=read: _examples(f"{path} ({part})", *read(), multi_label)
        for part, read in npz_parts(path).items()
    }


def as_series(where, arrays):
    """Each series as float32 `(T, F)`, without the steps at its end that are NaN alone.

    Args:
        where: What to call them in an error line.
        arrays: An array `(N, T, F)`, or a list of arrays `(T, F)`.
    Raises: ValueError when they have another form, no steps, or NaN and infinite values inside.
    """
    series = []
    for index, array in enumerate(arrays):
        array = np.asarray(array)
        if array.ndim != 2 or array.dtype.kind not in "iuf" or not array.shape[1]:
            raise ValueError(
                f"{where}: {_RULE}. Received: {array.dtype} {array.shape} for an example"
            )
        array = array.astype("float32")
        steps = np.flatnonzero(~np.isnan(array).all(axis=1))
        array = array[: steps[-1] + 1 if len(steps) else 0]
        if not len(array) or not np.isfinite(array).all():
            fault = "holds NaN or infinite values" if len(array) else "has no steps"
            raise ValueError(f"{where}: example {index + 1} {fault}; {_RULE}.")
        series.append(array)
    return series


def _examples(where, inputs, labels, names, multi_label):
    if inputs.ndim != 3:
        raise ValueError(f"{where}: {_RULE}. Received: {inputs.dtype} {inputs.shape}")
    labels = as_labels(where, labels, multi_label)
    if len(inputs) != len(labels) or labels.dtype.kind not in "iu" or labels.ndim not in (1, 2):
        raise ValueError(
            f"{where}: labels must be integers (N,), one for each of the {len(inputs)} series, or "
            f"0 and 1 (N, C). Received: {labels.dtype} {labels.shape}"
        )
    most = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    if (
        labels.min() < 0
        or (labels.ndim == 2 and labels.max() > 1)
        or (names is not None and most > len(names))
    ):
        raise ValueError(
            f"{where}: labels must be 0 or more and have a name each. Received: {labels.min()} to "
            f"{most - 1}"
        )
    names = (
        [str(index) for index in range(most)] if names is None else [str(name) for name in names]
    )
    if labels.ndim == 2:
        found = [tuple(names[place] for place in np.flatnonzero(row)) for row in labels]
    else:
        found = [names[label] for label in labels]
    return Examples(where, as_series(where, inputs), found)


class StoredSeries(typing.TypedDict):
    """A `SeriesEncoder` as JSON holds it."""

    mean: list[float]
    scale: list[float]
    max_length: typing.Annotated[int, within(1, LONGEST)]


class SeriesEncoder:
    """Scales the features of series to mean 0 and deviation 1, and marks real steps with a further
    feature, 1.

    Args:
        mean, scale: Of each feature, `(F,)`.
        max_length: Steps after which a series is cut.
    """

    def __init__(self, mean, scale, max_length):
        self.mean, self.scale, self.max_length = np.float32(mean), np.float32(scale), max_length

    @classmethod
    def learn(cls, series, max_length):
        """The encoder of training series."""
        steps = np.concatenate(series)
        deviation = steps.std(axis=0, dtype="float64")
        return cls(
            steps.mean(axis=0, dtype="float64"), np.where(deviation > 0, deviation, 1.0), max_length
        )

    @classmethod
    def loaded(cls, stored):
        """Brings back what `stored` gave, `StoredSeries`. ValueError where it is damaged."""
        made = cls(stored["mean"], stored["scale"], stored["max_length"])
        if not len(made.mean) or len(made.mean) != len(made.scale) or not (made.scale > 0).all():
            raise ValueError("'mean' and 'scale' must be as many numbers, and 'scale' above 0")
        return made

    def form(self):
        """The inputs as `sequence_network` must know them."""
        return {"features": len(self.mean) + 1}

    def figures(self, inputs):
        """What evaluation says of encoded series beside the answers."""
        return {"cut_series": inputs.cut}

    def describe(self, inputs):
        """What a step is made of, as text."""
        return f"steps of {len(self.mean)} features"

    def stored(self):
        """The encoder as a dict that JSON can hold."""
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "max_length": self.max_length,
        }

    def encode(self, raw, where="series"):
        """One series `(T, F)`, or many, as `Ragged` float32 `(total, F + 1)`."""
        single = isinstance(raw, np.ndarray) and raw.ndim == 2
        series = as_series(where, [raw] if single else raw)
        for one in series:
            if one.shape[1] != len(self.mean):
                raise ValueError(
                    f"{where}: a step must have {len(self.mean)} features, as in training. "
                    f"Received: {one.shape[1]}"
                )
        cut = sum(len(one) > self.max_length for one in series)
        series = [one[: self.max_length] for one in series]
        steps = (
            (np.concatenate(series) - self.mean) / self.scale
            if series
            else np.zeros((0, len(self.mean)))
        )
        values = np.concatenate([np.ones((len(steps), 1)), steps], axis=1).astype("float32")
        return Ragged(values, [len(one) for one in series], cut)
