"""How the apps import TensorFlow: once Keras is known to run on it, and without greetings."""

import contextlib
import json
import os
import pathlib
import sys


@contextlib.contextmanager
def starting_tensorflow():
    """The block imports TensorFlow, whose greetings stay off stderr.

    What it logs from native code later stays off, too, unless `TF_CPP_MIN_LOG_LEVEL` is set.
    Python's logging is left alone, and a program that has imported TensorFlow itself.

    Raises: ValueError where Keras is set to run on another library, which would crash or fail.
    """
    check_backend()
    if "tensorflow" in sys.modules:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        yield


def check_backend():
    """Raises ValueError where Keras runs, or would run, on another library than TensorFlow.

    Imports neither of them: two such libraries in one process have been seen to crash it.
    """
    backend, origin = _backend()
    if backend != "tensorflow":
        remedy = f"unset {origin}" if origin == "KERAS_BACKEND" else f'set "backend" in {origin}'
        raise ValueError(
            f"The apps need TensorFlow, and Keras is set to {backend!r} by {origin}: {remedy}, or "
            "set KERAS_BACKEND=tensorflow. (`deepapps.layers` also run on JAX.)"
        )


def _backend():
    """The library that Keras runs on or will run on, and what says so; read as Keras reads it."""
    if named := os.environ.get("KERAS_BACKEND"):
        origin = "KERAS_BACKEND"
    else:
        origin = os.path.join(os.environ.get("KERAS_HOME") or "~/.keras", "keras.json")
        named = _named_in(os.path.expanduser(origin))
    if "keras" in sys.modules:  # a program may have set another one before it imported Keras
        named = sys.modules["keras"].backend.backend()
    return named, origin


def _named_in(file):
    try:
        return json.loads(pathlib.Path(file).read_bytes()).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):  # Keras takes such a file for an empty one
        return "tensorflow"


@contextlib.contextmanager
def silent_stderr():
    """Keeps native code, which writes to the file descriptor, from writing to stderr."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without a stderr
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
