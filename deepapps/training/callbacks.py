"""Keras callbacks in our loop: made from settings, given their direction, and kept over a
resume.
"""

import logging

import keras
import numpy as np
import tensorflow as tf

from deepapps.files import plain
from deepapps.keras_internals import better_direction
from deepapps.task import direction_of, monitored_direction
from deepapps.training.progress import ProgressReport

_logger = logging.getLogger(__name__)

_STATE_OF = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: (
        "best",
        "epochs_since_last_save",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
        "_current_epoch",
    ),
}
_STATELESS = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.CSVLogger,
    keras.callbacks.TerminateOnNaN,
    keras.callbacks.LambdaCallback,
    keras.callbacks.TensorBoard,
    keras.callbacks.History,
    ProgressReport,
)


_WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
    ProgressReport,
)

_SET_LEARNING_RATE = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
)

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class Muted(keras.callbacks.Callback):
    """Stands, on the other workers, for a callback that writes, which is for the chief to do.

    Args:
        callback: The callback.
    """

    def __init__(self, callback):
        super().__init__()
        self.callback = callback

    def get_state(self):
        return {}

    def set_state(self, state):
        """The chief's has it."""


def make_callbacks(session, callbacks):
    """All callbacks of a training in a Keras `CallbackList`: the user's, then those of the
    settings.

    Args:
        session: The `Session`.
        callbacks: The user's callbacks.
    Raises: ValueError when TensorBoard logs are asked for, and there is no folder for them.
    """
    settings, task, state = session.settings, session.task, session.state
    monitor = f"val_{task.monitor}"
    direction = monitored_direction(task, settings)
    callbacks = list(callbacks)
    if settings.patience is not None:
        patience = keras.callbacks.EarlyStopping(
            monitor, patience=settings.patience, mode=direction
        )
        callbacks.append(patience)
    if settings.tensorboard:
        if session.keeper.folder is None:
            raise ValueError(
                "`tensorboard` needs the folder of a Run: there is none in this training."
            )
        callbacks.append(keras.callbacks.TensorBoard(session.keeper.folder / "tensorboard"))
    if settings.progress:
        said = (
            settings.strategy == "auto"
            and state.workers.strategy is not tf.distribute.get_strategy()
        )
        first = [f"strategy: {state.workers}"] if said else []
        callbacks.append(ProgressReport("\n".join([*first, session.splits.description])))
    own = {metric.name: better_direction(metric) for metric in state.metrics}
    set_directions(callbacks, {"loss": "min", **own, task.monitor: direction})
    chief = state.workers.is_chief
    if not chief:
        callbacks = [Muted(one) if isinstance(one, _WRITERS) else one for one in callbacks]
    params = {"epochs": settings.epochs, "steps": state.feed.steps, "verbose": 0, "chief": chief}
    return keras.callbacks.CallbackList(callbacks, add_history=True, model=state.model, **params)


def check_no_batch_hooks(callbacks):
    """Raises ValueError when a callback has something to do at every batch, of which parameter
    servers keep no order.
    """
    for callback in callbacks:
        if _follows_batches(callback):
            raise ValueError(
                "With parameter servers no batch comes after another: callbacks must do without "
                f"batch hooks. Received: {_name(callback)}"
            )


def check_learning_rate(callbacks, schedule):
    """Raises ValueError when a callback sets the learning rate, and a schedule does, too.

    Args:
        schedule: The name of the schedule, or None.
    """
    for callback in callbacks:
        if schedule and isinstance(callback, _SET_LEARNING_RATE):
            raise ValueError(
                f"{_name(callback)} sets the learning rate, and so does the schedule {schedule}: "
                "give learning_rate_schedule='constant', or leave out the callback."
            )


def set_directions(callbacks, directions):
    """Tells callbacks that watch a figure with `mode="auto"` which way it is better.

    Keras finds that out from a compiled model only.

    Args:
        directions: `{figure: "min" or "max"}`, without `val_`.
    """
    for callback in callbacks:
        name = getattr(callback, "monitor", "").removeprefix("val_")
        direction = direction_of(name, directions)
        if getattr(callback, "mode", None) == "auto" and direction:
            callback.mode = direction


def state_of(callbacks):
    """The state of the callbacks that have any: a list of what JSON can hold, and the arrays
    among it by name.
    """
    states, arrays = [], {}
    for index, callback in enumerate(_with_state(callbacks)):
        state = _get_state(callback)
        for name, value in (state or {}).items():
            if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
                arrays |= {
                    f"callback/{index}/{name}/{place}": array for place, array in enumerate(value)
                }
                state[name] = {"arrays": len(value)}
        states.append({"class": _name(callback), "state": state})
    return states, arrays


def restore_state(callbacks, states, arrays):
    """Gives callbacks back what `state_of` took; those without a state start anew, with one
    warning.
    """
    callbacks = _with_state(callbacks)
    names = [_name(callback) for callback in callbacks]
    if names != [state["class"] for state in states]:
        _logger.warning("The callbacks are not those of the stopped run: all start anew.")
        return
    anew = [
        name for name, callback in zip(names, callbacks, strict=True) if not _restores(callback)
    ]
    if anew:
        _logger.warning(
            "These callbacks have no get_state and set_state, and start anew: %s", ", ".join(anew)
        )
    for index, (callback, saved) in enumerate(zip(callbacks, states, strict=True)):
        state = dict(saved["state"] or {})
        for name, value in state.items():
            if isinstance(value, dict) and set(value) == {"arrays"}:
                state[name] = [
                    arrays[f"callback/{index}/{name}/{place}"] for place in range(value["arrays"])
                ]
        _set_state(callback, state)


def _name(callback):
    return type(callback.callback if isinstance(callback, Muted) else callback).__name__


def _follows_batches(callback):
    """Whether a callback has a batch hook; of those of Keras, which have some at any rate,
    whether it is used.
    """
    if isinstance(callback, keras.callbacks.ModelCheckpoint | keras.callbacks.BackupAndRestore):
        return callback.save_freq != "epoch"
    if isinstance(callback, keras.callbacks.TensorBoard):
        return callback.update_freq != "epoch"
    if isinstance(callback, keras.callbacks.TerminateOnNaN):
        return False  # the loop itself looks at every batch
    return any(
        getattr(getattr(callback, hook), "__func__", None)
        is not getattr(keras.callbacks.Callback, hook)
        for hook in _BATCH_HOOKS
    )


def _get_state(callback):
    if hasattr(callback, "get_state"):
        return callback.get_state()
    names = _built_in_state(callback)
    return {name: plain(getattr(callback, name)) for name in names} if names else None


def _set_state(callback, state):
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)


def _built_in_state(callback):
    names = next((names for kind, names in _STATE_OF.items() if isinstance(callback, kind)), ())
    # some depend on the callback's arguments
    return [name for name in names if hasattr(callback, name)]


def _restores(callback):
    return hasattr(callback, "set_state") or _built_in_state(callback)


def _with_state(callbacks):
    """The callbacks but those that need none, so that `progress` and the like can change in a
    resume.
    """
    own = [callback.callback if isinstance(callback, Muted) else callback for callback in callbacks]
    pairs = zip(callbacks, own, strict=True)
    return [
        one for one, its in pairs if not isinstance(its, _STATELESS) or hasattr(its, "set_state")
    ]
