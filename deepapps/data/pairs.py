"""Sentences and their translations: the `data=` grammar of the translator."""

import dataclasses
import functools
import logging
import os

import numpy as np

from deepapps.data.pair_encoder import PairEncoder
from deepapps.data.pair_files import ENDS, read_pairs, read_parallel
from deepapps.data.parts import load_evaluation_part, load_parts
from deepapps.data.phrases import phrase_pairs
from deepapps.data.ragged import PairSource
from deepapps.data.source import Splits
from deepapps.data.tfds_pairs import tfds_pair_parts
from deepapps.settings import close_names

ACCEPTED = "`sample`, `tfds:NAME[/CONFIG]`, a tab-separated .tsv or .txt file, or SOURCE_FILE:TARGET_FILE with a sentence a line"
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PairData:
    """Pairs to learn from.

    Attributes:
        splits: `Splits` of `PairSource`s.
        encoder: The `PairEncoder` that made them.
        left_out: How many training pairs were left out for what reason, `{"too long": 3, ...}`.
    """

    splits: Splits
    encoder: PairEncoder
    left_out: dict


def load_pairs(settings):
    """Loads pairs and splits them into train, validation and test.

    Args:
        settings: `TranslatorSettings`. `data` names the training set; see `load_parts` for the held-out ones.
    Returns: `PairData`. Training pairs that are too long or too unequal are left out; of held-out ones nothing.
    Raises: ValueError when something cannot be read, or is not fit to learn from.
    """
    find = functools.partial(find_parts, settings=settings)
    _, sets = load_parts(settings.data, settings.validation, settings.test, find)
    train = sets["train"].inputs
    if all(source == target for source, target in train):
        raise ValueError(
            f"{sets['train'].where}: source and target must differ. Received: the same texts twice"
        )
    encoder = PairEncoder.learn(
        train, settings.vocabulary == "joint", vocabulary_size=settings.vocabulary_size,
        max_length=settings.max_length,
    )  # fmt: skip
    sources = {part: _source(part, examples, encoder, settings) for part, examples in sets.items()}
    sources["train"], left_out = _filtered(sets["train"], sources["train"], encoder, settings)
    return PairData(Splits(**sources), encoder, left_out)


def load_evaluation_pairs(data, encoder, settings):
    """Loads pairs to evaluate a trained model on; of a set with parts the test part.

    Returns: `PairSource`.
    Raises: ValueError when they cannot be read.
    """
    return _source(
        "test",
        load_evaluation_part(data, functools.partial(find_parts, settings=settings)),
        encoder,
        settings,
    )


def find_parts(data, settings):
    """Finds what a value of the `data=` grammar names.

    Returns: `{part: read}` for the parts it has of "train", "validation" and "test"; `read()` returns `Examples` whose
        inputs are pairs, source first, and whose labels are their kinds, or None.
    Raises: ValueError when the value has no known form or names nothing that is there.
    """
    value, skip = os.fspath(data), settings.skip_bad_lines
    if value == "sample":
        languages = settings.source_language or "en", settings.target_language or "fr"
        parts = {"train": lambda: phrase_pairs(*languages)}
    elif value.startswith("tfds:"):
        parts = tfds_pair_parts(value.removeprefix("tfds:"))
    else:
        parts = {"train": _file_reader(value, skip)}
    return {part: functools.partial(_turned, read, settings.reverse) for part, read in parts.items()}


def _file_reader(value, skip):
    """The function that reads a file, or two with a colon between them."""
    path = os.path.expanduser(value)
    if os.path.isfile(path):
        if not path.endswith(ENDS):
            raise ValueError(f"{value}: is of no known kind. Pairs are given as {ACCEPTED}.")
        return lambda: read_pairs(path, skip)
    sides = [os.path.expanduser(side) for side in value.split(":")]
    missing = [side for side in sides if not os.path.isfile(side)]
    if len(sides) != 2 or missing:
        named = missing[0] if len(sides) == 2 else value
        hint = close_names(value, ["sample"]).partition(" Known")[0] if os.sep not in value else ""
        raise ValueError(f"{named}: no such file.{hint} Pairs are given as {ACCEPTED}.")
    return lambda: read_parallel(*sides, skip)


def _turned(read, reverse):
    """The examples that `read()` returns, source and target swapped if asked for."""
    examples = read()
    if not reverse:
        return examples
    return dataclasses.replace(examples, inputs=[(target, source) for source, target in examples.inputs])


def _source(part, examples, encoder, settings):
    """The `PairSource` of examples; says how many are cut."""
    sources = encoder.encode([source for source, _ in examples.inputs], examples.where)
    targets = encoder.encode_targets([target for _, target in examples.inputs], examples.where)
    if part != "train" and sources.cut:
        _logger.warning(
            "%s (%s): %d of %d sources are cut to %d subwords; --max-length sets it.",
            examples.where, part, sources.cut, len(sources), settings.max_length,
        )  # fmt: skip
    kinds = examples.labels if examples.labels[0] is not None else None
    tokens = settings.batch_tokens if part == "train" else None
    return PairSource(sources, targets, tokens, examples.inputs, kinds)


def _filtered(examples, source, encoder, settings):
    """The training pairs without those that are too long or too unequal, and the counts of these."""
    lengths = source.sizes - (1, 2)  # the boundaries
    long = (lengths >= settings.max_length).any(axis=1)
    ratio = lengths.max(axis=1) / lengths.min(axis=1)
    unequal = ~long & (ratio > settings.max_ratio) & (lengths.max(axis=1) > 10)
    left_out = {"too long": int(long.sum()), "too unequal": int(unequal.sum())}
    if not any(left_out.values()):
        return source, left_out
    kept = np.flatnonzero(~long & ~unequal)
    if not len(kept):
        raise ValueError(
            f"{examples.where}: all {len(examples.inputs)} training pairs are too long or too unequal: raise "
            f"`max_length` ({settings.max_length}) or `max_ratio` ({settings.max_ratio:g})."
        )
    _logger.warning(
        "%s: left out of training: %d pairs of %d subwords or more, %d of lengths more than %g times apart.",
        examples.where, left_out["too long"], settings.max_length, left_out["too unequal"], settings.max_ratio,
    )  # fmt: skip
    return _source("train", examples.take(kept), encoder, settings), left_out
