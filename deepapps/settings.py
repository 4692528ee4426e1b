"""Settings: frozen dataclasses whose fields carry their range and their help text.

A setting is declared once, `epochs: int = setting(10, "Passes over the data.", minimum=1)`; the
Python keyword, the command-line flag, the check and the documentation all come from that line.
Nothing here imports TensorFlow, so that `deepapps --help` is instant.
"""

import dataclasses
import difflib
import math
import os
import types
import typing

from deepapps.files import read_json

OPTIMIZERS = (
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lamb",
    "lion",
    "nadam",
    "rmsprop",
    "sgd",
)
SCHEDULES = ("constant", "CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PolynomialDecay")
DTYPE_POLICIES = ("float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16")

# what several tasks train with
WARMED_UP_COSINE = {
    "learning_rate_schedule": "CosineDecay",
    "warmup": 0.1,
    "final_learning_rate": 0.01,
}
FOR_SEQUENCES = WARMED_UP_COSINE | {
    "optimizer": "adam",
    "learning_rate": 3e-3,
    "global_clipnorm": 1.0,
    "use_ema": True,
    "ema_momentum": 0.99,
}


def setting(default, help, *, minimum=None, maximum=None, above=None, choices=None):
    """A field of a `Settings` class.

    Args:
        default: Value where the user gives none.
        help: One sentence, with the unit, for the command line and the docs.
        minimum, maximum: Inclusive bounds. Default to none.
        above: Exclusive lower bound. Defaults to none.
        choices: The values allowed, or None for any.
    """
    limits = {"minimum": minimum, "maximum": maximum, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata={"help": help, **limits})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every settings class: checks its values as it is made.

    Raises: ValueError when a value has the wrong type or lies outside its range.
    """

    def __post_init__(self):
        allowed = types_of(type(self))
        for field in dataclasses.fields(self):
            value = _checked(field, allowed[field.name], getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def names(cls):
        """The names of all settings, in their order."""
        return [field.name for field in dataclasses.fields(cls)]

    def as_dict(self):
        """The settings as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    def changed(self, defaults=None):
        """The settings that differ from those of `defaults`, an instance; from the class's own
        where that is None.
        """
        plain = (type(self)() if defaults is None else defaults).as_dict()
        return {name: value for name, value in self.as_dict().items() if value != plain[name]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How to train. The words are Keras's own where Keras has one."""

    epochs: int = setting(10, "Passes over the training examples.", minimum=1)
    batch_size: int = setting(128, "Examples of one step, over all replicas.", minimum=1)
    optimizer: str | dict = setting(
        "adam",
        "Keras optimizer, by name; in Python also a function that makes one.",
        choices=OPTIMIZERS,
    )
    learning_rate: float = setting(1e-3, "Learning rate (its peak, under a schedule).", above=0)
    learning_rate_schedule: str | dict = setting(
        "constant", "Keras schedule over the whole run, by name.", choices=SCHEDULES
    )
    warmup: float = setting(
        0.0,
        "Share of all updates in which CosineDecay warms up from 0; no other schedule does.",
        minimum=0,
        maximum=1,
    )
    final_learning_rate: float = setting(
        0.0,
        "Learning rate at the end of a schedule, as a share of `learning_rate`.",
        minimum=0,
        maximum=1,
    )
    weight_decay: float | None = setting(None, "Decoupled weight decay.", minimum=0)
    momentum: float | None = setting(None, "Momentum of sgd and rmsprop.", minimum=0, maximum=1)
    clipnorm: float | None = setting(None, "Largest norm of each gradient.", above=0)
    global_clipnorm: float | None = setting(
        None, "Largest norm of all gradients together.", above=0
    )
    clipvalue: float | None = setting(None, "Largest absolute value in a gradient.", above=0)
    gradient_accumulation_steps: int = setting(
        1, "Steps whose gradients make one update.", minimum=1
    )
    use_ema: bool = setting(
        False, "Validate, and keep as best, an average of the weights over updates."
    )
    ema_momentum: float = setting(0.99, "Momentum of that average.", minimum=0, maximum=1)
    class_weight: dict | str | None = setting(
        None,
        "Weight of each class in the loss, {class index: weight}; `balanced`: classes count alike.",
        choices=("balanced",),
    )
    monitor_mode: str | None = setting(
        None,
        "Which way the monitored metric is better, where its name does not say.",
        choices=("max", "min"),
    )
    patience: int | None = setting(
        None,
        "Epochs without a better monitored figure after which training stops; default: never.",
        minimum=1,
    )
    seed: int = setting(
        0, "Seed of the weights, the order, dropout and augmentation.", minimum=0, maximum=2**32 - 1
    )
    deterministic: bool = setting(
        True, "Bit-identical on the same machine; costs about 10 % on CPU."
    )
    strategy: str = setting(
        "auto", "`auto`, `none`, `mirrored[:N]`, `multi-worker` or `parameter-server`."
    )
    dtype_policy: str = setting(
        "float32", "Keras dtype policy of the network.", choices=DTYPE_POLICIES
    )
    jit_compile: bool | str = setting(
        "auto", "Compile the step with XLA; auto: where it pays.", choices=("auto",)
    )
    steps_per_execution: int | str = setting(
        "auto",
        "Steps of one compiled call; auto: as many as take under a second.",
        minimum=1,
        choices=("auto",),
    )
    checkpoint_seconds: float = setting(
        60.0, "Seconds between checkpoints within an epoch.", minimum=0
    )
    tensorboard: bool = setting(False, "Also write TensorBoard logs into the Run.")
    progress: bool = setting(True, "Show progress on stderr.")

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.class_weight, dict):
            return
        for index, weight in self.class_weight.items():
            number = isinstance(weight, int | float) and math.isfinite(weight) and weight >= 0
            if not (isinstance(index, int) and index >= 0 and number):
                raise ValueError(
                    "`class_weight` must be {class index: weight}, both 0 or more. Received: "
                    f"class_weight={self.class_weight}"
                )


def types_of(settings_class):
    """The types each setting allows, as `{name: (type, ...)}`; NoneType among them where None is
    allowed.
    """
    hints = typing.get_type_hints(settings_class)
    unions = (typing.Union, types.UnionType)
    return {
        name: typing.get_args(hint) if typing.get_origin(hint) in unions else (hint,)
        for name, hint in hints.items()
    }


def close_names(name, known):
    """The end of an error line about an unknown name: the close ones, and all where they are
    few.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    return hint + (f" Known: {', '.join(known)}." if len(known) <= 12 or not close else "")


def check_keywords(keywords, known):
    """Raises ValueError for the first keyword that no setting has, and names the close ones."""
    for name in keywords:
        if name not in known:
            raise ValueError(f"Unknown setting {name!r}.{close_names(name, known)}")


def split_settings(task, settings):
    """Tells the settings of a task from those of its training.

    Args:
        task: The task's class.
        settings: Settings of both kinds, `{name: value}`.
    Returns: `(own, training)`, two dicts.
    Raises: ValueError for a name that neither has.
    """
    own = task.Settings.names()
    check_keywords(settings, {*own, *TrainingSettings.names()})
    return (
        {name: value for name, value in settings.items() if name in own},
        {name: value for name, value in settings.items() if name not in own},
    )


def read_settings(path):
    """Reads a JSON file of settings, `{"name": value, ...}`."""
    settings = read_json(path)
    if not isinstance(settings, dict):
        raise ValueError(f'{path}: must hold one JSON object, {{"setting": value, ...}}.')
    return settings


def _checked(field, allowed, value):
    """The value of a field in its own type, or a ValueError that states the rule and the value."""
    if value is None and type(None) in allowed:
        return None
    value = _plain(value)
    if (
        float in allowed
        and int not in allowed
        and isinstance(value, int)
        and not isinstance(value, bool)
    ):
        value = float(value)
    fits = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
    if not fits:
        names = " or ".join(kind.__name__.replace("NoneType", "None") for kind in allowed)
        raise ValueError(f"`{field.name}` must be {names}. Received: {field.name}={value!r}")
    choices = field.metadata["choices"]
    if choices and isinstance(value, str) and value not in choices:
        hint = close_names(value, choices)
        raise ValueError(f"Unknown {field.name.replace('_', ' ')} {value!r}.{hint}")
    _check_range(field, value)
    return value


def _plain(value):
    """A value as JSON gives it back: NumPy scalars as numbers, paths as text, numbers as keys of
    a dict.
    """
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if isinstance(value, dict):
        return {int(k) if isinstance(k, str) and k.isdecimal() else k: v for k, v in value.items()}
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _check_range(field, value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, most, above = (field.metadata[limit] for limit in ("minimum", "maximum", "above"))
    rules = {
        f"at least {least}": least is None or value >= least,
        f"at most {most}": most is None or value <= most,
        f"greater than {above}": above is None or value > above,
        "finite": isinstance(value, int) or math.isfinite(value),
    }
    for rule, kept in rules.items():
        if not kept:
            raise ValueError(f"`{field.name}` must be {rule}. Received: {field.name}={value}")
