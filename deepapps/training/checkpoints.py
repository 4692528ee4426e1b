"""Checkpoints: everything that a run needs to go on to the exact bit, in one file each.

A checkpoint is an .npz of the values of all variables, with the state of the loop as JSON beside
them. It is written aside and renamed into place; its CRC sums tell a damaged one.
"""

import json
import logging
import pathlib
import zipfile
import zlib

import numpy as np
import tensorflow as tf

from deepapps.files import write_atomically

KEPT = 2  # one to use, and the one before should it turn out damaged
_STATE = "state.json"
_logger = logging.getLogger(__name__)


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
                arrays = {name: file[name] for name in file.files}
            return path, arrays, json.loads(arrays.pop(_STATE).tobytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            _logger.warning("Checkpoint %s is damaged (%s): the one before is used.", path, error)
    return None


def read_variables(strategy, variables):
    """The values of variables, as `{name: array}`; a metric's are kept apart for each replica.

    Args:
        variables: `{name: keras.Variable}`.
    """
    return {name: np.stack([part.numpy() for part in _parts(strategy, v)]) for name, v in variables.items()}


def write_variables(strategy, variables, arrays):
    """Assigns what `read_variables` gave.

    Raises: ValueError, before anything is assigned, when names, shapes or replicas do not agree.
    """
    for name, variable in variables.items():
        wanted = (len(_parts(strategy, variable)), *variable.shape)
        if name not in arrays or arrays[name].shape != wanted:
            found = arrays[name].shape if name in arrays else "nothing"
            raise ValueError(
                f"The checkpoint does not fit: {name} needs shape {wanted}, and it holds {found}."
            )
    for name, variable in variables.items():
        values = arrays[name].view(variable.value.dtype.as_numpy_dtype)
        parts = _parts(strategy, variable)
        for part, value in zip(parts if len(parts) > 1 else [variable.value], values, strict=True):
            part.assign(value)


def _parts(strategy, variable):
    """The copies of a variable that may differ: one per replica for a metric, else the first."""
    copies = strategy.experimental_local_results(variable.value)
    kept_apart = variable.value.synchronization == tf.VariableSynchronization.ON_READ
    return copies if kept_apart else copies[:1]
