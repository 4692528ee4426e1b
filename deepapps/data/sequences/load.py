"""Sequences and their labels: the `data=` grammar of the sequence classifier."""

import dataclasses
import functools
import logging
import os

import numpy as np

from deepapps.data.describing import class_counts, cut_line, part_counts
from deepapps.data.examples import (
    Examples,
    known_examples,
    labels_of,
    learn_class_names,
    targets_of,
)
from deepapps.data.parts import load_evaluation_part, load_parts
from deepapps.data.ragged import RaggedSource
from deepapps.data.sequences.names import language_names
from deepapps.data.sequences.series import SeriesEncoder, npz_series_parts
from deepapps.data.sequences.text_folders import text_folder_parts
from deepapps.data.sequences.texts import TextEncoder
from deepapps.data.sequences.tfds_texts import tfds_text_parts
from deepapps.data.sequences.vectors import file_words
from deepapps.data.source import Splits
from deepapps.data.tables import is_table
from deepapps.data.text_files import Columns, read_texts
from deepapps.settings import close_names

ACCEPTED = (
    "`sample`, `tfds:NAME[/CONFIG]`, a .tsv, .csv, .jsonl or .parquet file of texts and labels, a "
    ".txt file with the label first on each line, a folder of texts with one sub-folder for each "
    "class, or an .npz file of series"
)
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LearnedSequences:
    """What a sequence classifier learns from its data.

    Attributes:
        class_names: The name of each target, a list of strings.
        encoder: The `TextEncoder` or `SeriesEncoder` of the inputs.
    """

    class_names: list
    encoder: object


@dataclasses.dataclass(frozen=True)
class RawSequences:
    """Sequences as they were read.

    Attributes:
        whole: The training set before anything was split off, `Examples`.
        parts: `{"train": Examples, "validation": ..., "test": ...}`.
    """

    whole: Examples
    parts: dict


def load_sequences(settings):
    """Reads sequences, learns from them and encodes them: `(Splits, LearnedSequences)`."""
    raw = read_sequences(settings)
    learned = learn_sequences(raw, settings)
    return split_sequences(raw, learned, settings), learned


def read_sequences(settings):
    """Reads sequences and splits them into train, validation and test.

    Args:
        settings: `SequenceSettings`. `data` names the training set; a test part that comes with it
            is the test set. `validation` and `test` take the same grammar: of a set with parts, the
            first takes the training part, the second the test part. A part that is not there is
            split off, 10 % each.
    Returns: `RawSequences`. What is split off is chosen by a hash of each text, or series; of
        pairs, by a hash of that side whose texts repeat more.
    Raises: ValueError when something cannot be read.
    """
    find = functools.partial(find_parts, settings=settings)
    return RawSequences(*load_parts(settings.data, settings.validation, settings.test, find))


def learn_sequences(raw, settings):
    """The `LearnedSequences` of `RawSequences`: the vocabulary from the training part alone.

    Raises: ValueError when they are not fit to learn from.
    """
    return LearnedSequences(
        learn_class_names(raw.whole), learn_encoder(raw.parts["train"].inputs, settings)
    )


def split_sequences(raw, learned, settings):
    """The `Splits` of `RawSequences`, `RaggedSource`s whose targets are indices of the learned
    classes.

    Raises: ValueError for a label that is not among the learned ones.
    """
    sources = {part: _source(examples, learned, settings) for part, examples in raw.parts.items()}
    left_out = _lost_classes(raw.parts["train"], learned.class_names)
    for part, source in sources.items():
        left_out += cut_line(
            raw.parts[part].where, part, source.inputs, settings.max_length, "steps"
        )
    for line in left_out:
        _logger.warning("%s", line)
    return Splits(
        **sources,
        description=_describe(settings.data, raw.whole.note, learned, sources),
        left_out=left_out,
    )


def _describe(name, note, learned, sources):
    """In lines: how many examples, in which parts and classes, how long, and what is unknown."""
    total, parts = part_counts(Splits(**sources))
    train, lengths = sources["train"], sources["train"].inputs.lengths
    targets = train.targets if train.targets.ndim == 1 else np.nonzero(train.targets)[1]
    by_class = np.bincount(targets, minlength=len(learned.class_names))
    encoding = learned.encoder.describe(train.inputs)
    return "\n".join(
        [
            f"{name}: {total:,} examples in {len(learned.class_names)} classes"
            + (f" ({note})" if note else ""),
            parts,
            f"train by class: {class_counts(learned.class_names, by_class)}",
            f"{encoding}; {lengths.mean():.1f} on average, at most {lengths.max()}",
        ]
    )


def load_evaluation_sequences(data, learned, settings):
    """Loads sequences to evaluate a trained model on; of a set with parts the test part.

    Returns: `RaggedSource`, its targets indices of the learned classes.
    Raises: ValueError when they cannot be read, or have unknown labels.
    """
    examples = load_evaluation_part(data, functools.partial(find_parts, settings=settings))
    source = _source(examples, learned, settings)
    for line in cut_line(examples.where, "test", source.inputs, settings.max_length, "steps"):
        _logger.warning("%s", line)
    return source


def find_parts(data, settings):
    """Finds what a value of the `data=` grammar names.

    Returns: `{part: read}` for the parts it has of "train", "validation" and "test"; `read()`
        returns `Examples`, or None where the part has no labels.
    Raises: ValueError when the value has no known form or names nothing that is there.
    """
    value = os.fspath(data)
    columns = Columns(
        settings.text_column,
        settings.label_column,
        settings.second_text_column,
        settings.multi_label,
    )
    if value == "sample":
        return {"train": lambda: Examples("sample", *language_names())}
    if value.startswith("tfds:"):
        return tfds_text_parts(value.removeprefix("tfds:"), columns)
    path = os.path.expanduser(value)
    if not os.path.exists(path):
        hint = close_names(value, ["sample"]) if os.sep not in value and "." not in value else ""
        raise ValueError(
            f"{value}: no such file.{hint.partition(' Known')[0]} Sequences are given as "
            f"{ACCEPTED}."
        )
    if os.path.isdir(path):
        return text_folder_parts(path, settings)
    if is_table(path):
        return {"train": lambda: read_texts(path, columns, settings)}
    if path.lower().endswith(".npz"):
        return npz_series_parts(path, settings.multi_label)
    raise ValueError(f"{value}: is of no known kind. Sequences are given as {ACCEPTED}.")


def learn_encoder(inputs, settings):
    """The encoder that fits the training inputs: of texts or of series."""
    if not isinstance(inputs[0], str | tuple):
        return SeriesEncoder.learn(inputs, settings.max_length)
    options = {
        name: getattr(settings, name) for name in ("vocabulary_size", "lowercase", "max_length")
    }
    # a given vector suits a rare word, too
    count = settings.minimum_count or (1 if settings.embeddings else 2)
    encoder = TextEncoder.learn(inputs, kind=settings.tokens, minimum_count=count, **options)
    if settings.embeddings:
        encoder.tokenizer.add(file_words(settings.embeddings))
    return encoder


def _source(examples, learned, settings):
    examples = known_examples(examples, learned.class_names, settings.skip_bad_lines)
    inputs = learned.encoder.encode(examples.inputs, examples.where)
    targets = targets_of(examples, learned.class_names, settings.multi_label)
    return RaggedSource(inputs, targets, raw=examples.inputs)


def _lost_classes(train, class_names):
    present = labels_of(train)
    lost = [name for name in class_names if name not in present]
    return [f"{train.where}: all examples are held out of class {', '.join(lost)}"] if lost else []
