"""The front door for a Keras model: what `train(model, data=...)` takes, says and refuses."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

import deepapps
from deepapps.runs.train import train
from deepapps.tasks.model import ModelTask

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
CLASSES = (X.sum(1) > 0).astype("int32")
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
COMMON = {"data": (X, CLASSES), "epochs": 1, "batch_size": 16, "progress": False}


def build(*more):
    return keras.Sequential([keras.Input((4,)), *more, layers.Dense(2)])


def compiled(**options):
    model = build()
    model.compile(keras.optimizers.SGD(0.25), LOGITS, metrics=["accuracy"], **options)
    return model


def test_a_compiled_model_brings_loss_metrics_and_optimizer(tmp_path):
    run = train(compiled(), **COMMON, validation_split=0.25, output=tmp_path)
    (line,) = run.history
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= line.keys()
    assert line["learning_rate"] == 0.25 and run.training.optimizer["class_name"] == "SGD"
    outputs = run.model(X[45:]).numpy()  # the last quarter, as in `fit`
    assert line["val_accuracy"] == pytest.approx(np.mean(outputs.argmax(1) == CLASSES[45:]))


def test_loss_weights_count_and_what_is_given_comes_first(tmp_path, caplog):
    losses = []
    for weights in (None, 0.5):
        keras.utils.set_random_seed(0)
        given = {"optimizer": "sgd", "learning_rate": 1e-12, "output": tmp_path / str(weights)}
        run = train(compiled(loss_weights=weights), **COMMON, **given)
        losses.append(run.history[0]["loss"])
    assert losses[1] == pytest.approx(losses[0] / 2, rel=1e-5)
    assert run.history[0]["learning_rate"] == 1e-12
    assert "not used, but those given: optimizer." in caplog.text


class Doubled(layers.Layer):
    """Not registered."""

    def call(self, inputs):
        return 2 * inputs


@keras.saving.register_keras_serializable("tests")
class Scaled(layers.Layer):
    """Registered, and its config lacks what it needs."""

    def __init__(self, scale, **options):
        super().__init__(**options)
        self.scale = scale.copy()

    def call(self, inputs):
        return self.scale * inputs

    def get_config(self):
        return super().get_config()


@pytest.mark.parametrize(
    "given, words",
    [
        ({"learning_rate": 0.1}, "`learning_rate` is that of the optimizer"),
        ({"model": build}, "The model is given twice"),
        (
            {"task": functools.partial(compiled, weighted_metrics=["acc"])},
            "compiled with `weighted_metrics`",
        ),
        ({"task": build}, "missing: `loss`"),
        ({"validation_split": 1.5}, "`validation_split` must be between 0 and 1"),
        ({"validation_split": 0.999}, "leaves a part of 60 examples empty"),
    ],
    ids=["learning rate", "twice", "weighted metrics", "no loss", "share", "empty part"],
)
def test_what_contradicts_is_refused(given, words, tmp_path):
    task = given.get("task", compiled)()
    with pytest.raises(ValueError, match=words):
        train(**{**COMMON, "output": tmp_path / "run", **given, "task": task})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "layer, words",
    [
        (Doubled, "Doubled"),
        (functools.partial(Scaled, np.ones(4, "float32")), "scale"),
        (lambda: layers.Lambda(lambda inputs: inputs), "Lambda"),
        (lambda: layers.Dense(2, activation=lambda inputs: 2 * inputs), "activation"),
    ],
    ids=["not registered", "no config", "Lambda", "function"],
)
def test_a_model_that_could_not_be_loaded_is_found_before_training(layer, words, tmp_path):
    model = build(layer())
    with pytest.raises(ValueError, match=f"could not be loaded again.*{words}") as caught:
        train(model, **COMMON, loss=LOGITS, output=tmp_path / "run")
    assert "register_keras_serializable" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_line_says_that_nothing_is_validated(caplog):
    ModelTask(build, (X, CLASSES), LOGITS).data()
    assert "no validation metrics" in caplog.text and "`validation_split`" in caplog.text


def test_a_reduction_that_is_not_used_is_said(caplog):
    loss = keras.losses.MeanSquaredError(reduction="sum")
    ModelTask(build, deepapps.Splits((X, CLASSES)), loss).data()
    assert "reduction='sum' is not used" in caplog.text


class Threshold(keras.metrics.Mean):
    """Tells nobody its argument."""

    def __init__(self, threshold=0.5, name="threshold", **options):
        super().__init__(name=name, **options)


def test_a_metric_that_cannot_be_made_anew_is_refused():
    task = ModelTask(build, (X, CLASSES), LOGITS, [Threshold(0.9)])
    with pytest.raises(ValueError, match="Threshold is made anew.*lacks 'threshold'"):
        task.metrics()
