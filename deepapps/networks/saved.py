"""Models from a `.keras` file that may come from a stranger: it is read first, then built from an
allow-list.

Keras's own loader builds whatever the config in the file names: besides layers these are functions
of Keras that write files or go to the network, and layers that hold code.
"""

import contextlib
import functools
import io
import json
import math
import os
import pathlib
import random
import re
import sys
import zipfile

import h5py
import keras

import deepapps.layers
import deepapps.networks.translation  # noqa: F401 (both register what a model may hold)
from deepapps.keras_internals import config_made_by, load_weights, model_of_config

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
LARGEST_CONFIG = 2**26  # bytes
# a part of more bytes than that may be that many times what is stored of it
SMALL, LARGEST_RATIO = 2**24, 10
LARGEST_OUTPUT = 2**28  # numbers that a layer puts out for one example
LONGEST_REASON = 200  # letters; Keras's may hold code or weights
ADVICE = "Only layers of Keras and deepapps, and what you have registered, are loaded"

# layers that hold code, or read files
_REFUSED = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "MelSpectrogram")
_PLAIN = ("__keras_tensor__", "__bytes__", "__ellipsis__", "__slice__", "__tensor__", "__numpy__")


def load_model(path: str | os.PathLike) -> keras.Model:
    """Loads a model, uncompiled, without running anything that the file brings.

    Args:
        path: A `.keras` file, as Keras writes it.
    Raises: ValueError, in one line, for a file that is damaged, names anything but layers of Keras,
        of deepapps or registered by the caller (`keras.saving.register_keras_serializable`), or
        claims to be larger than it is.
    """
    path = pathlib.Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(archive)
            config, weights = _parsed(archive.read(CONFIG)), io.BytesIO(archive.read(WEIGHTS))
        check_config(config)
        stored = _numbers_of(weights)
        with model_of_config(config) as model:
            _check_sizes(model, stored)
        load_weights(model, weights)
    except Exception as error:  # Keras lets out whatever a damaged file leads to
        raise ValueError(f"{path}: cannot be loaded ({_reason(error)})") from None
    return model


def check_loadable(model: keras.Model) -> None:
    """Raises ValueError, in one line, for a model that could be saved, but not loaded again: with a
    layer or a function that is not registered, or a layer whose config does not make it anew.

    It draws no random numbers: layers made anew draw their seeds from Python's generator.
    """
    drawn = random.getstate()
    try:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        check_config(config)
        with contextlib.suppress(_Made), model_of_config(config):
            raise _Made
    except Exception as error:  # Keras lets out whatever a layer's own code leads to
        raise ValueError(
            "The model could not be loaded again. Put @keras.saving.register_keras_serializable() "
            "before each layer, model and function of your own, and give it a `get_config` with "
            f"all arguments. Lambda layers cannot be loaded. ({_reason(error, ADVICE)})"
        ) from None
    finally:
        random.setstate(drawn)


def _reason(error, left_out=""):
    """The innermost reason of what Keras raises, in one line."""
    reason = str(error).rpartition("Exception encountered: ")[2].replace(left_out, "").strip(" .")
    return (reason.splitlines() or [type(error).__name__])[0][:LONGEST_REASON]


class _Made(Exception):
    """The model could be made, and is not needed: it never gets its memory."""


def is_made_by(model, make):
    """Whether a model is the one that the function `make` makes, but for the names of its parts and
    the values of its weights.
    """
    return _unnamed(model.get_config()) == _unnamed(config_made_by(make))


def _unnamed(config):
    """A config as text, without initializers, in which names are numbered in their order."""
    text = json.dumps(_without_initializers(config), default=str)
    names = dict.fromkeys(re.findall(r'"name": "([^"]+)"', text))
    numbers = {name: f"#{number}" for number, name in enumerate(names)}
    return re.sub(r'"([^"]+)"', lambda found: numbers.get(found[1], found[1]), text)


def _without_initializers(config):
    if isinstance(config, dict):
        kept = {key: part for key, part in config.items() if not key.endswith("initializer")}
        return {key: _without_initializers(part) for key, part in kept.items()}
    if isinstance(config, list | tuple):
        return [_without_initializers(part) for part in config]
    return config


def _check_archive(archive):
    """Raises ValueError for other parts than Keras writes, and for parts that are larger than
    what is stored of them.
    """
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted({CONFIG, WEIGHTS, *names} & {CONFIG, WEIGHTS, METADATA}):
        raise ValueError(
            f"it must hold {CONFIG}, {METADATA} and {WEIGHTS} once each. Received: "
            f"{', '.join(names)}"
        )
    for member in members:
        if member.file_size > max(SMALL, LARGEST_RATIO * member.compress_size):
            raise ValueError(
                f"{member.filename} unpacks to {member.file_size:,} bytes, of "
                f"{member.compress_size:,}"
            )
    if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
        raise ValueError(f"{CONFIG} must have at most {LARGEST_CONFIG} bytes")


def _parsed(text):
    try:
        config = json.loads(text)
    except RecursionError:
        raise ValueError(f"{CONFIG} is nested too deeply") from None
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(f"{CONFIG} must describe a model")
    return config


def _numbers_of(weights):
    """How many numbers a file of weights holds."""
    with h5py.File(weights, "r") as file:
        return sum(_size_of(file, name) for name in _datasets(file))


def _datasets(group):
    """Names of all data sets below a group; ValueError for links, which may lead into other
    files.
    """
    names = []
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{WEIGHTS} must hold no links. Received: {group.name}/{name}")
        item = group[name]
        names += _datasets(item) if isinstance(item, h5py.Group) else [item.name]
    return names


def _size_of(file, name):
    """Number of values of a data set that the file itself holds in full."""
    data = file[name]
    elsewhere = data.external or data.is_virtual
    if (
        elsewhere
        or data.dtype.hasobject
        or data.id.get_storage_size() < data.size * data.dtype.itemsize
    ):
        raise ValueError(f"{WEIGHTS} must hold its numbers itself, uncompressed. Received: {name}")
    return data.size


def check_config(config: dict) -> None:
    """Raises ValueError for anything in the config of a Keras object that is not on the allow-list.

    What would compile a model is taken out of it.
    """
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            part.pop("compile_config", None)
            if "class_name" in part:
                _check_object(part)
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _check_object(part):
    """Raises ValueError for an object that is not on the allow-list."""
    name, module, config = part["class_name"], part.get("module"), part.get("config")
    if name in ("__tensor__", "__numpy__"):
        _check_array(config)
    if name in _PLAIN:
        return
    if name == "function":
        if keras.saving.get_registered_object(str(config)) is None and not _is_activation(
            config, module
        ):
            raise ValueError(f"it names the function {module}.{config}. {ADVICE}")
        return
    registered = part.get("registered_name")
    if isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None:
        return
    if not isinstance(config, dict) or _class(module, name) not in _allowed():
        raise ValueError(f"it names {module}.{registered or name}. {ADVICE}")
    if isinstance(config.get("vocabulary"), str):
        raise ValueError(
            f"{name} must hold its vocabulary itself. Received: the file {config['vocabulary']}"
        )


def _check_array(config):
    """Raises ValueError for an array of a dtype that makes more of it than stands in the config."""
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if dtype not in ("bool", "string") and not _is_number(dtype):
        raise ValueError(f"an array must be of numbers. Received: dtype={dtype!r}")


def _is_number(dtype):
    try:
        return keras.backend.standardize_dtype(dtype) == dtype
    except (ValueError, TypeError):
        return False


def _is_activation(name, module):
    return (
        module == "builtins"
        and isinstance(name, str)
        and callable(vars(keras.activations).get(name))
        and (name not in ("get", "serialize", "deserialize"))
    )


def _class(module, name):
    """What Keras finds under a name; None where it is none of Keras's, or none that is imported."""
    if not isinstance(module, str) or not isinstance(name, str) or module.split(".")[0] != "keras":
        return None
    return getattr(sys.modules.get(module), name, None)


@functools.cache
def _allowed():
    """The classes of Keras that a model may be made of."""
    rooms = (
        keras.layers,
        keras.initializers,
        keras.regularizers,
        keras.constraints,
        keras.dtype_policies,
        keras.optimizers,
        keras.optimizers.schedules,
    )
    classes = {one for room in rooms for one in vars(room).values() if isinstance(one, type)}
    models = {
        keras.Model,
        keras.Sequential,
        keras.DTypePolicy,
        type(keras.Model(*[keras.Input(())] * 2)),
    }
    operations = {
        one for one in _subclasses(keras.Operation) if one.__module__.startswith("keras.src.ops.")
    }
    return (classes | models | operations) - {
        getattr(keras.layers, name, None) for name in _REFUSED
    }


def _subclasses(cls):
    return {below for one in cls.__subclasses__() for below in (one, *_subclasses(one))}


def _check_sizes(model, stored):
    """Raises ValueError for a model of more weights than the file holds, or with a layer that
    puts out too much.
    """
    needed = sum(math.prod(weight.shape) for weight in model.weights)
    if needed > stored:
        raise ValueError(f"its layers have {needed:,} weights, and {WEIGHTS} holds {stored:,}")
    for operation in getattr(model, "operations", []):
        for output in keras.tree.flatten(operation.output):
            if math.prod(size or 1 for size in output.shape) > LARGEST_OUTPUT:
                raise ValueError(
                    f"its layer {operation.name} puts out {output.shape} for one example"
                )
