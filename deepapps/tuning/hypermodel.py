"""A task for plain Keras Tuner: its tuners, in this process, with the loop of deepapps inside."""

import keras_tuner

from deepapps.settings import TrainingSettings
from deepapps.task import monitored_direction
from deepapps.training.session import Session
from deepapps.tuning.space import Space


class TaskHyperModel(keras_tuner.HyperModel):
    """The networks of a task over a space, trained by deepapps.

        tuner = keras_tuner.Hyperband(TaskHyperModel(task), objective="val_accuracy", max_epochs=9)
        tuner.search()

    Keras Tuner gives the callbacks, the epochs and, for Hyperband, the weights to go on from.

    Args:
        task: The `Task`.
        space: A function `hp -> settings`. Defaults to the task's own.
        **fixed: Settings of the task and the training that no trial changes.
    """

    def __init__(self, task, space=None, **fixed):
        super().__init__()
        self._space = Space(space or task.space, task, fixed)

    def build(self, hp):
        """The network with the hyperparameters."""
        task, _ = self._space.split(self._space(hp))
        task.data()
        return task.network()

    def fit(
        self, hp, model, callbacks=(), epochs=None, initial_epoch=0, verbose="auto", **training
    ):
        """Trains the model; the figures of the best epoch, and `parameters`.

        Args:
            hp: The hyperparameters.
            model: What `build` returned.
            callbacks, epochs, initial_epoch, verbose: As of `keras.Model.fit`.
            **training: Settings of the training.
        """
        task, settings = self._space.split(self._space(hp))
        settings = {**settings, **training}
        settings |= {} if epochs is None else {"epochs": epochs - initial_epoch}
        settings = TrainingSettings(**{**task.training, "progress": bool(verbose), **settings})
        history = Session(task, settings, callbacks=callbacks, model=model).fit()
        figure = f"val_{task.monitor}"
        # None: it was not finite
        known = [line for line in history if line[figure] is not None] or history[:1]
        best = (max if monitored_direction(task, settings) == "max" else min)(
            known, key=lambda line: line[figure]
        )
        numbers = {name: value for name, value in best.items() if isinstance(value, int | float)}
        return numbers | {"parameters": model.count_params()}
