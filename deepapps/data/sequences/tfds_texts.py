"""Texts of TensorFlow Datasets: the text and the label are found by the types of their features."""

import functools
import logging

import numpy as np

from deepapps.data.examples import Examples
from deepapps.data.tfds import feature_of, in_one_line, prepared_set, read_batches, splits_of

_PURPOSE = (
    "a sequence classifier; --text-column, --second-text-column and --label-column name features"
)


def tfds_text_parts(name, columns):
    """Finds the texts and labels of a set.

    Args:
        name: `NAME[/CONFIG]`, as `tfds.load` takes it.
        columns: `Columns`; those not named are found: the one text, the one class label.
    Returns: `{"train": read, "validation": read, "test": read}`, of these what the set has;
        `read()` returns `Examples`, or None for a part without labels (-1, as in the test splits of
        GLUE).
    Raises: ValueError as `prepared_set` does, and when the set has no text or no label.
    """
    builder = prepared_set(name)
    text = columns.text or feature_of(builder, name, "Text", _PURPOSE)
    label = columns.label or feature_of(builder, name, "ClassLabel", _PURPOSE)
    features = [text, label, *([columns.second_text] if columns.second_text else [])]
    for feature in features:
        if feature not in builder.info.features:
            raise ValueError(
                f"tfds:{name}: has no feature {feature!r}. Found: "
                f"{', '.join(builder.info.features)}"
            )
    if columns.multi_label:
        raise ValueError(f"tfds:{name}: many labels an example are read from files alone.")
    read = functools.partial(_read, builder, name, features)
    return {
        part: functools.partial(read, split) for part, split in splits_of(builder, name).items()
    }


def _read(builder, name, features, split):
    where = f"tfds:{name} ({split})"
    with in_one_line(f"tfds:{name}: the split {split!r} cannot be read from {builder.data_dir}"):
        columns = zip(*read_batches(builder, name, split, features), strict=True)
        texts, labels, *second = (np.concatenate(column) for column in columns)
        texts, *second = (
            [text.decode() for text in column.tolist()] for column in (texts, *second)
        )
    names = getattr(builder.info.features[features[1]], "names", None)
    known = np.flatnonzero(labels >= 0) if labels.dtype.kind in "iu" else np.arange(len(labels))
    if len(known) < len(labels):
        logging.getLogger(__name__).warning(
            "%s: %d examples have no label", where, len(labels) - len(known)
        )
    if not len(known):
        return None
    found = [_label(label, names) for label in labels.tolist()]
    inputs = list(zip(texts, *second, strict=True)) if second else texts
    return Examples(where, inputs, found).take(known)


def _label(label, names):
    if isinstance(label, bytes):
        return label.decode()
    return str(label) if names is None else names[label]
