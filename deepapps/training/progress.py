"""Progress on stderr: a bar on a terminal, and one plain line an epoch everywhere."""

import contextlib

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextlib.contextmanager
def doing(text, is_shown=True):
    """Says on a terminal what is being done, as long as the block takes."""
    console = Console(stderr=True)
    with console.status(text) if is_shown and console.is_terminal else contextlib.nullcontext():
        yield


class ProgressReport(keras.callbacks.Callback):
    """Shows the steps of the epoch as a bar, where stderr is a terminal, and a line at its end.

    Batch hooks come once a compiled call, as under Keras's `steps_per_execution`.

    Args:
        description: What to say before the first epoch.
    """

    def __init__(self, description=""):
        super().__init__()
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar, self._description = None, description

    def on_train_begin(self, logs=None):
        if self._description:
            self._console.print(self._description, markup=False)

    def on_epoch_begin(self, epoch, logs=None):
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            figures = (TimeRemainingColumn(), TextColumn("{task.fields[figures]}"))
            self._bar = Progress(*columns, *figures, console=self._console, transient=True)
            name = f"epoch {epoch + 1}/{self.params['epochs']}"
            self._task = self._bar.add_task(name, total=self.params["steps"], figures="")
            self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        if self._bar:
            self._bar.update(self._task, completed=batch + 1, figures=_line(logs))

    def on_epoch_end(self, epoch, logs=None):
        self.on_train_end()
        width = len(str(self.params["epochs"]))
        self._console.print(f"epoch {epoch + 1:{width}}/{self.params['epochs']}  {_line(logs)}")

    def on_train_end(self, logs=None):
        if self._bar:
            self._bar.stop()
            self._bar = None


def _line(figures):
    """`loss 0.0312  accuracy 0.9901  ...`"""
    names = sorted(
        figures or {},
        key=lambda name: (name == "learning_rate", name.startswith("val_"), "loss" not in name),
    )
    shown = {name: figures[name] for name in names if isinstance(figures[name], int | float)}
    return "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
