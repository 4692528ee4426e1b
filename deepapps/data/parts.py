"""The parts of a set of examples: train, validation and test, given or split off."""

from deepapps.data.source import hash_split

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def load_parts(data, validation, test, find):
    """Reads the training set and its held-out parts, of which those not there are split off by a
    hash.

    Args:
        data, validation, test: Values of the `data=` grammar; the latter two may be None.
        find: Maps such a value to `{part: read}` for the parts it has; `read()` returns `Examples`,
            or None where the part has no labels. Of a set with parts, `validation` takes the
            training part, `test` the test part.
    Returns: the training set whole, as it was before something was split off; and `{"train":
        examples, "validation": ..., "test": ...}`. What is split off is chosen by a hash of each
        input; of pairs, by a hash of that side which repeats more.
    Raises: ValueError when a part cannot be read, or would be empty.
    """
    parts = find(data)
    train = _read(data, parts, "train")
    sets = {
        "validation": _held_out("validation", parts, validation, find, "train"),
        "test": _held_out("test", parts, test, find, "test"),
    }
    sets = {part: examples for part, examples in sets.items() if examples is not None}
    split = split_indices(train.where, _keys(train.inputs), sets)
    return train, sets | {part: train.take(indices) for part, indices in split.items()}


def load_evaluation_part(data, find):
    """The examples of a value of the grammar to evaluate on: of a set with parts the test part."""
    return _held_out("test", {}, data, find, "test")


def _read(data, parts, part):
    if part not in parts:
        raise ValueError(f"{data}: has no {part} part. Found: {', '.join(parts)}")
    examples = parts[part]()
    if examples is None:
        raise ValueError(f"{data}: its {part} part has no labels.")
    return examples


def _held_out(part, parts, given, find, wanted):
    """The examples of a part that is given or comes with the data; None where it must be split
    off.
    """
    if given is None:
        return parts[part]() if part in parts else None
    parts = find(given)
    return _read(given, parts, wanted if wanted in parts else "train")


def split_indices(where, keys, given=(), kind="examples"):
    """Splits a training set by a hash of each example into the parts that are not there yet.

    Args:
        where: What to call the set in an error line.
        keys: The bytes that stand for each example.
        given: Names of the parts that are there.
        kind: What to call the examples in an error line.
    Returns: `{"train": indices, ...}`, one array for each part but the given ones.
    Raises: ValueError when a part would be empty.
    """
    names = [name for name in SHARES if name not in given]
    rest = [SHARES[name] for name in names[1:]]
    parts = dict(zip(names, hash_split(keys, [1 - sum(rest), *rest]), strict=True))
    for name, indices in parts.items():
        if not len(indices):
            remedy = "" if name == "train" else f" or {name}="
            raise ValueError(
                f"{where}: of its {sum(map(len, parts.values()))} {kind} none falls into the "
                f"{name} part. Give more {kind}{remedy}."
            )
    return parts


def _keys(inputs):
    """The bytes that stand for each example in a hash."""
    if isinstance(inputs[0], tuple):
        sides = list(zip(*inputs, strict=True))
        inputs = min(sides, key=lambda side: len(set(side)))
    return [text.encode() if isinstance(text, str) else text.tobytes() for text in inputs]
