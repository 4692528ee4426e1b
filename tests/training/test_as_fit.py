"""A training gives the loss and the metrics that Keras's own `fit` and `evaluate` give.

The learning rate is next to nothing, so the first epoch has the loss of the first weights.
"""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import deepapps
from deepapps.tasks.model import ModelTask
from deepapps.training.session import Session

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 4)).astype("float32")
CLASSES = (X.sum(1) > 0).astype("int32")
YES = CLASSES[:, None].astype("float32")
LOGITS = functools.partial(keras.losses.SparseCategoricalCrossentropy, from_logits=True)
STEPS = RANDOM.integers(1, 9, (24, 7)) * (np.arange(7) < RANDOM.integers(2, 8, (24, 1)))
TAGS = RANDOM.integers(0, 4, (24, 7))


def dense(units=1, activation="sigmoid"):
    return keras.Sequential([keras.Input((4,)), layers.Dense(units, activation)])


def masked(units=4):
    embedding = layers.Embedding(9, 4, mask_zero=True)
    return keras.Sequential([keras.Input((7,)), embedding, layers.Dense(units)])


def two_outputs(named=False):
    inputs = keras.Input((4,))
    topic = layers.Dense(2, name="topic")(inputs)
    mood = layers.Dense(1, "sigmoid", name="mood")(inputs)
    return keras.Model(inputs, {"topic": topic, "mood": mood} if named else [topic, mood])


def two_masked_outputs():
    inputs = keras.Input((7,))
    steps = layers.Embedding(9, 4, mask_zero=True)(inputs)
    return keras.Model(inputs, [layers.Dense(4, name="tag")(steps), layers.Dense(1)(steps)])


def mean_distance(targets, outputs):
    """One number a batch, as many write their losses."""
    return ops.sqrt(ops.mean(ops.square(targets - outputs)))


def contrast(targets, outputs):
    """Values of the examples, each by all others."""
    return ops.mean(ops.abs(outputs - ops.transpose(outputs)), axis=-1)


def by_keras(build, data, loss, metrics=None, loss_weights=None):
    """The metrics by Keras, of the data, and of five examples."""
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(
        keras.optimizers.SGD(1e-12),
        loss,
        metrics=metrics,
        loss_weights=loss_weights,
        run_eagerly=True,
    )
    return [
        model.evaluate(*part[:2], sample_weight=(*part, None)[2], return_dict=True, verbose=0)
        for part in (data, few_of(data))
    ]


def few_of(data):
    return keras.tree.map_structure(lambda array: array[:5], data)


def train(build, data, loss, metrics=(), **settings):
    """The metrics of an epoch over the data, in one batch, that is validated with five examples."""
    keras.utils.set_random_seed(0)
    settings = {
        "batch_size": 24,
        "progress": False,
        "monitor_mode": "min",
        "jit_compile": False,
    } | settings
    settings["optimizer"] = keras.optimizers.serialize(keras.optimizers.SGD(1e-12))
    task = ModelTask(build, deepapps.Splits(data, few_of(data)), loss, metrics)
    return Session(task, deepapps.TrainingSettings(**settings)).fit(1)[0]


CASES = {
    "masked steps": (masked, (STEPS, TAGS), LOGITS(), ["accuracy"]),
    "masked regression": (lambda: masked(1), (STEPS, TAGS[..., None]), "mse", ["mae"]),
    "steps, ignore_class": (masked, (STEPS, TAGS), LOGITS(ignore_class=3), []),
    "ignore_class": (lambda: dense(2, None), (X, CLASSES), LOGITS(ignore_class=0), []),
    "dice": (dense, (X, YES), "dice", []),
    "tversky": (dense, (X, YES), keras.losses.Tversky(0.3, 0.7), []),
    "circle": (lambda: dense(4), (X, CLASSES), keras.losses.Circle(), []),
    "one number a batch": (dense, (X, YES), mean_distance, []),
    "contrastive": (dense, (X, YES), contrast, []),
    "sample weights": (dense, (X, YES, np.linspace(0.5, 2, 24)), "mse", []),
    "uint8": (lambda: dense(2, None), (X, CLASSES.astype("uint8")), LOGITS(), ["accuracy"]),
    "two masked outputs": (
        two_masked_outputs,
        (STEPS, [TAGS, TAGS[..., None]]),
        [LOGITS(), "mse"],
        [],
    ),
}


@pytest.mark.parametrize("build, data, loss, metrics", CASES.values(), ids=CASES)
def test_loss_and_metrics_are_those_of_fit(build, data, loss, metrics):
    expected, of_few = by_keras(build, data, loss, metrics)
    epoch = train(build, data, loss, metrics)
    for name in ("loss", *metrics):
        assert epoch[name] == pytest.approx(expected[name], rel=1e-4)
        assert epoch[f"val_{name}"] == pytest.approx(of_few[name], rel=1e-4)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_masked_loss_does_not_depend_on_how_a_batch_is_divided(accumulate):
    task = ModelTask(masked, deepapps.Splits((STEPS, TAGS)), LOGITS())
    settings = deepapps.TrainingSettings(
        batch_size=24 // accumulate,
        gradient_accumulation_steps=accumulate,
        optimizer="sgd",
        learning_rate=1.0,
        progress=False,
    )
    session = Session(task, settings)
    session.weights = start = [
        np.full(w.shape, 0.1) * np.arange(w.size).reshape(w.shape) for w in session.weights
    ]
    session.fit(1)
    steps = (STEPS > 0).sum()
    embedding, kernel, bias = start
    logits = (embedding[STEPS] @ kernel + bias)[STEPS > 0]
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    slope = (shares - np.eye(4)[TAGS[STEPS > 0]]).sum(0) / steps
    np.testing.assert_allclose(session.weights[2], bias - slope, atol=1e-5)


@pytest.mark.parametrize("named", [False, True], ids=["list", "dict"])
def test_losses_and_metrics_of_each_output_are_those_of_fit(named):
    targets = {"topic": CLASSES, "mood": YES} if named else [CLASSES, YES]
    losses = {"topic": LOGITS(), "mood": "binary_crossentropy"}
    metrics = {"topic": ["accuracy"], "mood": ["accuracy", keras.metrics.AUC(name="area")]}
    weights = {"topic": 1.0, "mood": 0.3}
    build = functools.partial(two_outputs, named)
    expected, of_few = by_keras(build, (X, targets), losses, metrics, weights)
    ours = {name: (loss, weights[name]) for name, loss in losses.items()}
    if not named:
        ours, metrics = list(ours.values()), list(metrics.values())
    epoch = train(build, (X, targets), ours, metrics)
    for name in ("loss", "topic_accuracy", "mood_accuracy", "mood_area"):
        assert epoch[name] == pytest.approx(expected[name], rel=1e-4)
        assert epoch[f"val_{name}"] == pytest.approx(of_few[name], rel=1e-4)


@pytest.mark.parametrize(
    "loss, metrics, words",
    [
        ({"topik": "mse"}, {}, "has no output 'topik'. Its outputs: topic, mood"),
        ("mse", ["mae"] * 3, "has 2 outputs: `metrics` must be a dict"),
        ({"topic": LOGITS()}, {"mood": ["accuracy"]}, "Which 'accuracy' goes with this loss"),
        ("mse", "mae", "`metrics` must be a list or dict"),
    ],
    ids=["name", "count", "no loss", "no list"],
)
def test_what_no_output_has_is_refused(loss, metrics, words):
    with pytest.raises(ValueError, match=words):
        train(two_outputs, (X, [CLASSES, YES]), loss, metrics)


def test_labels_beyond_one_of_the_outputs_are_named():
    with pytest.raises(ValueError, match="labels must be 0 to 1.*label 2"):
        train(two_outputs, (X, [CLASSES + 1, YES]), [LOGITS(), "mse"])


class Share(keras.metrics.Metric):
    """The share of yes among the targets, by a metric that knows no weights."""

    def __init__(self, name="share"):
        super().__init__(name=name)
        self.sum, self.count = (self.add_variable((), "zeros", name=n) for n in "sc")

    def update_state(self, targets, outputs, sample_weight=None):
        self.sum.assign_add(ops.sum(targets))
        self.count.assign_add(ops.cast(ops.shape(targets)[0], "float32"))

    def result(self):
        return self.sum / self.count


@pytest.mark.parametrize(
    "metric, expected",
    [
        (Share, lambda targets, outputs: targets.mean()),
        (mean_distance, lambda targets, outputs: np.sqrt(((targets - outputs) ** 2).mean())),
        (functools.partial(keras.metrics.mean_absolute_error), lambda t, o: np.abs(t - o).mean()),
    ],
    ids=["class", "number", "partial"],
)
def test_a_metric_of_ones_own_does_not_see_what_fills_the_last_batch(metric, expected):
    task = ModelTask(dense, deepapps.Splits((X, YES), (X[:5], YES[:5])), "mse", [metric])
    settings = deepapps.TrainingSettings(batch_size=24, progress=False, monitor_mode="max")
    session = Session(task, settings)
    session.fit(1)
    outputs = session.model(X[:5]).numpy()
    name = task.monitor
    assert session.history[0][f"val_{name}"] == pytest.approx(expected(YES[:5], outputs), rel=1e-5)


def test_xla_is_refused_for_what_takes_a_batch_as_a_whole():
    with pytest.raises(ValueError, match="`jit_compile` must be False or 'auto'"):
        train(dense, (X, YES), "dice", jit_compile=True)


def test_class_weights_of_targets_in_a_column():
    """The number of yes is weighed three times, as `fit` does it."""
    plain = train(dense, (X, YES), "bce")["loss"]
    weights = np.where(YES[:, 0] > 0, 3.0, 1.0).astype("float32")
    expected = train(dense, (X, YES, weights), "bce")["loss"]
    assert train(dense, (X, YES), "bce", class_weight={1: 3.0})["loss"] == pytest.approx(expected)
    assert expected > plain


def test_a_model_of_half_precision_has_its_loss_scaled():
    def half():
        return keras.Sequential([keras.Input((4,)), layers.Dense(1, dtype="mixed_float16")])

    task = ModelTask(half, deepapps.Splits((X, YES)), "mse")
    session = Session(task, deepapps.TrainingSettings(batch_size=24, progress=False))
    assert isinstance(session.model.optimizer, keras.optimizers.LossScaleOptimizer)
