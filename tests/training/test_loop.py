"""The loop: replicas equal one, what settings do, callbacks, and how it stops."""

import json
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import deepapps
from deepapps.tasks.model import ModelTask
from deepapps.training.callbacks import check_no_batch_hooks
from deepapps.training.checkpoints import checkpoints, newest_checkpoint


def digits(size=230, seed=0):
    """Images of three classes that a small network can tell apart."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, size).astype("int32")
    inputs = random.normal(size=(size, 6, 6, 1)) + targets[:, None, None, None] * 0.7
    return deepapps.ArraySource(inputs.astype("float32"), targets)


def mlp(dropout=0.0):
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Flatten(),
            layers.Dense(16, "relu"),
            layers.Dropout(dropout),
            layers.Dense(3),
        ]
    )


def cnn():
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(synchronized=True),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def train(model, tmp_path, data=None, **arguments):
    """Trains on small data, with plain defaults where a test gives none."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    arguments = {
        "loss": loss,
        "metrics": ["accuracy"],
        "epochs": 2,
        "batch_size": 32,
        "progress": False,
        "overwrite": True,
    } | arguments
    data = arguments.pop("data", data) or deepapps.Splits(digits(), digits(90, 1))
    return deepapps.train(model=model, data=data, output=tmp_path / "run", **arguments)


def last_weights(run):
    _, arrays, _ = newest_checkpoint(run.path / "checkpoints")
    return [array for name, array in arrays.items() if name.startswith("model/")]


@pytest.mark.parametrize("model", [mlp, cnn])
@pytest.mark.parametrize(
    "options", [{}, {"gradient_accumulation_steps": 3}, {"global_clipnorm": 0.1}], ids=str
)
def test_two_replicas_equal_one(model, options, tmp_path):
    """200 SGD steps over an uneven last batch: the same weights within 1e-5, the same metrics."""
    sgd = {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 25, **options}  # 8 steps an epoch
    one = train(model, tmp_path / "one", strategy="none", **sgd)
    two = train(model, tmp_path / "two", strategy="mirrored:2", **sgd)
    for weights, others in zip(last_weights(one), last_weights(two), strict=True):
        np.testing.assert_allclose(others, weights, atol=1e-5)
    for line, other in zip(one.history, two.history, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert other[name] == pytest.approx(line[name], abs=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer": "adam", "jit_compile": True},
        {"optimizer": "adagrad", "clipnorm": 0.1},
        {"optimizer": "adagrad", "global_clipnorm": 0.1},
        {"optimizer": "sgd", "gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_tokens_that_come_twice_in_a_batch_have_one_gradient(options, tmp_path):
    """Two replicas sum dense gradients, one has as many parts of a row as its token comes in the
    batch.
    """

    def model():
        inputs = keras.Input((6,), dtype="int32")
        embedded = layers.Embedding(5, 4)(inputs)
        return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(embedded)))

    generator = np.random.default_rng(0)
    data = deepapps.Splits((generator.integers(0, 5, (96, 6)), generator.integers(0, 3, 96)))
    options = options | {"epochs": 3, "batch_size": 16}
    one = train(model, tmp_path / "one", data, strategy="none", **options)
    two = train(
        model, tmp_path / "two", data, strategy="mirrored:2", **options | {"jit_compile": False}
    )
    for weights, others in zip(last_weights(one), last_weights(two), strict=True):
        np.testing.assert_allclose(others, weights, atol=1e-5)


def test_replicas_sum_a_gradient_whose_shape_is_not_known_beforehand(tmp_path):
    @tf.custom_gradient
    def shapeless(weight):
        return tf.identity(weight), lambda upstream: tf.compat.v1.placeholder_with_default(
            upstream, [None]
        )

    @keras.saving.register_keras_serializable("tests")
    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=shape[-1:], initializer="ones")

        def call(self, inputs):
            return inputs * shapeless(tf.convert_to_tensor(self.scale))

    def model():
        return keras.Sequential(
            [keras.Input((6, 6, 1)), layers.Flatten(), Scale(), layers.Dense(3)]
        )

    options = {"epochs": 1, "optimizer": "sgd", "jit_compile": False}
    runs = [
        train(model, tmp_path / name[0], strategy=name, **options)
        for name in ("none", "mirrored:2")
    ]
    for one, two in zip(*map(last_weights, runs), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


def test_replicas_draw_different_dropout_masks():
    from deepapps.distribution.strategies import fold_replica_into_seeds, make_strategy

    strategy = make_strategy("mirrored:2")
    with strategy.scope():
        model = keras.Sequential([keras.Input((50,)), layers.Dropout(0.5, seed=3)])
    fold_replica_into_seeds(strategy, [v.value for v in model.variables])
    ones = tf.ones((1, 50))
    masks = strategy.experimental_local_results(
        strategy.run(tf.function(lambda: model(ones, training=True)))
    )
    alone = keras.Sequential([keras.Input((50,)), layers.Dropout(0.5, seed=3)])(ones, training=True)
    assert not np.array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], alone)


def test_accumulated_batches_equal_one_large_batch(tmp_path):
    sgd = {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 3}
    data = deepapps.Splits(digits(192))
    large = train(mlp, tmp_path / "large", data, batch_size=96, **sgd)
    small = train(
        mlp, tmp_path / "small", data, batch_size=32, gradient_accumulation_steps=3, **sgd
    )
    for weights, others in zip(last_weights(large), last_weights(small), strict=True):
        np.testing.assert_allclose(others, weights, atol=1e-6)


def test_equals_keras_fit(tmp_path):
    """One full-batch epoch at a time, so that the order does not matter."""
    source = digits(64)
    run = train(
        mlp,
        tmp_path,
        deepapps.Splits(source),
        batch_size=64,
        epochs=5,
        optimizer="adam",
        jit_compile=False,
    )
    keras.utils.set_random_seed(0)
    model = mlp()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*source.arrays, batch_size=64, epochs=5, shuffle=False, verbose=0)
    for weights, others in zip(last_weights(run)[:4], model.get_weights(), strict=True):
        np.testing.assert_allclose(weights[0], others, atol=1e-5)


def test_xla_changes_nothing_but_rounding(tmp_path):
    runs = [train(mlp, tmp_path / str(jit), jit_compile=jit) for jit in (True, False)]
    for weights, others in zip(*map(last_weights, runs), strict=True):
        np.testing.assert_allclose(weights, others, atol=1e-5)


def test_calls_of_any_length_give_the_same_bits(tmp_path):
    runs = [
        train(lambda: mlp(0.5), tmp_path / str(n), steps_per_execution=n)
        for n in (1, 3, 100, "auto")
    ]
    for run in runs[1:]:
        for weights, others in zip(last_weights(runs[0]), last_weights(run), strict=True):
            np.testing.assert_array_equal(weights, others)


def test_weights_of_examples_and_classes_multiply_the_loss(tmp_path):
    inputs, targets = digits().arrays
    by_class = train(
        mlp,
        tmp_path / "class",
        deepapps.Splits(deepapps.ArraySource(inputs, targets)),
        class_weight={1: 3.0},
    )
    weights = np.where(targets == 1, 3.0, 1.0).astype("float32")
    by_example = train(
        mlp, tmp_path / "example", deepapps.Splits(deepapps.ArraySource(inputs, targets, weights))
    )
    plain = train(mlp, tmp_path / "plain", deepapps.Splits(deepapps.ArraySource(inputs, targets)))
    for one, other in zip(last_weights(by_class), last_weights(by_example), strict=True):
        np.testing.assert_array_equal(one, other)
    assert by_class.history[0]["loss"] > plain.history[0]["loss"] * 1.2


def test_every_source_of_the_same_examples_trains_alike(tmp_path):
    """Arrays are gathered in the step, other sources are read beside it: the same batches."""

    class Slow:
        def __init__(self, source):
            self.source = source

        def __len__(self):
            return len(self.source)

        def __getitem__(self, indices):
            return *self.source[indices], np.ones(len(indices))  # float64

    arrays = train(mlp, tmp_path / "arrays", jit_compile=False)
    streamed = train(
        mlp,
        tmp_path / "streamed",
        deepapps.Splits(Slow(digits()), Slow(digits(90, 1))),
        jit_compile=False,
    )
    for weights, others in zip(last_weights(arrays), last_weights(streamed), strict=True):
        np.testing.assert_allclose(others, weights, atol=1e-6)
    assert streamed.history[-1]["val_accuracy"] == pytest.approx(arrays.history[-1]["val_accuracy"])


def test_an_optimizer_of_the_users_own(tmp_path):
    """A function that makes it; the Run keeps it as a dict."""
    run = train(
        mlp,
        tmp_path,
        optimizer=lambda: keras.optimizers.SGD(0.25, nesterov=True, momentum=0.5),
        epochs=1,
    )
    assert run.history[0]["learning_rate"] == 0.25
    stored = json.loads((run.path / "settings.json").read_text())["training"]["optimizer"]
    assert stored["class_name"].lower() == "sgd" and stored["config"]["nesterov"]


def test_schedules_stretch_over_the_run(tmp_path):
    rates = {}
    for name in ("CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PolynomialDecay"):
        run = train(
            mlp,
            tmp_path,
            epochs=4,
            learning_rate=0.01,
            learning_rate_schedule=name,
            final_learning_rate=0.1,
        )
        rates[name] = [line["learning_rate"] for line in run.history]
        assert rates[name][0] > rates[name][1] > rates[name][3] == pytest.approx(0.001, rel=1e-4)
    assert len({rate[0] for rate in rates.values()}) == 4


def test_a_task_is_refused_with_a_model_beside_it():
    task = deepapps.Task()
    with pytest.raises(ValueError, match="A task has its own `model`"):
        deepapps.train(task, model=mlp)
    with pytest.raises(ValueError, match="must be an instance"):
        deepapps.train(deepapps.Task)


@pytest.mark.parametrize("strategy", ["none", "mirrored:2"])
def test_a_dataset_trains_with_an_uneven_last_batch(strategy, tmp_path):
    data = tf.data.Dataset.from_tensor_slices(digits().arrays).batch(32)
    run = train(mlp, tmp_path, data, epochs=4, strategy=strategy)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("strategy", ["none", "mirrored:2"])
def test_dtype_policies(policy, strategy, tmp_path):
    run = train(mlp, tmp_path, dtype_policy=policy, strategy=strategy, learning_rate=0.01, epochs=4)
    assert run.model.layers[1].dtype_policy.name == policy
    assert run.history[-1]["val_accuracy"] > 0.6
    assert keras.config.dtype_policy().name == "float32"


def test_averaged_weights_are_validated_and_kept(tmp_path):
    run = train(mlp, tmp_path, use_ema=True, ema_momentum=0.5, epochs=1)
    _, arrays, _ = newest_checkpoint(run.path / "checkpoints")
    best = run.model.get_weights()
    assert any(
        np.array_equal(arrays[name][0], best[0]) for name in arrays if name.startswith("optimizer/")
    ), "the best weights are not the averages of the optimizer"
    assert not np.array_equal(arrays["model/0"][0], best[0])


def test_best_weights_are_those_of_the_best_epoch(tmp_path):
    run = train(mlp, tmp_path, epochs=8, learning_rate=0.3)
    best = max(line["val_accuracy"] for line in run.history)
    assert run.metrics["validation"]["accuracy"] == pytest.approx(best)


def test_patience_ends_training(tmp_path):
    run = train(mlp, tmp_path, epochs=30, patience=2, learning_rate=1e-9)
    assert len(run.history) < 30


def test_parameter_servers_refuse_callbacks_that_follow_batches():
    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    kinds = keras.callbacks
    idle = [
        kinds.EarlyStopping(),
        kinds.TerminateOnNaN(),
        kinds.ModelCheckpoint("a.keras"),
        kinds.TensorBoard("logs"),
        kinds.BackupAndRestore("backup"),
        kinds.LambdaCallback(on_epoch_end=print),
    ]
    check_no_batch_hooks(idle)
    for busy in (
        Spy(),
        kinds.LambdaCallback(on_train_batch_end=print),
        kinds.ModelCheckpoint("a.keras", save_freq=3),
        kinds.TensorBoard("logs", update_freq="batch"),
        kinds.BackupAndRestore("backup", save_freq=3),
    ):
        with pytest.raises(
            ValueError, match=f"without batch hooks. Received: {type(busy).__name__}$"
        ):
            check_no_batch_hooks([*idle, busy])


def test_keras_callbacks(tmp_path):
    seen = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, logs["loss"]))

    callbacks = [
        Spy(),
        keras.callbacks.ReduceLROnPlateau("val_accuracy", patience=1, factor=0.5, min_delta=1.0),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor="val_accuracy", save_best_only=True
        ),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    run = train(mlp, tmp_path, epochs=4, callbacks=callbacks, steps_per_execution=4)
    assert [batch for batch, _ in seen] == [3, 7] * 4
    assert run.history[-1]["learning_rate"] < run.history[0]["learning_rate"]
    assert (tmp_path / "best.keras").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5


def test_tensorboard_logs(tmp_path):
    pytest.importorskip("tensorboard")
    run = train(mlp, tmp_path, tensorboard=True)
    assert list((run.path / "tensorboard").rglob("events.out.tfevents.*"))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    inputs, targets = digits().arrays
    inputs[100] = np.nan
    with pytest.raises(
        FloatingPointError, match=r"epoch 1, step \d+, with learning rate 0.001.*none"
    ):
        train(mlp, tmp_path, deepapps.Splits(deepapps.ArraySource(inputs, targets)))


def test_a_built_model_trains_on_one_replica(tmp_path):
    model = mlp()
    run = train(model, tmp_path)
    assert run.model is model
    with pytest.raises(ValueError, match="function that builds"):
        train(model, tmp_path, strategy="mirrored:2")


def test_a_regularized_model_has_its_penalty_in_the_loss(tmp_path):
    def regularized():
        return keras.Sequential(
            [keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3, kernel_regularizer="l2")]
        )

    run = train(regularized, tmp_path, epochs=1)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    inputs, targets = digits(90, 1).arrays
    expected = float(plain(targets, run.model(inputs))) + float(sum(run.model.losses))
    assert run.metrics["validation"]["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch_size": 1000}, "batch_size=1000, 230 examples"),
        ({"batch_size": 31, "strategy": "mirrored:2"}, "multiple of the number of replicas"),
        ({"strategy": "mirrored:3"}, r"use_devices\(3\)"),
        ({"strategy": "miror"}, "Did you mean 'mirrored'"),
        ({"optimizer": "adan"}, "Did you mean 'adam'"),
        ({"learning_rate_schedule": "CosinDecay"}, "Did you mean 'CosineDecay'"),
        ({"momentum": 0.9}, "momentum"),
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"epochs": 0}, "`epochs` must be at least 1. Received: epochs=0"),
        ({"epochs": "3"}, "`epochs` must be int"),
        ({"learning_rate": 0}, "greater than 0"),
        ({"learning_rate_schedule": "ExponentialDecay"}, "never reaches 0"),
        (
            {"optimizer": lambda: keras.optimizers.SGD(0.1), "clipnorm": 1.0},
            "Set `clipnorm` in the function",
        ),
        ({"data": digits(), "patience": 2}, "`patience` needs validation data"),
        ({"loss": "binary_crossentropy"}, "does not fit"),
        ({"loss": None}, "missing: `loss`"),
        (
            {
                "class_weight": {0: 2.0},
                "data": (np.zeros((9, 6, 6, 1)), np.eye(9)[:, :3]),
                "batch_size": 3,
            },
            "class indices",
        ),
        ({"jit_compile": True, "strategy": "mirrored:2"}, "jit_compile"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_bad_settings_are_one_clear_line_and_leave_nothing(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        train(mlp, tmp_path, **({"overwrite": False} | settings))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_passed_over(tmp_path, caplog):
    run = train(mlp, tmp_path, epochs=3)
    whole = last_weights(run)
    newest = checkpoints(run.path / "checkpoints")[0]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 255
    newest.write_bytes(content)
    (run.path / "report" / "index.html").unlink()
    with caplog.at_level(logging.WARNING):
        run = train(mlp, tmp_path, epochs=3, resume=True, overwrite=False)
    assert "is damaged" in caplog.text
    for weights, others in zip(whole, last_weights(run), strict=True):
        np.testing.assert_array_equal(weights, others)


def test_a_resume_with_more_epochs_goes_on(tmp_path):
    run = train(mlp, tmp_path, epochs=2)
    first = run.history
    run = train(mlp, tmp_path, epochs=3, resume=True, overwrite=False)
    assert run.history[:2] == first and len(run.history) == 3
    assert json.loads((run.path / "settings.json").read_text())["training"]["epochs"] == 3


def times(folder):
    """When each file of a Run was written; the lock is taken at each attempt."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}


def test_a_resume_with_other_data_is_refused_before_anything_is_touched(tmp_path):
    run = train(mlp, tmp_path)
    before = times(run.path)
    with pytest.raises(
        ValueError, match="the train part was 230 examples.* and now is 200 examples"
    ):
        train(mlp, tmp_path, digits(200), epochs=3, resume=True, overwrite=False)
    assert times(run.path) == before


def test_callbacks_keep_their_state_when_progress_is_switched_on(tmp_path, caplog):
    train(mlp, tmp_path, epochs=2, patience=9, learning_rate=1e-9)
    with caplog.at_level(logging.WARNING):
        train(
            mlp,
            tmp_path,
            epochs=3,
            patience=9,
            learning_rate=1e-9,
            progress=True,
            resume=True,
            overwrite=False,
        )
    assert "start anew" not in caplog.text
    state = newest_checkpoint(tmp_path / "run" / "checkpoints")[2]["callbacks"]
    assert [one["class"] for one in state] == ["EarlyStopping"] and state[0]["state"][
        "best_epoch"
    ] == 0


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(name="ce"),
    ],
    ids=["function's name", "class's name", "function", "object"],
)
def test_accuracy_is_that_of_the_loss_however_it_is_given(loss, tmp_path):
    metric = ModelTask(mlp, digits(), loss, ["accuracy"]).metrics()[0]
    assert isinstance(metric, keras.metrics.SparseCategoricalAccuracy) and metric.name == "accuracy"


def test_accuracy_that_cannot_be_told_is_asked_for(tmp_path):
    def own(targets, outputs):
        return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)

    with pytest.raises(ValueError, match="give the metric itself"):
        train(mlp, tmp_path, loss=own, metrics=["accuracy"])


def test_a_resume_may_not_change_settings(tmp_path):
    train(mlp, tmp_path)
    with pytest.raises(ValueError, match="`batch_size` is 32 and cannot become 16"):
        train(mlp, tmp_path, batch_size=16, resume=True, overwrite=False)


def test_another_run_is_not_overwritten(tmp_path):
    train(mlp, tmp_path)
    with pytest.raises(ValueError, match="holds a Run already"):
        train(mlp, tmp_path, overwrite=False)
    (tmp_path / "run" / "settings.json").unlink()
    with pytest.raises(ValueError, match="holds no Run"):
        train(mlp, tmp_path, overwrite=True)


def test_a_run_of_a_plain_model_loads_and_predicts(tmp_path):
    run = train(mlp, tmp_path)
    loaded = deepapps.load_run(run.path)
    inputs = digits(5, 2).arrays[0]
    np.testing.assert_array_equal(loaded.predict(inputs), run.predict(inputs))
    assert loaded.metrics == run.metrics and loaded.name == "model"


def test_a_finished_run_is_returned_by_a_resume(tmp_path):
    """Also one that patience has ended before its last epoch: nothing is trained or written
    again.
    """
    run = train(mlp, tmp_path, epochs=30, patience=1, learning_rate=1e-9)
    written = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    again = train(mlp, tmp_path, epochs=30, resume=True, overwrite=False)
    assert len(run.history) < 30 and again.history == run.history
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == written


def test_validation_stays_out_of_the_training_figures(tmp_path):
    """With validation data of another kind, the training loss is what it is without them."""
    inputs, targets = digits(90, 1).arrays
    spoilt = deepapps.Splits(digits(), deepapps.ArraySource(inputs * 100, (targets + 1) % 3))
    losses = [
        [line["loss"] for line in train(mlp, tmp_path, data, epochs=3).history]
        for data in (spoilt, deepapps.Splits(digits()))
    ]
    assert losses[0] == losses[1]


def test_several_outputs_have_losses_and_weights_of_their_own_and_a_loss_may_ask_for_inputs(
    tmp_path,
):
    random = np.random.default_rng(0)
    points = random.normal(size=(64, 3)).astype("float32")
    targets = {"sign": (points[:, 0] > 0).astype("int32"), "sum": points.sum(1, keepdims=True)}

    class Two(deepapps.Task):
        monitor, training = "loss", {"epochs": 2, "batch_size": 16, "progress": False}

        def data(self):
            source = deepapps.ArraySource(points, targets)
            return deepapps.Splits(source, validation=source)

        def network(self):
            inputs = keras.Input((3,))
            outputs = {"sign": keras.layers.Dense(2), "sum": keras.layers.Dense(1)}
            return keras.Model(inputs, {name: layer(inputs) for name, layer in outputs.items()})

        def loss(self):
            def far_off(targets, outputs, inputs):
                return keras.ops.abs(targets - outputs) * keras.ops.abs(inputs[:, :1])

            return {
                "sign": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                "sum": (far_off, 0.5),
            }

    run = deepapps.train(Two(), output=tmp_path)
    outputs = run.model(points)
    logits = outputs["sign"].numpy()
    log_shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    off = np.abs(targets["sum"] - outputs["sum"].numpy()) * np.abs(points[:, :1])
    expected = -log_shares[np.arange(64), targets["sign"]] + 0.5 * off[:, 0]
    assert run.metrics["validation"]["loss"] == pytest.approx(expected.mean(), rel=1e-5)
