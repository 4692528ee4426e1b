"""Decoding and training of `attention-lstm` against the same network in PyTorch, and against what
one would write in Keras.

    python benchmarks/translator.py [--seconds 5] [--data PAIRS]

First sentences of random subwords, all of 20, 64 in a batch: an update, and greedy decoding,
against PyTorch and against the tutorial's loop, which calls the network on the whole prefix again
for each token. Each line prints the median time, taken by turns in one process, and its ratio to
deepapps. Then whole epochs of real pairs, by default those of the
sample, against the natural Keras program: Embedding, Bidirectional(LSTM), LSTM,
`keras.layers.AdditiveAttention`, a softmax, and `fit` on shuffled batches padded to their longest
sentence. Target subwords a second.
"""

import statistics
import time

import click
import keras
import numpy as np
import tensorflow as tf
import torch
from keras import layers
from torch.nn import functional

from deepapps.data.pairs.encoder import BOUNDARY
from deepapps.data.source import Splits
from deepapps.inference.decoding import Search
from deepapps.metrics.losses import smoothed_tokens
from deepapps.networks.translation import attention_lstm
from deepapps.settings import TrainingSettings
from deepapps.tasks.translation import Translation, TranslatorSettings
from deepapps.training.optimizers import make_optimizer
from deepapps.training.session import Session

VOCABULARY, BATCH, STEPS = 8000, 64, 20
SETTINGS = TranslatorSettings(dropout=0.0)
UNITS = SETTINGS.units


class Peer(torch.nn.Module):
    """The network of `deepapps.networks.translation.RecurrentTranslator` in PyTorch."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, UNITS)
        self.encoder = torch.nn.LSTM(UNITS, UNITS // 2, bidirectional=True, batch_first=True)
        self.beginning = torch.nn.ModuleList(torch.nn.Linear(UNITS, UNITS) for _ in "hc")
        self.key, self.query = (torch.nn.Linear(UNITS, UNITS, bias=False) for _ in range(2))
        self.score = torch.nn.Linear(UNITS, 1, bias=False)
        self.cell = torch.nn.LSTMCell(2 * UNITS, UNITS)
        self.readout = torch.nn.Linear(3 * UNITS, UNITS)
        self.bias = torch.nn.Parameter(torch.zeros(VOCABULARY))

    def start(self, sources):
        memory, _ = self.encoder(self.embedding(sources))
        state = tuple(torch.tanh(layer(memory.mean(1))) for layer in self.beginning)
        return memory, self.key(memory), state

    def step(self, inputs, memory, keys, state):
        scores = self.score(torch.tanh(self.query(state[0])[:, None] + keys)).squeeze(-1)
        context = (functional.softmax(scores, -1)[:, None] @ memory).squeeze(1)
        state = self.cell(torch.cat([inputs, context], -1), state)
        return torch.cat([inputs, state[0], context], -1), state

    def logits(self, joined):
        return torch.tanh(self.readout(joined)) @ self.embedding.weight.T + self.bias

    def forward(self, sources, targets):
        memory, keys, state = self.start(sources)
        joined = []
        for inputs in self.embedding(targets).unbind(1):
            one, state = self.step(inputs, memory, keys, state)
            joined.append(one)
        return self.logits(torch.stack(joined, 1))

    @torch.inference_mode()
    def decode(self, sources):
        memory, keys, state = self.start(sources)
        tokens, found = torch.full((len(sources),), BOUNDARY), []
        for _ in range(STEPS):
            joined, state = self.step(self.embedding(tokens), memory, keys, state)
            tokens = self.logits(joined).argmax(-1)
            found.append(tokens)
        return torch.stack(found, 1)


def decoders(model, peer, sources):
    """`{name: function}`; no sentence ends before 20 subwords."""
    model.bias.assign(tf.tensor_scatter_nd_update(model.bias.value, [[BOUNDARY]], [-1e9]))
    numbers = tf.TensorSpec([None, None], "int32")

    def search(beam):
        def decode(sources):
            size = tf.shape(sources)[0]
            return Search(beam=beam)(
                model.step, model.start(sources), size, STEPS, BOUNDARY, BOUNDARY
            ).tokens

        return tf.function(decode, input_signature=[numbers], autograph=False)

    @tf.function(input_signature=[numbers, numbers], autograph=False)
    def whole(sources, prefix):
        return tf.argmax(model((sources, prefix))[:, -1], -1, "int32")

    def tutorial():
        prefix = np.full((BATCH, 1), BOUNDARY, "int32")
        for _ in range(STEPS):
            prefix = np.concatenate([prefix, whole(sources, prefix).numpy()[:, None]], 1)
        return prefix[:, 1:]

    greedy, beam, there = search(1), search(5), torch.from_numpy(sources).long()
    np.testing.assert_array_equal(greedy(sources)[:, 0], tutorial())
    return {
        "deepapps, greedy": lambda: greedy(sources).numpy(),
        "deepapps, beam 5": lambda: beam(sources).numpy(),
        "PyTorch, greedy": lambda: peer.decode(there).numpy(),
        "the tutorial's loop, greedy": tutorial,
    }


def trainings(model, peer, sources, targets):
    """`{name: function}` of one update each, with Adam."""
    loss = smoothed_tokens(0.1)
    optimizer = make_optimizer(TrainingSettings(optimizer="adam", learning_rate=1e-3), updates=1)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def update(sources, begun, targets):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(targets, model((sources, begun), training=True)))
        gradients = tape.gradient(value, [variable.value for variable in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        return value

    adam = torch.optim.Adam(peer.parameters(), 1e-3)
    ours = [tf.constant(part) for part in (sources, targets[:, :-1], targets[:, 1:])]
    theirs = [torch.from_numpy(part).long() for part in (sources, targets[:, :-1], targets[:, 1:])]

    def peer_update():
        adam.zero_grad()
        logits = peer(*theirs[:2]).flatten(0, 1)
        functional.cross_entropy(logits, theirs[2].flatten(), label_smoothing=0.1).backward()
        adam.step()

    return {"deepapps, training": lambda: update(*ours).numpy(), "PyTorch, training": peer_update}


def compare(functions, seconds, unit, count):
    """Prints the median times, taken by turns, of functions that each handle `count` of a unit."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    end = time.perf_counter() + seconds * len(functions)
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(
            f"{name:30}{1000 * median:8.0f} ms {count / median:8.0f} {unit}/s   "
            f"{median / first:.2f} times",
            flush=True,
        )


def natural(vocabulary):
    """The natural Keras program, compiled: what it reads is not fed into the steps of its
    decoder.
    """
    sources, targets = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedding = layers.Embedding(vocabulary, UNITS, mask_zero=True)
    read, *states = layers.Bidirectional(
        layers.LSTM(UNITS // 2, return_sequences=True, return_state=True)
    )(embedding(sources))
    state = [layers.Concatenate()(states[part::2]) for part in range(2)]
    written = layers.LSTM(UNITS, return_sequences=True)(embedding(targets), initial_state=state)
    context = layers.AdditiveAttention()([written, read])
    joined = layers.Dense(UNITS, "tanh")(layers.Concatenate()([written, context]))
    model = keras.Model([sources, targets], layers.Dense(vocabulary)(joined))
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    )
    return model


def natural_batches(source):
    """Shuffled batches of pairs, each padded to its longest sentences."""
    sides = [
        tf.RaggedTensor.from_row_lengths(side.values, side.lengths)
        for side in (source.sources, source.targets)
    ]
    pairs = (
        tf.data.Dataset.from_tensor_slices(tuple(sides)).shuffle(len(source)).ragged_batch(BATCH)
    )
    pairs = pairs.map(lambda *sides: tuple(side.to_tensor() for side in sides))
    return pairs.map(lambda one, other: ((one, other[:, :-1]), other[:, 1:])).prefetch(2)


def epochs_against_keras(data, rounds=3):
    """Prints the target subwords a second of whole epochs, taken by turns, the best of each; the
    first compiles.
    """
    task = Translation(TranslatorSettings(data=data, dropout=0.0))
    source = task.data().train
    settings = TrainingSettings(
        **task.training | {"batch_size": BATCH, "deterministic": False, "progress": False}
    )
    session = Session(task, settings, splits=Splits(source))
    peer, batches = natural(task.encoder.target.size), natural_batches(source)

    sides = {
        "deepapps": lambda number: session.fit(1 + number),
        "Keras": lambda _: peer.fit(batches, verbose=0),
    }
    seconds = {name: [] for name in sides}
    for number in range(1 + rounds):
        for name, epoch in sides.items():
            began = time.perf_counter()
            epoch(number)
            seconds[name].append(time.perf_counter() - began)
    subwords = int((source.targets.lengths - 1).sum())
    own, other = (subwords / min(times[1:]) for times in seconds.values())
    print(
        f"training on {data}: deepapps {own:.0f} subwords/s, Keras {other:.0f}, {own / other:.2f} "
        "times"
    )


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="For each line.")
@click.option("--data", default="sample", show_default=True, help="Pairs to train on.")
def main(seconds, data):
    random = np.random.default_rng(0)
    sources, targets = random.integers(2, VOCABULARY, (2, BATCH, STEPS + 1)).astype("int32")
    model, peer = attention_lstm(SETTINGS, (VOCABULARY, VOCABULARY), True), Peer()
    compare(trainings(model, peer, sources, targets), seconds, "subwords", BATCH * STEPS)
    compare(decoders(model, peer, sources), seconds, "sentences", BATCH)
    epochs_against_keras(data)


if __name__ == "__main__":
    main()
