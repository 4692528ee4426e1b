"""The table of features and apps: each feature with the app's own defaults, on tiny data."""

import keras
import numpy as np
import pytest

import deepapps
from deepapps.networks import IMAGE_NETWORKS, SEQUENCE_NETWORKS, TRANSLATION_NETWORKS
from deepapps.settings import DTYPE_POLICIES
from deepapps.tasks import find_task
from deepapps.training.session import Session

SMALL = {
    "image": {"network": "cnn"},
    "sequence": {"units": 8, "embedding_size": 8},
    "series": {"units": 8},
    "translator": {"units": 8, "vocabulary_size": 300},
    "summarizer": {"units": 8, "vocabulary_size": 300},
}
# a summarizer is a translator with other defaults
FAST = [pytest.param(app, marks=[pytest.mark.slow] if app == "summarizer" else []) for app in SMALL]
NETWORKS = {
    "image": IMAGE_NETWORKS,
    "sequence": SEQUENCE_NETWORKS,
    "series": SEQUENCE_NETWORKS,
    "translator": TRANSLATION_NETWORKS,
    "summarizer": TRANSLATION_NETWORKS,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The data of each app."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = random.integers(0, 50, (60, 32, 32)) + 80 * labels[:, None, None]
    np.savez(folder / "image.npz", x_train=images.astype("uint8"), y_train=labels)
    series = random.normal(labels[:, None, None], 1, (60, 5, 2))
    np.savez(folder / "series.npz", x_train=series, y_train=labels)
    texts = [f"{'ab'[n % 2]}\t{('buy pills now', 'hello my friend')[n % 2]} {n}" for n in range(60)]
    pairs = [f"{a} {b} dog\t{b} {a} chien" for a in "abcdefgh" for b in "mnopqrst"]
    for name, lines in {"sequence": texts, "translator": pairs, "summarizer": pairs}.items():
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def session_of(folder, app, callbacks=(), network=None, **training):
    task = find_task("sequence" if app == "series" else app)
    data = next(folder.glob(f"{app}.*"))
    settings = SMALL[app] | {"data": str(data)} | ({"network": network} if network else {})
    training = {"batch_size": 16, "epochs": 1, "progress": False, **training}
    training = deepapps.TrainingSettings(**task.training | training)
    return Session(task(task.Settings(**settings)), training, callbacks=callbacks)


@pytest.mark.parametrize("app", FAST)
def test_callbacks_and_calls_of_many_batches_with_the_defaults_of_an_app(app, folder, tmp_path):
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "board"),
        keras.callbacks.TerminateOnNaN(),
    ]
    session = session_of(
        folder, app, callbacks, gradient_accumulation_steps=2, steps_per_execution=3
    )
    (line,) = session.fit()
    assert np.isfinite([line["loss"], line["val_loss"]]).all()
    header, values = (tmp_path / "log.csv").read_text().splitlines()
    logged = dict(zip(header.split(","), values.split(","), strict=True))
    assert float(logged["val_loss"]) == pytest.approx(line["val_loss"])
    assert (tmp_path / "best.keras").exists() and any((tmp_path / "board").rglob("events*"))


@pytest.mark.parametrize("app", SMALL)
@pytest.mark.parametrize(
    "callback",
    [
        lambda: keras.callbacks.ReduceLROnPlateau(patience=1),
        lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
    ],
    ids=["ReduceLROnPlateau", "LearningRateScheduler"],
)
def test_a_callback_that_sets_the_learning_rate_is_refused_under_a_schedule(callback, app, folder):
    with pytest.raises(ValueError, match="so does the schedule CosineDecay.*='constant'"):
        session_of(folder, app, [callback()])


def test_a_callback_sets_a_constant_learning_rate(folder):
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss", 0.5, patience=1, min_delta=100)
    session = session_of(
        folder, "sequence", [plateau], learning_rate_schedule="constant", epochs=3, warmup=0.0
    )
    rates = [line["learning_rate"] for line in session.fit()]
    assert rates[-1] < rates[0] == session.settings.learning_rate


# each policy and most apps once; all of them with all networks are slow
PAIRS = list(zip(DTYPE_POLICIES[1:], SMALL, strict=False))
ALL = [
    pytest.param(policy, app, network, marks=pytest.mark.slow)
    for app in SMALL
    for network in NETWORKS[app]
    for policy in DTYPE_POLICIES
]


@pytest.mark.parametrize("policy, app, network", [*((*pair, None) for pair in PAIRS), *ALL])
def test_dtype_policies(policy, app, network, folder):
    session = session_of(folder, app, network=network, dtype_policy=policy)
    (line,) = session.fit()
    assert np.isfinite([line["loss"], line["val_loss"]]).all()
    assert session.model.dtype_policy.name == policy
