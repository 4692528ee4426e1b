"""Sentence pairs of TensorFlow Datasets: the two features of type Text."""

import functools

import numpy as np

from deepapps.data.examples import Examples
from deepapps.data.tfds import in_one_line, prepared_set, read_batches, splits_of


def tfds_pair_parts(name):
    """Finds the sentence pairs of a set.

    Args:
        name: `NAME[/CONFIG]`, as `tfds.load` takes it.
    Returns: `{"train": read, "validation": read, "test": read}`, of these what the set has;
        `read()` returns `Examples` of pairs. Source and target are in the order in which the set is
        supervised.
    Raises: ValueError as `prepared_set` does, and when the set has not two texts.
    """
    builder = prepared_set(name)
    features = builder.info.features
    texts = [key for key, feature in features.items() if type(feature).__name__ == "Text"]
    supervised = [key for key in builder.info.supervised_keys or () if key in texts]
    sides = supervised if len(supervised) == 2 else texts
    if len(sides) != 2:
        raise ValueError(
            f"tfds:{name}: has {len(texts)} features of type Text, so it does not fit a "
            f"translator. Features: {', '.join(features)}"
        )
    read = functools.partial(_read, builder, name, sides)
    return {
        part: functools.partial(read, split) for part, split in splits_of(builder, name).items()
    }


def _read(builder, name, sides, split):
    where = f"tfds:{name} ({split})"
    with in_one_line(f"tfds:{name}: the split {split!r} cannot be read from {builder.data_dir}"):
        columns = zip(*read_batches(builder, name, split, sides), strict=True)
        texts = [
            [text.decode().strip() for text in np.concatenate(column).tolist()]
            for column in columns
        ]
    pairs = [pair for pair in zip(*texts, strict=True) if all(pair)]
    return Examples(where, pairs, [None] * len(pairs))
