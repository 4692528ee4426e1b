"""Speed of the sequence classifier against the natural Keras program, on the same texts in one run.

    python benchmarks/sequence_speed.py FILE_OF_TEXTS [--epochs 3]

The peer pads every text to the 95th percentile of the lengths, cutting longer ones, and calls `fit`
and `predict` on Embedding, Bidirectional(LSTM), `keras.layers.Attention` and the mean over the
steps, of the same widths.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
from keras import layers

from deepapps.data.sequences.load import load_sequences
from deepapps.data.source import Splits
from deepapps.inference.predictor import Predictor
from deepapps.settings import TrainingSettings
from deepapps.tasks.sequence_classification import SequenceClassification, SequenceSettings
from deepapps.training.session import Session

BATCH = 64
TEXTS = 10_000


def peer(data, settings):
    """The natural program, compiled, and its padded inputs and targets."""
    source = data[0].train
    width = int(np.percentile(source.inputs.sizes, 95))
    tokens = keras.Input((width,), dtype="int32")
    x = layers.Embedding(data[1].encoder.tokenizer.size, settings.embedding_size, mask_zero=True)(
        tokens
    )
    steps = layers.Bidirectional(layers.LSTM(settings.units, return_sequences=True))(x)
    pooled = layers.GlobalAveragePooling1D()(layers.Attention()([steps, steps]))
    outputs = layers.Dense(len(data[1].class_names))(layers.Dropout(settings.dropout)(pooled))
    model = keras.Model(tokens, outputs)
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model, width, source.inputs.padded(np.arange(len(source)), width), source.targets


class EpochTimes(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.times = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter() - self._began)


def peer_rate(model, inputs, targets, epochs):
    """Training examples a second of `fit`, the best epoch after the first."""
    times = EpochTimes()
    model.fit(inputs, targets, batch_size=BATCH, epochs=1 + epochs, verbose=0, callbacks=[times])
    return len(inputs) / min(times.times[1:])


def own_rate(task, splits, epochs):
    """Training examples a second of the loop, the best epoch after the first."""
    settings = TrainingSettings(
        **task.training | {"batch_size": BATCH, "deterministic": False, "progress": False}
    )
    times = EpochTimes()
    session = Session(task, settings, callbacks=[times], splits=Splits(splits.train))
    session.fit(1 + epochs)
    return session.model, len(splits.train) / min(times.times[1:])


def seconds(function):
    """The best of three times, after one to warm up."""
    function()
    times = []
    for _ in range(3):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


@click.command()
@click.argument("data")
@click.option("--epochs", default=3, show_default=True)
def main(data, epochs):
    settings = SequenceSettings(data=data)
    task = SequenceClassification(settings)
    splits = task.data()
    loaded = load_sequences(settings)
    model, width, inputs, targets = peer(loaded, settings)
    peers = peer_rate(model, inputs, targets, epochs)
    own_model, own = own_rate(task, splits, epochs)
    print(f"training: deepapps {own:.0f} examples/s, Keras {peers:.0f}, {own / peers:.2f} times")

    texts = (splits.train.raw * (TEXTS // len(splits.train) + 1))[:TEXTS]
    encode = loaded[1].encoder.encode

    def predict_padded():
        model.predict(encode(texts).padded(np.arange(TEXTS), width), batch_size=256, verbose=0)

    predictor = Predictor(own_model)
    own = seconds(lambda: predictor.predict(encode(texts)))
    peers = seconds(predict_padded)
    print(
        f"prediction of {TEXTS:,} texts: deepapps {own:.2f} s, Keras {peers:.2f} s, "
        f"{peers / own:.2f} times"
    )


if __name__ == "__main__":
    main()
