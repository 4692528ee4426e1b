"""Sentences and their translations: the `data=` grammar of the translator."""

import dataclasses
import functools
import logging
import os

import numpy as np

from deepapps.data.describing import cut_line, part_counts
from deepapps.data.pairs.encoder import PairEncoder
from deepapps.data.pairs.files import read_pairs, read_parallel
from deepapps.data.pairs.phrases import phrase_pairs
from deepapps.data.pairs.tfds_pairs import tfds_pair_parts
from deepapps.data.parts import load_evaluation_part, load_parts
from deepapps.data.ragged import PairSource
from deepapps.data.source import Splits
from deepapps.data.tables import is_table
from deepapps.settings import close_names

ACCEPTED = (
    "`sample`, `tfds:NAME[/CONFIG]`, a .tsv, .txt (with tabs), .csv, .jsonl or .parquet file, or "
    "SOURCE_FILE:TARGET_FILE with a sentence a line"
)
_logger = logging.getLogger(__name__)


def load_pairs(settings):
    """Reads pairs, learns subwords from them and encodes them: `(Splits, PairEncoder)`."""
    parts = read_pairs_of(settings)
    encoder = learn_pairs(parts, settings)
    return split_pairs(parts, encoder, settings), encoder


def read_pairs_of(settings):
    """Reads pairs and splits them into train, validation and test.

    Args:
        settings: `TranslatorSettings`. `data` names the training set; see `load_parts` for the
            held-out ones.
    Returns: `{"train": Examples, "validation": ..., "test": ...}`.
    Raises: ValueError when something cannot be read.
    """
    find = functools.partial(find_parts, settings=settings)
    return load_parts(settings.data, settings.validation, settings.test, find)[1]


def learn_pairs(parts, settings):
    """The `PairEncoder` of the training part.

    Raises: ValueError when the pairs are not fit to learn from.
    """
    train = parts["train"].inputs
    if all(source == target for source, target in train):
        raise ValueError(
            f"{parts['train'].where}: source and target must differ. Received: the same texts twice"
        )
    options = {name: getattr(settings, name) for name in ("vocabulary_size", "max_length")}
    return PairEncoder.learn(train, settings.vocabulary == "joint", **options)


def split_pairs(parts, encoder, settings):
    """The `Splits` of parts, `PairSource`s. Training pairs that are too long or too unequal are
    left out; of held-out ones nothing is.
    """
    sources = {part: _source(examples, encoder, settings, part) for part, examples in parts.items()}
    kept, left_out = _filtered(parts["train"], sources["train"], settings)
    if left_out:
        sources["train"] = _source(parts["train"].take(kept), encoder, settings, "train")
    for part, source in sources.items():
        left_out += cut_line(
            parts[part].where, part, source.sources, settings.max_length, "subwords"
        )
    for line in left_out:
        _logger.warning("%s", line)
    return Splits(
        **sources,
        description=_describe(settings.data, parts["train"].note, encoder, sources),
        left_out=left_out,
    )


def _describe(name, note, encoder, sources):
    """In lines: how many pairs, in which parts, and how long in which vocabulary."""
    total, parts = part_counts(Splits(**sources))
    lengths = sources["train"].sizes - (1, 2)  # the boundaries
    sizes = {"source": encoder.source.size, "target": encoder.target.size}
    if encoder.source is encoder.target:
        sizes = {"both sides": encoder.source.size}
    known = ", ".join(f"{size:,} of {side}" for side, size in sizes.items())
    means, most = lengths.mean(axis=0), lengths.max(axis=0)
    return "\n".join(
        [
            f"{name}: {total:,} pairs" + (f" ({note})" if note else ""),
            parts,
            f"subwords: {known}; in training {means[0]:.1f} a source, {means[1]:.1f} a target (at "
            f"most {most[0]} and {most[1]})",
        ]
    )


def load_evaluation_pairs(data, encoder, settings):
    """Loads pairs to evaluate a trained model on; of a set with parts the test part.

    Returns: `PairSource`.
    Raises: ValueError when they cannot be read.
    """
    examples = load_evaluation_part(data, functools.partial(find_parts, settings=settings))
    source = _source(examples, encoder, settings, "test")
    for line in cut_line(examples.where, "test", source.sources, settings.max_length, "subwords"):
        _logger.warning("%s", line)
    return source


def find_parts(data, settings):
    """Finds what a value of the `data=` grammar names.

    Returns: `{part: read}` for the parts it has of "train", "validation" and "test"; `read()`
        returns `Examples` whose inputs are pairs, source first, and whose labels are their kinds,
        or None.
    Raises: ValueError when the value has no known form or names nothing that is there.
    """
    if data is None:
        raise ValueError(f"Pairs must be given as {ACCEPTED}. Received: no `data`")
    value = os.fspath(data)
    if value == "sample":
        languages = settings.source_language or "en", settings.target_language or "fr"
        parts = {"train": lambda: phrase_pairs(*languages)}
    elif value.startswith("tfds:"):
        parts = tfds_pair_parts(value.removeprefix("tfds:"))
    else:
        parts = {"train": _file_reader(value, settings)}
    return {
        part: functools.partial(_turned, read, settings.reverse) for part, read in parts.items()
    }


def _file_reader(value, settings):
    """The function that reads a file, or two with a colon between them."""
    path = os.path.expanduser(value)
    if os.path.isfile(path):
        if not is_table(path):
            raise ValueError(f"{value}: is of no known kind. Pairs are given as {ACCEPTED}.")
        return lambda: read_pairs(path, settings)
    sides = [os.path.expanduser(side) for side in value.split(":")]
    missing = [side for side in sides if not os.path.isfile(side)]
    if len(sides) != 2 or missing:
        named = missing[0] if len(sides) == 2 else value
        hint = close_names(value, ["sample"]).partition(" Known")[0] if os.sep not in value else ""
        raise ValueError(f"{named}: no such file.{hint} Pairs are given as {ACCEPTED}.")
    return lambda: read_parallel(*sides, settings)


def _turned(read, reverse):
    """The examples that `read()` returns, source and target swapped if asked for."""
    examples = read()
    if not reverse:
        return examples
    return dataclasses.replace(
        examples, inputs=[(target, source) for source, target in examples.inputs]
    )


def _source(examples, encoder, settings, part):
    """The `PairSource` of examples."""
    sources = encoder.encode([source for source, _ in examples.inputs], examples.where)
    targets = encoder.encode_targets([target for _, target in examples.inputs], examples.where)
    kinds = examples.labels if examples.labels[0] is not None else None
    tokens = settings.batch_tokens if part == "train" else None
    return PairSource(sources, targets, tokens, examples.inputs, kinds)


def _filtered(examples, source, settings):
    """The places of the training pairs that are not too long or too unequal, and a line of how
    many are.
    """
    lengths = source.sizes - (1, 2)  # the boundaries
    long = (lengths >= settings.max_length)[:, int(settings.cut_sources) :].any(axis=1)
    times = settings.max_ratio or np.inf
    unequal = (
        ~long & (lengths.max(axis=1) / lengths.min(axis=1) > times) & (lengths.max(axis=1) > 10)
    )
    kept = np.flatnonzero(~long & ~unequal)
    if len(kept) == len(source):
        return kept, []
    if not len(kept):
        raise ValueError(
            f"{examples.where}: all {len(source)} training pairs are too long or too unequal: "
            f"raise `max_length` ({settings.max_length}) or `max_ratio` ({settings.max_ratio})."
        )
    return kept, [
        f"{examples.where}: left out of training: {long.sum()} pairs of {settings.max_length} "
        f"subwords or more, {unequal.sum()} of lengths more than {times:g} times apart."
    ]
