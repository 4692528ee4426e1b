"""Folders of examples: which sub-folders are parts of the data, and which are classes."""

import logging
import os
import re

from deepapps.data.examples import sorted_names

PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
NOT_DATA = {"__macosx"}  # what packers of archives leave behind
UNLABELLED = {"unsup", "unlabeled", "unlabelled"}  # examples without a class

_logger = logging.getLogger(__name__)


def sub_folders(folder):
    """The names of the sub-folders of a folder, sorted, by number where all are numbers; hidden
    ones stay out.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and _is_data(entry.name)]
    return sorted_names(names)


def part_folders(folder):
    """Finds the parts of a folder of classes.

    Args:
        folder: A folder with one sub-folder for each class; or with such folders for the parts,
            `train` and, if you like, `validation` (`val`, `dev`) and `test`, as words of their
            names.
    Returns: `{"train": path, ...}`; of a folder without parts only the first. A folder that holds
        nothing but one other stands for that one.
    Raises: ValueError where two readings are possible, or a part has no classes.
    """
    folder = _inner(folder)
    names = sub_folders(folder)
    parts = {}
    for name in names:
        for part in _parts_in(name):
            parts.setdefault(part, []).append(name)
    have_classes = {
        name for found in parts.values() for name in found if _holds_folders(folder, name)
    }
    if not _are_parts(parts, have_classes):
        return {"train": folder}
    others = [name for name in names if not _parts_in(name)]
    _check_parts(folder, parts, others, have_classes)
    if others:
        _logger.warning("%s: not used: %s beside the parts.", folder, few(others))
    return {part: _inner(os.path.join(folder, found[0])) for part, found in parts.items()}


def labelled_folders(folder):
    """The sub-folders that are classes; those of unlabelled examples stay out, with a warning."""
    names = sub_folders(folder)
    left_out = [name for name in names if name.lower() in UNLABELLED]
    if left_out and len(names) - len(left_out) > 1:
        _logger.warning("%s: not used: %s, which has no label.", folder, ", ".join(left_out))
        names = [name for name in names if name not in left_out]
    return names


def files_below(folder):
    """The files below a folder in the order of their names; no folder twice, as links in a loop
    would have it.
    """
    seen = {os.path.realpath(os.path.dirname(folder))}
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_data(name))
        yield from (os.path.join(place, name) for name in sorted(names) if _is_data(name))


def files_in(folder):
    """The paths of the files of a folder itself, sorted; hidden ones stay out."""
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if entry.is_file() and _is_data(entry.name))


def few(paths):
    """The first names of many, in words."""
    return ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")


def _is_data(name):
    return not name.startswith(".") and name.lower() not in NOT_DATA


def _holds_folders(folder, name):
    return bool(sub_folders(os.path.join(folder, name)))


def _are_parts(parts, have_classes):
    """Whether sub-folders called by parts, `{part: names}`, are parts; else they are classes, such
    as `train` among vehicles.
    """
    exact = {name for found in parts.values() for name in found if name.lower() in PARTS}
    if len({PARTS[name.lower()] for name in exact}) > 1:
        return True
    return bool(exact & have_classes) or (len(parts) > 1 and bool(have_classes))


def _inner(folder):
    """The folder itself, or the one that is all it holds, as unpacked archives have it."""
    names = sub_folders(folder)
    while len(names) == 1 and not files_in(folder):
        parts = _parts_in(names[0])
        if parts and parts != _parts_in(os.path.basename(folder)):
            break
        inner = os.path.join(folder, names[0])
        if not sub_folders(inner):
            break
        folder, names = inner, sub_folders(inner)
    return folder


def _parts_in(name):
    """The parts that a folder's name names: `train`, `seg_train` and `Training Data` name one."""
    return {PARTS[word] for word in re.split(r"[\W_]+", name.lower()) if word in PARTS}


def _check_parts(folder, parts, others, have_classes):
    """Raises ValueError where folders called by parts may be classes, or have none."""
    twice = next((found for found in parts.values() if len(found) > 1), None)
    if twice:
        raise ValueError(
            f"{folder}: both {' and '.join(twice[:2])} are the same part of the data by their "
            "names. Rename one, or name the parts: --data, --validation and --test."
        )
    empty = [name for found in parts.values() for name in found if name not in have_classes]
    if empty:
        raise ValueError(
            f"{os.path.join(folder, empty[0])}: has no sub-folders, so nothing says the classes. "
            "Give each class a folder, or name a table of files and labels (--data labels.csv)."
        )
    if others and len(parts) == 1:
        (name,) = sum(parts.values(), [])
        raise ValueError(
            f"{folder}: holds {name} beside {few(others)}: is it a part of the data or a class? "
            f"Name the folder that holds the classes alone (--data {os.path.join(folder, name)}), "
            f"or rename {name}."
        )
