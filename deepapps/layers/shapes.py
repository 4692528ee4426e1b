"""Checks of what a layer is given: every failure is a ValueError that names argument, rule and
finding.
"""

import numbers

import keras


def check_shapes(sizes=None, **arguments):
    """Checks ranks, and that a letter means one size everywhere.

    Args:
        sizes: Sizes known beforehand, `{letter: size}`.
        arguments: `name=(tensor or None, "B Tq D")`: the axes of each argument by their letters.
    Raises: ValueError that names the argument, its axes with the sizes known by then, and its
        shape.
    """
    sizes = dict(sizes or {})
    for name, (tensor, axes) in arguments.items():
        if tensor is None:
            continue
        letters, shape = axes.split(), tuple(tensor.shape)
        known = [sizes.get(letter, size) for letter, size in zip(letters, shape, strict=False)]
        if len(letters) != len(shape) or not same_shape(known, shape):
            rule = ", ".join(f"{letter}={sizes[letter]}" for letter in letters if sizes.get(letter))
            rule = f" with {rule}" if rule else ""
            raise ValueError(
                f"`{name}` must have the shape ({', '.join(letters)}){rule}. Received: shape "
                f"{shape}"
            )
        sizes |= {
            letter: size for letter, size in zip(letters, known, strict=True) if size is not None
        }


def same_shape(shape, other):
    """Whether two shapes can be the same; None is any size."""
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(None in pair or len(set(pair)) == 1 for pair in pairs)


def check_built(layer, method):
    """Checks that a layer has its weights, for a method that may be called before the layer was."""
    if not layer.built:
        raise ValueError(
            f"`{type(layer).__name__}.{method}` needs the weights: call the layer, or `build`, "
            "before. Received: not built"
        )


def check_masks(**masks):
    """Checks that masks are boolean, or integers that say 0 or 1."""
    for name, mask in masks.items():
        if mask is not None and not hasattr(mask, "dtype"):
            raise ValueError(f"`{name}` must be a boolean tensor. Received: {type(mask).__name__}")
        dtype = "bool" if mask is None else keras.backend.standardize_dtype(mask.dtype)
        if dtype != "bool" and "int" not in dtype:
            raise ValueError(f"`{name}` must be boolean. Received: dtype={dtype}")


def check_positive(optional=(), **values):
    """Checks whole numbers of at least 1; those named in `optional` may be None."""
    for name, number in values.items():
        if number is None and name in optional:
            continue
        if not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(
                f"`{name}` must be a positive whole number. Received: {name}={number!r}"
            )


def positive_axes(name, sizes):
    """The sizes of axes as a tuple, from one size or several; None stays None. Each is at least
    1.
    """
    if sizes is None:
        return None
    axes = tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)
    if not axes:
        raise ValueError(f"`{name}` must hold a size. Received: {name}={sizes!r}")
    for size in axes:
        check_positive(**{name: size})
    return axes


def output_shape(layer, *shapes):
    """For `compute_output_shape`: the shapes of what the layer returns, from those of its first
    arguments, or None.
    """
    tensors = [None if shape is None else keras.KerasTensor(shape) for shape in shapes]
    return keras.tree.map_structure(
        lambda tensor: tensor.shape, layer.compute_output_spec(*tensors)
    )


def check_rate(**rates):
    """Checks rates of dropout."""
    for name, rate in rates.items():
        if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
            raise ValueError(
                f"`{name}` must be at least 0 and less than 1. Received: {name}={rate!r}"
            )


def clone(initializer):
    """The initializer anew, since one gives the same values each time; a plain function is
    itself.
    """
    return initializer.clone() if hasattr(initializer, "clone") else initializer


def built_sizes(layer, **letters):
    """The widths that the weights of a built layer fit, `{letter: width}`; none for a layer without
    weights.

    Args:
        letters: Letter of the last axis of each argument, as in `query="Dq"`.
    """
    if not (layer.built and layer.weights):
        return {}
    config = layer.get_build_config()
    shapes = config.get("shapes_dict") or {f"{next(iter(letters))}_shape": config["input_shape"]}
    shapes = {name: shapes.get(f"{name}_shape") for name in letters}
    return {letters[name]: shape[-1] for name, shape in shapes.items() if shape is not None}
