"""Labelled examples as a part of the data holds them, and their labels as targets."""

import dataclasses
import logging

import numpy as np

MISSING = {"nan", "none", "null", "n/a", "na", "<na>"}  # how programs write that nothing is there
FEW = 20  # examples among which every label may occur once
MOST_FRACTIONS = 20  # classes such as ratings by half stars

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Examples:
    """Labelled sequences.

    Attributes:
        where: What to call the set in an error line.
        inputs: For each example a text, a tuple of two texts, or an array `(T, F)`.
        labels: For each example its label, a string; or a tuple of labels.
        lines: The line of each example in its file, or its file in a folder, for errors; None
            where there are none.
        note: What was understood of the files, for the summary.
    """

    where: str
    inputs: list
    labels: list
    lines: list | None = None
    note: str = ""

    def take(self, indices):
        """The examples at these indices."""
        lines = None if self.lines is None else [self.lines[index] for index in indices]
        inputs, labels = ([part[index] for index in indices] for part in (self.inputs, self.labels))
        return dataclasses.replace(self, inputs=inputs, labels=labels, lines=lines)

    def place(self, index):
        """How an error line names an example."""
        line = f"example {index + 1}" if self.lines is None else self.lines[index]
        return f"{self.where}: {f'line {line}' if isinstance(line, int) else line}"


def learn_class_names(examples):
    """The different labels of a training set, sorted; by number where all are numbers.

    Raises: ValueError when there are fewer than two, or they look like no classes.
    """
    names = labels_of(examples)
    if names and isinstance(examples.labels[0], str):
        check_classes(examples.where, examples.labels, examples.note)
    if len(names) < 2:
        found = f"only {names.pop()!r}" if names else "none"
        raise ValueError(
            f"{examples.where}: there must be two different labels or more. Received: {found}"
        )
    return sorted_names(names)


def sorted_names(names):
    """Names of classes or folders in their order: by number where all are numbers."""
    numbers = all(name.removeprefix("-").isdecimal() for name in names)
    return sorted(names, key=int if numbers else None)


def check_classes(where, labels, note=""):
    """Raises ValueError for labels that are no classes: most occur once, as texts and ids do, or
    they are scores.

    Args:
        where, note: What to call the data in an error line, and what was understood of them.
        labels: One string for each example.
    """
    count, names = len(labels), {*labels}
    scores = sum(map(_is_fraction, names)) > MOST_FRACTIONS
    if count >= FEW and (scores or len(names) > count / 2):
        found = "are numbers with fractions, so they are scores" if scores else "mostly occur once"
        raise ValueError(
            f"{where}: the {len(names):,} different labels of {count:,} examples {found}, no "
            f"classes{f' ({note})' if note else ''}. Name the column of the classes: "
            "--label-column."
        )
    _warn_of_names(where, names)


def _warn_of_names(where, names):
    """Says which classes may be a missing label, or one label written in several ways."""
    missing = sorted(name for name in names if name.lower() in MISSING)
    if missing:
        _logger.warning(
            "%s: %s is learnt as a class; if it says that the label is missing, leave these "
            "examples out.",
            where,
            " and ".join(missing),
        )
    ways = {}
    for name in sorted(names):
        ways.setdefault(name.casefold().removesuffix(".0"), []).append(name)
    for alike in (found for found in ways.values() if len(found) > 1):
        _logger.warning("%s: %s are learnt as different classes.", where, " and ".join(alike))


def _is_fraction(name):
    try:
        return not float(name).is_integer()
    except (ValueError, OverflowError):
        return False


def labels_of(examples):
    """The set of the labels that occur."""
    return {label for labels in examples.labels for label in _several(labels)}


def known_examples(examples, class_names, skip=False):
    """The examples whose labels are all among the names.

    Raises: ValueError for the first other one; with `skip` they are left out, with a warning.
    """
    known = set(class_names)
    good = [
        index for index, labels in enumerate(examples.labels) if known.issuperset(_several(labels))
    ]
    if len(good) == len(examples.labels):
        return examples
    first = next(
        index for index in range(len(examples.labels)) if index >= len(good) or good[index] != index
    )
    stray = next(label for label in _several(examples.labels[first]) if label not in known)
    shown = ", ".join(class_names[:12]) + (", ..." if len(class_names) > 12 else "")
    problem = f"{examples.place(first)}: the label {stray!r} does not occur in training ({shown})."
    if not skip or not good:
        raise ValueError(
            f"{problem} --skip-bad-lines leaves such examples out." if good else problem
        )
    _logger.warning("%s %d such examples left out.", problem, len(examples.labels) - len(good))
    return examples.take(good)


def targets_of(examples, class_names, multi_label=False):
    """The labels as int32 indices `(N,)` into the names; with `multi_label` as float32 `(N, C)`
    of 0 and 1.
    """
    places = {name: index for index, name in enumerate(class_names)}
    if not multi_label:
        return np.array([places[label] for label in examples.labels], "int32")
    targets = np.zeros((len(examples.labels), len(class_names)), "float32")
    for row, labels in enumerate(examples.labels):
        targets[row, [places[label] for label in labels]] = 1.0
    return targets


def _several(labels):
    return labels if isinstance(labels, tuple) else (labels,)
