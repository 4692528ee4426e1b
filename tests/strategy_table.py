"""Which feature of the loop works under which strategy: tried out, and written into
docs/distributed.md.

python tests/strategy_table.py
"""

import json
import os
import pathlib
import re
import tempfile

import processes
import worker_scenario as scenario

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "distributed.md"
MARK = re.compile(r"(<!-- features -->\n).*?(<!-- end -->)", re.DOTALL)
STRATEGIES = ("none", "mirrored:2", "multi-worker", "parameter-server")
FEATURES = {
    "validation, metrics, best weights": {},
    "dropout": {"network": "dropout"},
    "synchronized batch normalization": {"network": "batch norm"},
    "augmentation": {"augment": True},
    "sample weights": {"sample_weights": True},
    "`class_weight`": {"class_weight": {1: 2.0}},
    "`gradient_accumulation_steps`": {"gradient_accumulation_steps": 2},
    "`clipnorm`, `clipvalue`, `global_clipnorm`": {"global_clipnorm": 0.5},
    "`use_ema`": {"use_ema": True, "optimizer": "adamw"},
    "schedule with warm-up": {"learning_rate_schedule": "CosineDecay", "warmup": 0.2},
    "optimizer from a function": {"made": True},
    '`dtype_policy="mixed_bfloat16"`': {"dtype_policy": "mixed_bfloat16"},
    '`dtype_policy="mixed_float16"`': {"dtype_policy": "mixed_float16"},
    "callbacks: `EarlyStopping`": {"callback": "EarlyStopping"},
    "callbacks: `ReduceLROnPlateau`": {"callback": "ReduceLROnPlateau"},
    "callbacks: `ModelCheckpoint`": {"callback": "ModelCheckpoint"},
    "callbacks of one's own, with batch hooks": {"callback": "own"},
    "checkpoints within an epoch": {"checkpoint_seconds": 0.0, "steps_per_execution": 2},
    "`resume`": {"resumes": True},
    "`deterministic=True`": {"deterministic": True},
    "`jit_compile=True`": {"jit_compile": True},
    "source with random access": {"as_rows": True},
    "`tf.data.Dataset`": {"dataset": True},
}


def try_all(strategy, file):
    """Trains with each feature under a strategy; writes `{feature: "yes" or why not}` into a
    file.
    """
    import deepapps

    if strategy == "mirrored:2":
        deepapps.use_devices(2)
    found = {}
    with tempfile.TemporaryDirectory() as own:
        shared = pathlib.Path(f"{file}.runs")  # one folder for all workers
        for number, (feature, options) in enumerate(FEATURES.items()):
            try:
                _try(strategy, shared / str(number), pathlib.Path(own), **options)
                found[feature] = "yes"
            except ValueError as error:
                found[feature] = str(error).splitlines()[0]
    if not pathlib.Path(file).exists():  # all workers have found the same
        pathlib.Path(file).write_text(json.dumps(found))


def _try(
    strategy,
    folder,
    own,
    network="mlp",
    augment=False,
    sample_weights=False,
    made=False,
    callback=None,
    resumes=False,
    as_rows=False,
    dataset=False,
    **settings,
):
    import keras
    import tensorflow as tf

    import deepapps

    class Tried(deepapps.Task):
        name = "tried"

        def data(self):
            train, validation, _ = vars(scenario.splits()).values()
            if sample_weights:
                train = deepapps.ArraySource(*train.arrays, train.arrays[1] + 0.5)
            if as_rows:
                train = scenario.Rows(train)
            if dataset:
                train = tf.data.Dataset.from_tensor_slices(train.arrays).batch(32)
            return deepapps.Splits(train, validation)

        def network(self):
            return scenario.network(network)()

        def augmentation(self):
            return keras.Sequential([keras.layers.RandomTranslation(0.1, 0.1)]) if augment else None

        def loss(self):
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        def metrics(self):
            return [keras.metrics.SparseCategoricalAccuracy("accuracy")]

    def train(epochs, **more):
        callbacks = [_callback(callback, own)] if callback else []
        return deepapps.train(
            Tried(),
            strategy=strategy,
            output=folder,
            epochs=epochs,
            batch_size=32,
            learning_rate=0.02,
            progress=False,
            callbacks=callbacks,
            **settings,
            **more,
        )

    if made:
        settings["optimizer"] = lambda: keras.optimizers.SGD(0.1, momentum=0.9)
    run = train(4)
    if resumes:
        run = train(6, resume=True)
    assert len(run.history) == (6 if resumes else 4)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def _callback(name, folder):
    import keras

    class Own(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

        def on_train_end(self, logs=None):
            assert self.steps

    kinds = {
        "EarlyStopping": lambda: keras.callbacks.EarlyStopping("val_loss", patience=5),
        "ReduceLROnPlateau": lambda: keras.callbacks.ReduceLROnPlateau("val_loss"),
        "ModelCheckpoint": lambda: keras.callbacks.ModelCheckpoint(folder / "model.keras"),
        "own": Own,
    }
    return kinds[name]()


def try_under(strategy, folder):
    """The findings of `try_all` in processes of their own."""
    file = pathlib.Path(folder) / strategy.replace(":", "-")
    if strategy in ("none", "mirrored:2"):
        assert processes.run(try_all, strategy, file) == 0
    else:
        jobs = {"worker": 2} if strategy == "multi-worker" else {"chief": 1, "worker": 2, "ps": 1}
        assert set(scenario.in_cluster(jobs, try_all, strategy, file)) == {0}
    return json.loads(file.read_text())


def table(findings):
    """The findings of all strategies as a table; what is refused is explained below it."""
    reasons = []
    rows = [
        "| | " + " | ".join(f"`{name}`" for name in STRATEGIES) + " |",
        "|---" * (len(STRATEGIES) + 1) + "|",
    ]
    for feature in FEATURES:
        cells = []
        for strategy in STRATEGIES:
            found = findings[strategy][feature]
            if found != "yes":
                if found not in reasons:
                    reasons.append(found)
                found = f"refused ({reasons.index(found) + 1})"
            cells.append(found)
        rows.append(f"| {feature} | {' | '.join(cells)} |")
    return "\n".join(
        [*rows, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1)), ""]
    )


def current_table():
    with tempfile.TemporaryDirectory() as folder:
        return table({strategy: try_under(strategy, folder) for strategy in STRATEGIES})


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    text = current_table()
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARK.sub(lambda mark: f"{mark[1]}{text}{mark[2]}", page), encoding="utf-8")
