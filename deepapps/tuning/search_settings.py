"""The settings of a search."""

import dataclasses

from deepapps.settings import MOST_EPOCHS, MOST_WORKERS, Settings, close_names, setting
from deepapps.task import direction_of

OF_A_TRIAL = ("parameters", "latency", "seconds")  # objectives that are no validation metrics
FREE_ON_RESUME = ("trials", "workers", "time_limit", "retrain", "progress")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchSettings(Settings):
    """How to search. Everything else that `search` and `deepapps tune` take fixes a setting of
    the trials.
    """

    trials: int | None = setting(
        None,
        "Trials at most; default: 20; of `grid` and `hyperband` all that they ask for.",
        minimum=1,
        maximum=MOST_EPOCHS,
    )
    workers: int = setting(
        1,
        "Trials at a time; the cores, or the GPUs, are shared out to them.",
        minimum=1,
        maximum=MOST_WORKERS,
    )
    threads: int | None = setting(
        None,
        "Threads of a trial; default: the cores, shared out to the workers.",
        minimum=1,
        maximum=MOST_WORKERS,
    )
    tuner: str = setting(
        "bayesian",
        "What picks the next trial.",
        choices=("random", "grid", "bayesian", "hyperband"),
    )
    pruner: str = setting(
        "none",
        "What stops hopeless trials early: `median`, or `halving` (asynchronous successive "
        "halving).",
        choices=("none", "median", "halving"),
    )
    objective: str | None = setting(
        None,
        "Validation metrics, `parameters`, `latency` (ms an example) or `seconds`, with commas; a "
        "sign where the name does not say which way it is better, `+gain`, `-gain`. The first "
        "picks the best trial. Default: what the task monitors.",
    )
    repeats: int = setting(
        1,
        "Trainings of each trial, with seeds of their own; their mean counts.",
        minimum=1,
        maximum=MOST_EPOCHS,
    )
    retrain: int = setting(
        3,
        "Trainings of the best settings with fresh seeds, measured on the test split.",
        minimum=0,
        maximum=MOST_EPOCHS,
    )
    time_limit: float | None = setting(
        None,
        "Seconds after which the search ends; trials that run then go on with a resume.",
        above=0,
    )
    trial_time_limit: float | None = setting(
        None, "Seconds after which a trial counts as failed.", above=0
    )
    seed: int = setting(
        0, "Seed of the search; those of the trials follow from it.", minimum=0, maximum=2**31 - 1
    )
    progress: bool = setting(True, "Show the trials on stderr.")


@dataclasses.dataclass(frozen=True)
class Objective:
    """A figure of a trial, and which way it is better.

    Args:
        figure: Its name among the figures of a trial: `val_accuracy`, `parameters`.
        direction: "max" or "min".
    """

    figure: str
    direction: str

    @property
    def sign(self):
        """1 where more is better, else -1."""
        return 1 if self.direction == "max" else -1

    def best(self, values):
        """The best of some values."""
        return max(values) if self.direction == "max" else min(values)


def objectives_of(text, task):
    """The `Objective`s that the setting names; by default what the task monitors.

    Args:
        text: Such as "accuracy,parameters", or None. A sign says which way a metric is better:
            `+gain`, `-gain`.
        task: The `Task`.
    Raises: ValueError for an empty name, one that stands twice, and a sign that is missing or
        wrong.
    """
    if text is None:
        return [Objective(f"val_{task.monitor}", task.direction)]
    names = [name.strip() for name in text.split(",")]
    plain = [name.lstrip("+-") for name in names]
    if not all(plain) or len(set(plain)) < len(plain):
        raise ValueError(
            "`objective` must be different figures with commas between. Received: "
            f"objective={text!r}"
        )
    return [_objective(name, task) for name in names]


def _objective(name, task):
    """The `Objective` of a name with or without a sign."""
    plain = name.lstrip("+-")
    known = direction_of(plain, task.directions)
    if name == plain and known is None:
        hint = close_names(plain, {task.monitor, "accuracy", "f1", "loss", *OF_A_TRIAL})
        raise ValueError(
            f"`objective`: which way is {plain!r} better? Write +{plain} or -{plain}.{hint}"
        )
    direction = known
    if name != plain:
        direction = "max" if name.startswith("+") else "min"
        if known not in (None, direction):
            which = "more" if known == "max" else "less"
            raise ValueError(
                f"`objective`: of {plain} {which} is better. Write {plain}. Received: {name}"
            )
    return Objective(plain if plain in OF_A_TRIAL else f"val_{plain}", direction)
