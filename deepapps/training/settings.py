"""The settings of the training loop: how to learn, for every task."""

import dataclasses
import math

from deepapps.settings import Settings, check_keywords, setting

OPTIMIZERS = (
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "nadam",
    "rmsprop", "sgd",
)  # fmt: skip
SCHEDULES = ("constant", "CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PolynomialDecay")
DTYPE_POLICIES = ("float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16")

# what several tasks train with
WARMED_UP_COSINE = {"learning_rate_schedule": "CosineDecay", "warmup": 0.1, "final_learning_rate": 0.01}
FOR_SEQUENCES = WARMED_UP_COSINE | {
    "optimizer": "adam", "learning_rate": 3e-3, "global_clipnorm": 1.0, "use_ema": True, "ema_momentum": 0.99,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How to train. The words are Keras's own where Keras has one."""

    epochs: int = setting(10, "Passes over the training examples.", minimum=1)
    batch_size: int = setting(128, "Examples of one step, over all replicas.", minimum=1)
    optimizer: str | dict = setting(
        "adam", "Keras optimizer, by name; in Python also a function that makes one.", choices=OPTIMIZERS
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
        0.0, "Learning rate at the end of a schedule, as a share of `learning_rate`.", minimum=0, maximum=1
    )
    weight_decay: float | None = setting(None, "Decoupled weight decay.", minimum=0)
    momentum: float | None = setting(None, "Momentum of sgd and rmsprop.", minimum=0, maximum=1)
    clipnorm: float | None = setting(None, "Largest norm of each gradient.", above=0)
    global_clipnorm: float | None = setting(None, "Largest norm of all gradients together.", above=0)
    clipvalue: float | None = setting(None, "Largest absolute value in a gradient.", above=0)
    gradient_accumulation_steps: int = setting(1, "Steps whose gradients make one update.", minimum=1)
    use_ema: bool = setting(False, "Validate, and keep as best, an average of the weights over updates.")
    ema_momentum: float = setting(0.99, "Momentum of that average.", minimum=0, maximum=1)
    class_weight: dict | str | None = setting(
        None,
        "Weight of each class in the loss, {class index: weight}; `balanced`: classes count alike.",
        choices=("balanced",),
    )
    patience: int | None = setting(
        None,
        "Epochs without a better monitored figure after which training stops; default: never.",
        minimum=1,
    )
    seed: int = setting(
        0, "Seed of the weights, the order, dropout and augmentation.", minimum=0, maximum=2**32 - 1
    )
    deterministic: bool = setting(True, "Bit-identical on the same machine; costs about 10 % on CPU.")
    strategy: str = setting("auto", "`auto`, `none`, `mirrored[:N]`, `multi-worker` or `parameter-server`.")
    dtype_policy: str = setting("float32", "Keras dtype policy of the network.", choices=DTYPE_POLICIES)
    jit_compile: bool | str = setting(
        "auto", "Compile the step with XLA; auto: where it pays.", choices=("auto",)
    )
    steps_per_execution: int | str = setting(
        "auto",
        "Steps of one compiled call; auto: as many as take under a second.",
        minimum=1,
        choices=("auto",),
    )
    checkpoint_seconds: float = setting(60.0, "Seconds between checkpoints within an epoch.", minimum=0)
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
                    "`class_weight` must be {class index: weight}, both 0 or more. "
                    f"Received: class_weight={self.class_weight}"
                )


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
