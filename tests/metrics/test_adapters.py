"""Losses and metrics in the forms that Keras takes, by the numbers of Keras's own `fit`."""

import keras
import numpy as np
import pytest

import deepapps

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype("float32")
CLASSES = (X.sum(1) > 0).astype("int32")
NUMBERS = X @ np.array([1, 2, 3, 4], "float32")


def build(outputs=2, activation=None):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(outputs, activation)])


def train(tmp_path, targets, loss, metrics=(), outputs=1, activation=None, **options):
    splits = deepapps.Splits((X[:80], targets[:80]), (X[80:], targets[80:]))
    options = {"epochs": 2, "batch_size": 16, "progress": False, "output": tmp_path, **options}
    return deepapps.train(
        model=lambda: build(outputs, activation),
        data=splits,
        loss=loss,
        metrics=metrics,
        **options,
    )


def squared(targets, outputs):
    return keras.ops.mean(keras.ops.square(keras.ops.subtract(targets, outputs)), axis=-1)


def share_right(targets, outputs):
    right = keras.ops.argmax(outputs, -1)
    return keras.ops.cast(keras.ops.equal(keras.ops.cast(targets, right.dtype), right), "float32")


@pytest.mark.parametrize(
    "loss",
    [squared, "mse", "mean_squared_error", keras.losses.MeanSquaredError()],
    ids=["function", "short", "name", "object"],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_targets_and_outputs_come_to_one_rank(loss, rank, tmp_path):
    targets = NUMBERS if rank == 1 else NUMBERS[:, None]
    run = train(tmp_path, targets, loss)
    outputs = run.model(X[80:]).numpy()[:, 0]
    expected = np.mean((outputs - NUMBERS[80:]) ** 2)
    assert run.metrics["validation"]["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    ["binary_crossentropy", keras.losses.BinaryCrossentropy()],
    ids=["name", "object"],
)
def test_a_loss_by_name_is_the_object(loss, tmp_path):
    run = train(tmp_path, CLASSES, loss, ["accuracy"], activation="sigmoid")
    shares = run.model(X[80:]).numpy()[:, 0].astype("float64")
    expected = -np.mean(np.log(np.where(CLASSES[80:], shares, 1 - shares)))
    assert run.metrics["validation"]["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "metrics, names",
    [
        (lambda: ["AUC"], ["auc"]),
        (lambda: [keras.metrics.AUC(), keras.metrics.AUC(curve="PR")], ["auc", "auc_2"]),
        (lambda: ["acc", "Precision", "Recall"], ["acc", "precision", "recall"]),
        (lambda: ["mse", squared], ["mse", "squared"]),
        (lambda: [keras.metrics.AUC(name="mine")], ["mine"]),
    ],
    ids=["name", "twice", "names", "function", "named"],
)
def test_names_of_metrics_are_the_same_everywhere(metrics, names, tmp_path):
    loss = "binary_crossentropy"
    run = train(
        tmp_path, CLASSES[:, None], loss, metrics(), activation="sigmoid", monitor_mode="min"
    )
    expected = {"loss", *names}
    assert {n.removeprefix("val_") for n in run.history[0] if n.startswith("val_")} == expected
    assert set(run.metrics["validation"]) == expected


def test_arguments_of_a_metric_are_kept(tmp_path):
    made = [keras.metrics.Recall(thresholds=0.3), keras.metrics.Recall(thresholds=0.7, name="high")]
    run = train(tmp_path, CLASSES[:, None], "binary_crossentropy", made, activation="sigmoid")
    shares, truth = run.model(X[80:]).numpy()[:, 0], CLASSES[80:] == 1
    for name, threshold in (("recall", 0.3), ("high", 0.7)):
        expected = np.mean(shares[truth] > threshold)
        assert run.metrics["validation"][name] == pytest.approx(expected, abs=1e-6)


def test_a_metric_whose_direction_nobody_knows_wants_a_word(tmp_path):
    given = {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "outputs": 2}
    with pytest.raises(ValueError, match="Which way is 'share_right' better.*monitor_mode='max'"):
        train(tmp_path / "a", CLASSES, metrics=[share_right], **given)
    run = train(
        tmp_path / "b",
        CLASSES,
        metrics=[share_right],
        monitor_mode="max",
        epochs=6,
        learning_rate=0.05,
        **given,
    )
    best = max(line["val_share_right"] for line in run.history)
    assert run.metrics["validation"]["share_right"] == pytest.approx(best)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, batch):
        raise AssertionError


@pytest.mark.parametrize(
    "given, words",
    [
        ({"model": Own}, "Own has a `train_step` of its own, which this loop does not call"),
        ({"model": lambda: 3}, "`model` must be, or make, a keras.Model"),
        ({"data": iter([(X, CLASSES)])}, "`data` must be a tuple of arrays"),
        ({"metrics": [keras.metrics.F1Score]}, "'f1_score' has a value for each class"),
        ({"metrics": ["acuracy"]}, "acuracy"),
    ],
    ids=["train_step", "no model", "generator", "vector", "name"],
)
def test_what_the_loop_cannot_use_is_refused_at_the_door(given, words, tmp_path):
    one_hot = np.eye(2, dtype="float32")[CLASSES]
    arguments = {
        "model": lambda: build(2, "softmax"),
        "data": (X, one_hot),
        "loss": "categorical_crossentropy",
        "epochs": 1,
        "batch_size": 16,
        "output": tmp_path / "run",
        **given,
    }
    with pytest.raises(ValueError, match=words):
        deepapps.train(**arguments)
    assert not (tmp_path / "run" / "settings.json").exists()


def test_every_optimizer_of_the_settings_can_be_made(tmp_path):
    run = train(tmp_path, NUMBERS, "mse", optimizer="lamb")
    assert run.history[-1]["loss"] < run.history[0]["loss"]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(index * 16, (index + 1) * 16)
        return X[rows], CLASSES[rows]


@pytest.mark.parametrize(
    "kind", ["arrays", "lists", "PyDataset", "PyDataset in Splits", "growing batches"]
)
def test_data_in_the_forms_of_keras_give_the_same_loss(kind, tmp_path):
    """The weights do not move, so the loss of the training is that of all examples."""
    import tensorflow as tf

    pairs = X[:80], CLASSES[:80]
    data = {
        "arrays": lambda: pairs,
        "lists": lambda: (pairs[0].tolist(), pairs[1].tolist()),
        "PyDataset": Batches,
        "PyDataset in Splits": lambda: deepapps.Splits(Batches()),
        "growing batches": lambda: (
            tf.data.Dataset.from_tensor_slices(pairs).batch(30).shuffle(9, seed=5)
        ),
    }[kind]()
    run = deepapps.train(
        model=build,
        data=data,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        epochs=1,
        batch_size=16,
        learning_rate=1e-12,
        progress=False,
        output=tmp_path,
    )
    logits = run.model(X[:80]).numpy().astype("float64")
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.mean(np.log(shares[np.arange(80), CLASSES[:80]]))
    assert run.history[0]["loss"] == pytest.approx(expected, rel=1e-4)


def test_the_cause_of_a_loss_that_is_not_finite_is_named(tmp_path):
    bad = X[:80].copy()
    bad[17, 0] = np.nan
    given = {"model": build, "batch_size": 16, "progress": False, "output": tmp_path / "run"}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(FloatingPointError, match="The inputs hold NaN.*at example 17"):
        deepapps.train(data=(bad, CLASSES[:80]), loss=loss, **given)
    for labels, first in ((CLASSES[:80] + 1, 2), (CLASSES[:80] - 1, -1)):
        with pytest.raises(ValueError, match=f"labels must be 0 to 1.*label {first} at example"):
            deepapps.train(data=(X[:80], labels), loss=loss, overwrite=True, **given)
