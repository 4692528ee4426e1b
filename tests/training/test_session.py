"""A training without a folder."""

import concurrent.futures
import dataclasses

import keras
import numpy as np
import pytest

import deepapps
from deepapps.settings import Settings, setting
from deepapps.training.session import Session


class Points(deepapps.Task):
    """Is the sum of four numbers above zero?"""

    training = {"epochs": 3, "batch_size": 20, "progress": False}

    def data(self):
        numbers = np.random.default_rng(0).normal(size=(150, 4)).astype("float32")
        above = (numbers.sum(1) > 0).astype("int32")
        train, validation = ((numbers[part], above[part]) for part in (slice(100), slice(100, 150)))
        return deepapps.Splits(train, validation, description="150 points")

    def network(self):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])

    def loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy("accuracy")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TunedSettings(Settings):
    units: int = setting(3, "Width.")


class Tuned(Points):
    Settings = TunedSettings


def test_it_trains_as_train_does_at_once_and_in_parts_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole, parts = Session(Points()), Session(Points())
    history = whole.fit()
    for epochs in (1, 2, 3):
        assert len(parts.fit(epochs)) == epochs
    assert list(tmp_path.iterdir()) == []
    run = deepapps.train(Points(), output="run")
    for session in (whole, parts):
        last = session.evaluate(session.splits.validation)
        assert last["loss"] == pytest.approx(run.history[-1]["val_loss"], rel=1e-6)
        for line, stored in zip(session.history, run.history, strict=True):
            assert line | {"seconds": 0} == stored | {"seconds": 0}
    assert history[-1]["epoch"] == 3
    assert (tmp_path / "run" / "data.txt").read_text() == "150 points\n"


def test_weights_go_in_and_out():
    session, other = (
        Session(Points()),
        Session(Points(), deepapps.TrainingSettings(seed=1, batch_size=20)),
    )
    session.fit(1)
    before = session.evaluate(session.splits.validation)
    assert other.evaluate(session.splits.validation) != before
    other.weights = session.weights
    assert other.evaluate(session.splits.validation) == before


def test_a_model_of_the_caller_is_trained():
    model = Points().network()
    before = model.get_weights()
    session = Session(Points(), model=model)
    session.fit(1)
    assert session.model is model
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_tensorboard_needs_a_folder():
    settings = deepapps.TrainingSettings(tensorboard=True, batch_size=20, progress=False)
    with pytest.raises(ValueError, match="`tensorboard` needs the folder of a Run"):
        Session(Points(), settings).fit()


def test_callbacks_see_the_weights_that_were_measured(tmp_path):
    """With averaged weights, too: what ModelCheckpoint saves scores what it was told."""
    saver = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    settings = deepapps.TrainingSettings(
        use_ema=True, ema_momentum=0.9, learning_rate=0.1, batch_size=20, epochs=2, progress=False
    )
    session = Session(Points(), settings, callbacks=[saver])
    session.fit()
    numbers, above = session.splits.validation.arrays
    for line in session.history:
        logits = keras.saving.load_model(tmp_path / f"{line['epoch']}.keras").predict(numbers)
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        loss = -np.log(shares[np.arange(len(above)), above]).mean()
        assert line["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_two_threads_do_not_train_at_once():
    """They would share the random numbers of Keras."""
    other = []

    class Second(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if not other:
                with concurrent.futures.ThreadPoolExecutor() as threads:
                    other.append(threads.submit(Session, Points()).exception())

    first = Session(Points(), callbacks=[Second()])
    assert len(first.fit()) == 3
    assert isinstance(other[0], ValueError) and "Another thread of this process trains" in str(
        other[0]
    )
    with concurrent.futures.ThreadPoolExecutor() as threads:
        assert threads.submit(Session, Points()).exception() is None


def test_settings_of_a_task_given_alone_are_answered_with_what_to_write():
    with pytest.raises(ValueError, match=r"Tuned\(Tuned.Settings\(units=3\)\)"):
        Tuned(units=3)


def test_a_run_shows_what_is_for_users(tmp_path):
    run = deepapps.train(Points(), output=tmp_path / "run", epochs=1)
    assert all(hasattr(run, name) for name in dir(run))
    assert {"predict", "evaluate", "history"} <= {*dir(run)} and "held" not in dir(run)
