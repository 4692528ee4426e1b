"""Keras optimizers and schedules, made from the training settings."""

import copy
import functools
import inspect

import keras
import tensorflow as tf

from deepapps.keras_internals import adam_slots, layers_of, leave_gradients_unsummed
from deepapps.networks.saved import check_config


def make_optimizer(settings, updates, model=None):
    """Makes the optimizer. Must be called, and the result built, in the scope of the strategy.

    Args:
        settings: The `TrainingSettings`.
        updates: Number of updates of the whole run, over which a schedule stretches.
        model: The model; where the settings or one of its layers has the dtype policy
            `mixed_float16`, the loss is scaled.
    Raises: ValueError when the optimizer does not take a setting, such as `momentum`.
    """
    made = isinstance(settings.optimizer, dict)
    optimizer = _made_optimizer(settings) if made else _named_optimizer(settings, updates)
    if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW) and not optimizer.amsgrad:
        optimizer.update_step = functools.partial(_adam_step, optimizer)
    # The loop sums gradients over the replicas itself, before the optimizer clips them.
    leave_gradients_unsummed(optimizer)
    policies = {layer.dtype_policy.name for layer in (layers_of(model) if model else ())}
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if "mixed_float16" in {settings.dtype_policy, *policies} and not scales:
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


def serialized(value):
    """An optimizer, a schedule or a function that makes one, as the dict that settings can hold."""
    if callable(value) and not isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        value = value()
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return keras.optimizers.schedules.serialize(value)
    if isinstance(value, keras.optimizers.Optimizer):
        return keras.optimizers.serialize(value)
    return value


def schedule_name(settings):
    """The name of the schedule of the learning rate; None where it is constant."""
    schedule = settings.learning_rate_schedule
    if isinstance(settings.optimizer, dict):
        schedule = (settings.optimizer.get("config") or {}).get("learning_rate")
    if isinstance(schedule, dict):
        return schedule["class_name"]
    return schedule if isinstance(schedule, str) and schedule != "constant" else None


def make_schedule(settings, updates):
    """The learning rate: a number, or the Keras schedule stretched over `updates` updates."""
    rate = settings.learning_rate
    name = settings.learning_rate_schedule
    final = settings.final_learning_rate
    schedules = keras.optimizers.schedules
    if isinstance(name, dict):
        return schedules.deserialize(_checked(name))
    if final == 0 and name in ("ExponentialDecay", "InverseTimeDecay"):
        raise ValueError(f"{name} never reaches 0: `final_learning_rate` must be greater than 0.")
    warmup = round(settings.warmup * updates)  # CosineDecay alone has one
    if name == "CosineDecay" and warmup:
        return schedules.CosineDecay(
            0.0, max(updates - warmup, 1), alpha=final, warmup_target=rate, warmup_steps=warmup
        )
    makers = {
        "constant": lambda: rate,
        "CosineDecay": lambda: schedules.CosineDecay(rate, updates, alpha=final),
        "PolynomialDecay": lambda: schedules.PolynomialDecay(
            rate, updates, end_learning_rate=final * rate
        ),
        "ExponentialDecay": lambda: schedules.ExponentialDecay(rate, updates, decay_rate=final),
        "InverseTimeDecay": lambda: schedules.InverseTimeDecay(
            rate, updates, decay_rate=1 / final - 1
        ),
    }
    return makers[name]()


def current_learning_rate(optimizer):
    """The learning rate of the next update, to the seven digits that float32 has."""
    return float(f"{float(keras.ops.convert_to_numpy(optimizer.learning_rate)):.7g}")


def _adam_step(optimizer, gradient, variable, learning_rate):
    """Keras's update of a variable by Adam, as the one operation that TensorFlow has for it:
    half the time.
    """
    dtype, (mean, variance) = variable.dtype, adam_slots(optimizer, variable)
    beta_1, beta_2 = (tf.constant(beta, dtype) for beta in (optimizer.beta_1, optimizer.beta_2))
    step = tf.cast(optimizer.iterations + 1, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=mean.value.handle,
        v=variance.value.handle,
        beta1=beta_1,
        beta2=beta_2,
        beta1_power=beta_1**step,
        beta2_power=beta_2**step,
        lr=tf.cast(learning_rate, dtype),
        epsilon=tf.constant(optimizer.epsilon, dtype),
        grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
    )


def _made_optimizer(settings):
    """The optimizer that the user's function made; its options were the function's to set."""
    options = _options(settings)
    if options:
        raise ValueError(f"Set `{next(iter(options))}` in the function that makes the optimizer.")
    return keras.optimizers.deserialize(_checked(settings.optimizer))


def _checked(config):
    """A copy of a config, as Keras changes what it gets; ValueError where it names what a Run
    must not bring.
    """
    config = copy.deepcopy(config)
    check_config(config)
    return config


def _named_optimizer(settings, updates):
    options, schedule = _options(settings), make_schedule(settings, updates)
    optimizer = _class_of(settings.optimizer)
    if "momentum" in options and "momentum" not in inspect.signature(optimizer).parameters:
        raise ValueError(f"Optimizer {settings.optimizer!r} has no `momentum`.")
    try:
        return optimizer(learning_rate=schedule, **options)
    except ValueError as error:
        raise ValueError(f"Optimizer {settings.optimizer!r}: {error}") from None


def _class_of(name):
    """The class of an optimizer. `keras.optimizers.get` does not know all of them by name."""
    classes = {known.lower(): getattr(keras.optimizers, known) for known in dir(keras.optimizers)}
    return classes[name]


def _options(settings):
    """The optimizer's options that are set."""
    names = ("weight_decay", "momentum", "clipnorm", "global_clipnorm", "clipvalue")
    options = {
        name: getattr(settings, name) for name in names if getattr(settings, name) is not None
    }
    ema = {"use_ema": True, "ema_momentum": settings.ema_momentum}
    return options | ema if settings.use_ema else options
