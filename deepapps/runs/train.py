"""`train`: a session, and the folder of its Run."""

import contextlib
import inspect
import logging

import keras

from deepapps.distribution.workers import lost_workers_named
from deepapps.files import storable, write_atomically, write_json
from deepapps.networks.saved import check_loadable
from deepapps.runs.opening import open_run
from deepapps.task import Task
from deepapps.tasks.model import ModelTask, compiled_parts
from deepapps.training.checkpoints import checkpoints
from deepapps.training.optimizers import serialized
from deepapps.training.progress import doing
from deepapps.training.session import Keeper, Session, alone

_logger = logging.getLogger(__name__)


def train(
    task=None,
    *,
    model=None,
    data=None,
    loss=None,
    metrics=None,
    validation_split=None,
    output=None,
    resume=False,
    overwrite=False,
    callbacks=(),
    strategy=None,
    **training,
):
    """Trains a task, or any Keras model, and returns the Run.

    Args:
        task: A `Task`, or what `model` takes. Or else give `model`, `data` and `loss`:
        model: A function that builds a `keras.Model`; or, on one replica, a built one. Where this
            is compiled, its loss, metrics and optimizer are taken.
        data: `Splits`; or what to train on: a source, a tuple of arrays `(inputs, targets[,
            weights])`, or a `tf.data.Dataset` of batches.
        loss: A Keras loss or its name, or a function `(targets, outputs)` to losses per example.
            For several outputs a dict or list of these, or of `(loss, weight)`.
        metrics: Keras metrics or their names. For several outputs a dict or list of such lists.
        validation_split: Share of the arrays, 0 to 1, at their end, to validate with.
        output: Folder of the Run. Defaults to a new `runs/<task>-<date>-<time>`.
        resume: Go on with the Run in `output`; start where there is none, return it where it is
            finished.
        overwrite: Replace a Run that stands in `output`.
        callbacks: `keras.callbacks.Callback` objects; batch hooks come once a compiled call.
        strategy: `auto`, `none`, `mirrored[:N]`, `multi-worker`, `parameter-server`, or a
            `tf.distribute.Strategy`.
        **training: Settings of `TrainingSettings`, such as `epochs`.
    Returns: the `Run`, whose model has the best weights by the task's `monitor`.
    Raises:
        ValueError: for a mistake in the settings or the data.
        FloatingPointError: when the loss is no longer finite.
        SystemExit: with status 143 after a SIGTERM, once a checkpoint is written.
    """
    if isinstance(task, keras.Model) or inspect.isfunction(task):
        task, model = None, _only(task, model)
    loss, metrics, training = _with_compiled(model, loss, metrics, training)
    task = _task(task, model, data, loss, metrics, validation_split)
    _check_made(training)
    for name in {"optimizer", "learning_rate_schedule"} & training.keys():
        training[name] = serialized(training[name])
    if strategy is not None:
        training["strategy"] = strategy if isinstance(strategy, str) else type(strategy).__name__
    run = open_run(task, training, output, resume, overwrite)
    if not run.finished:
        with session_of(run, callbacks, strategy) as session:
            session.fit()
            finish(run, session)
    return run


@contextlib.contextmanager
def session_of(run, callbacks=(), strategy=None):
    """Yields the `Session` that trains a Run which `open_run` has opened; the block holds the Run's
    folder.

    All that may be wrong is found before anything is written.

    Args:
        run: The `Run`.
        callbacks, strategy: As in `train`.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(lost_workers_named(run))
        stack.enter_context(alone())
        if run.is_begun:
            run.task.load(run.path)
        session = Session(run.task, run.training, strategy, callbacks, keeper=RunKeeper(run))
        check_loadable(session.model)
        if session.workers.is_chief:
            stack.enter_context(run.held())
        if run.versions is not None:
            run.check_data(session.splits)
            session.state.find(run.path / "checkpoints")
        if session.workers.is_chief:
            run.start(session.splits)
        yield session


class RunKeeper(Keeper):
    """Keeps the best weights, the checkpoints and the history in the folder of a Run.

    Args:
        run: The `Run`.
    """

    def __init__(self, run):
        self._run = run

    @property
    def folder(self):
        return self._run.path

    def restore(self, session):
        session.state.restore(session.callbacks.callbacks)

    def keep_weights(self, session):
        if session.workers.is_chief:
            with write_atomically(self.folder / "model.keras") as temporary:
                session.model.save(temporary)

    def keep_state(self, session):
        session.state.save(self.folder / "checkpoints", session.callbacks.callbacks)

    def end_epoch(self, session):
        if session.workers.is_chief:
            self._run.write_history(session.history)
        self.keep_state(session)

    def after_stop(self, session):
        kept = (
            "nothing is lost"
            if session.state.feed.resumes_within_epoch
            else "the epoch will begin anew"
        )
        return f"{kept}. Go on with: {self._run.resume_command}"

    def after_failure(self, session):
        last = checkpoints(self.folder / "checkpoints")
        return f"Last good checkpoint: {last[0] if last else 'none'}."


def finish(run, session):
    """Puts the best weights into the model, opens the test set, and writes metrics and report."""
    session.workers.settle(())  # the chief has written them
    session.model.load_weights(run.path / "model.keras")
    run.model = session.model
    sources = session.splits.held_out
    with doing("measuring the best weights", run.training.progress):
        metrics = {split: storable(session.evaluate(source)) for split, source in sources.items()}
    if session.workers.is_chief:
        # somebody may have had the report of the unfinished Run written
        (run.path / "report" / "index.html").unlink(missing_ok=True)
        write_json(run.path / "metrics.json", metrics)
        split = next((split for split in ("test", "validation") if split in sources), None)
        if split and (
            examples := run.task.examples(session.predictor, sources[split], metrics[split])
        ):
            write_json(run.path / "examples.json", storable(examples))
        with doing("writing the report", run.training.progress):
            run.task.illustrate(run.path, session.splits)
            run.report()
    session.workers.settle(())  # the others return a finished Run, too


def _task(task, model, data, loss, metrics, validation_split):
    """The task given, or the one that the model, the data, the loss and the metrics make."""
    parts = {
        "model": model,
        "data": data,
        "loss": loss,
        "metrics": metrics,
        "validation_split": validation_split,
    }
    given = [f"`{name}`" for name, value in parts.items() if value is not None]
    if task is None:
        return ModelTask(model, data, loss, metrics or (), validation_split)
    if isinstance(task, type) and issubclass(task, Task):
        raise ValueError(
            f"`task` must be an instance of a Task: write train({task.__name__}()). Received the "
            "class."
        )
    if not isinstance(task, Task):
        raise ValueError(f"`task` must be an instance of a Task. Received: {task!r}")
    if given:
        raise ValueError(f"A task has its own {given[0]}: leave it out, or leave out the task.")
    return task


def _only(model, other):
    if other is not None:
        raise ValueError("The model is given twice: leave out `model`.")
    return model


def _with_compiled(model, loss, metrics, training):
    """The loss, the metrics and the training settings, with what a compiled model brings beneath
    what is given.
    """
    parts = compiled_parts(model)
    given = {"loss": loss, "metrics": metrics, "optimizer": training.get("optimizer")}
    other = [name for name in parts if given[name] is not None and parts[name] is not None]
    if other:
        _logger.warning(
            "Of what the model was compiled with these are not used, but those given: %s.",
            ", ".join(other),
        )
    loss, metrics, optimizer = (
        parts.get(name) if value is None else value for name, value in given.items()
    )
    return loss, metrics, training if optimizer is None else training | {"optimizer": optimizer}


def _check_made(training):
    """Raises ValueError for settings of the learning rate beside an optimizer that has its own."""
    if isinstance(training.get("optimizer"), str | None):
        return
    for name in ("learning_rate", "learning_rate_schedule", "warmup", "final_learning_rate"):
        if name in training:
            raise ValueError(
                f"`{name}` is that of the optimizer, which was made before: set it there, or give "
                "`optimizer` by its name."
            )
