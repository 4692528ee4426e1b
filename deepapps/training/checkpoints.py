"""Checkpoints: everything that a run needs to go on to the exact bit, in one file each.

A checkpoint is an .npz of the values of all variables, with the state of the loop as JSON beside
them. It is written aside and renamed into place; its CRC sums tell a damaged one.
"""

import json
import logging
import pathlib
import typing
import zipfile
import zlib

import numpy as np
import tensorflow as tf

from deepapps.data.npz import check_array_size
from deepapps.files import write_atomically
from deepapps.typed_json import within

KEPT = 2  # one to use, and the one before should it turn out damaged
_STATE = "state.json"
_logger = logging.getLogger(__name__)
_Count = typing.Annotated[int, within(0, 2**53)]


class Position(typing.TypedDict):
    """The state of the loop, as a checkpoint holds it."""

    epoch: _Count
    step: _Count
    history: list[dict[str, object]]
    best: float | None
    seconds: float
    examples: int | None
    epochs: _Count
    stopped: bool
    callbacks: list[
        typing.TypedDict("CallbackState", {"class": str, "state": dict[str, object] | None})
    ]


_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RecursionError,
    zipfile.BadZipFile,
    zlib.error,
)


def save_checkpoint(folder, epoch, step, arrays, state):
    """Writes a checkpoint and deletes those that are no longer needed.

    Args:
        folder: The checkpoint folder of the Run.
        epoch, step: The position from which to go on; they name the file and order the files.
        arrays: `{name: array}`.
        state: What JSON can hold.
    Returns: the path of the checkpoint.
    """
    path = pathlib.Path(folder) / f"{epoch:05d}-{step:09d}.npz"
    encoded = np.frombuffer(json.dumps(state).encode(), "uint8")
    with write_atomically(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{_STATE: encoded}, **arrays)
    for old in checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder):
    """The paths of the checkpoints in a folder, the newest first."""
    return sorted(pathlib.Path(folder).glob("*.npz"), reverse=True)


def newest_checkpoint(folder):
    """Reads the newest checkpoint that is whole; a damaged one is passed over with a warning.

    Returns: `(path, arrays, state)`, or None where there is none.
    """
    for path in checkpoints(folder):
        try:
            with np.load(path, allow_pickle=False) as file:
                for name in file.files:
                    check_array_size(file, path, name)
                arrays = {name: file[name] for name in file.files}
            return path, arrays, json.loads(arrays.pop(_STATE).tobytes())
        except _DAMAGED as error:
            _logger.warning("Checkpoint %s is damaged (%s): the one before is used.", path, error)
    return None


def read_variables(workers, variables):
    """The values of variables, as `{name: array}`; a metric's are kept apart for each replica.

    All workers must call this together; all but the chief get those of the metrics alone.

    Args:
        workers: The `Workers` of the strategy.
        variables: `{name: keras.Variable}`.
    """
    apart = {
        name: variable.value for name, variable in variables.items() if _is_kept_apart(variable)
    }
    values = dict(zip(apart, workers.gather(list(apart.values())), strict=True))
    shared = [name for name in variables if name not in apart and workers.is_chief]
    return values | {name: variables[name].value.numpy()[np.newaxis] for name in shared}


def check_variables(workers, variables, arrays):
    """Raises ValueError when names, shapes or replicas of what `read_variables` gave do not
    agree.
    """
    for name, variable in variables.items():
        copies = workers.count * workers.replicas if _is_kept_apart(variable) else 1
        wanted = (copies, *variable.shape)
        if name not in arrays or arrays[name].shape != wanted:
            found = arrays[name].shape if name in arrays else "nothing"
            raise ValueError(
                f"The checkpoint does not fit: {name} needs shape {wanted}, and it holds {found}."
            )


def write_variables(workers, variables, arrays):
    """Assigns what `read_variables` gave."""
    for name, variable in variables.items():
        values = arrays[name].view(variable.value.dtype.as_numpy_dtype)
        if _is_kept_apart(variable):
            workers.scatter(variable.value, values)
        else:
            variable.value.assign(values[0])


def _is_kept_apart(variable):
    """Whether each replica has its own value, as of a metric."""
    return variable.value.synchronization == tf.VariableSynchronization.ON_READ
