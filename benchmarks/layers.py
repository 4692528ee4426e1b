"""Seconds and memory of the attention layers against Keras, KerasHub and PyTorch.

    python benchmarks/layers.py [CASE ...] [--rounds 5]

A step is a whole training step without an optimizer: forward, the mean of the squares of the
output, and its gradients by all weights and all inputs. Decoding has no gradient; its step is a
loop over 256 positions. The sides of a case run in turns in this process, each as one `tf.function`
of static shapes unless its name says otherwise. Times are medians over the rounds, at most 3 where
a step takes seconds; a first step does not count.

Memory is the peak of the resident memory during the first step less the resident memory before it,
in a fresh process for each side, which has traced the step but run nothing. Keras needs 9 GB in one
of the cases.

`times ours` divides a figure by that of deepapps: above 1, deepapps is better. A bar stands in the
    row of its
peer. The sides of PyTorch and KerasHub are left out where these are not installed. Run it on an
idle machine: PyTorch's threads wait for each other, and another process on the cores makes it many
times slower.
"""

import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import click
import keras
import tensorflow as tf

from deepapps import layers as ours


def training_step(forward, *inputs, known_shapes=True, jit_compile=None):
    """A traced training step of a Keras layer, or of a function that calls some, on these
    inputs.
    """
    symbols = [keras.Input((None, x.shape[-1])) for x in inputs]
    model = keras.Model(symbols, forward(*symbols))

    @tf.function(jit_compile=jit_compile)
    def step(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_mean(tf.square(model(list(inputs), training=True)))
        return tape.gradient(loss, [*inputs, *(weight.value for weight in model.trainable_weights)])

    specs = [tf.TensorSpec(x.shape if known_shapes else (None, None, x.shape[-1])) for x in inputs]
    traced = step.get_concrete_function(*specs)
    return lambda: traced(*inputs)[0].numpy()


def torch_training_step(build, *inputs):
    """The same in PyTorch: `build(torch)` returns a function and its parameters."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    forward, parameters = build(torch)
    inputs = [torch.tensor(x.numpy(), requires_grad=True) for x in inputs]
    return lambda: torch.autograd.grad(forward(*inputs).square().mean(), [*inputs, *parameters])


def decoding_loop(decode, cache, tokens, jit_compile=None):
    """A loop of `output, cache = decode(token, cache, position)` over the tokens `(B, T, D)`."""

    @tf.function(jit_compile=jit_compile)
    def loop(tokens, cache):
        def body(i, cache, outputs):
            output, cache = decode(tokens[:, i][:, None], cache, i)
            return i + 1, cache, outputs.write(i, output[:, 0])

        start = 0, cache, tf.TensorArray(tf.float32, tokens.shape[1])
        return tf.while_loop(lambda i, *_: i < tokens.shape[1], body, start)[2].stack()

    return lambda: loop(tokens, cache).numpy()


class NaturalCell(keras.layers.Layer):
    """An LSTM cell that attends, as a Keras user writes it: the keys are projected at each step."""

    def __init__(self, units):
        super().__init__()
        self.lstm = keras.layers.LSTMCell(units)
        self.project_query = keras.layers.Dense(units, use_bias=False)
        self.project_key = keras.layers.Dense(units, use_bias=False)
        self.attention = keras.layers.AdditiveAttention()
        self.state_size, self.output_size = [units, units], units

    def build(self, input_shape):
        width, units = self.memory.shape[-1], self.output_size
        self.lstm.build((None, input_shape[-1] + width))
        self.project_query.build((None, units))
        self.project_key.build((None, None, width))
        self.attention.build([(None, 1, units), (None, None, width), (None, None, units)])

    def call(self, inputs, states):
        query = self.project_query(states[0])[:, None]
        context = self.attention([query, self.memory, self.project_key(self.memory)])[:, 0]
        return self.lstm(keras.ops.concatenate([inputs, context], -1), states)


class NaturalAttentionLSTM(keras.layers.Layer):
    """`NaturalCell` in `keras.layers.RNN`; the cell is handed the memory by an attribute."""

    def __init__(self, units):
        super().__init__()
        self.rnn = keras.layers.RNN(NaturalCell(units), return_sequences=True)

    def call(self, inputs, memory):
        self.rnn.cell.memory = memory
        return self.rnn(inputs)


def keras_additive(query, value):
    """`keras.layers.AdditiveAttention` with the two projections that it leaves to the user."""
    project_query, project_key = (keras.layers.Dense(256, use_bias=False) for _ in range(2))
    return keras.layers.AdditiveAttention()([project_query(query), value, project_key(value)])


def torch_attention_lstm(torch):
    """`LSTMCell` and additive attention of 256 units; the keys are projected once."""
    lstm = torch.nn.LSTMCell(512, 256)
    project_query, project_key = (torch.nn.Linear(256, 256, bias=False) for _ in range(2))
    scale = torch.nn.Parameter(torch.randn(256) / 16)

    def forward(inputs, memory):
        keys, outputs = project_key(memory), []
        h = c = torch.zeros(len(inputs), 256)
        for x in inputs.unbind(1):
            scores = torch.tanh(project_query(h)[:, None] + keys) @ scale
            context = (torch.softmax(scores, 1)[:, None] @ memory)[:, 0]
            h, c = lstm(torch.cat([x, context], 1), (h, c))
            outputs.append(h)
        return torch.stack(outputs, 1)

    return forward, [
        *lstm.parameters(),
        *project_query.parameters(),
        *project_key.parameters(),
        scale,
    ]


def torch_multi_head(torch):
    """Self-attention of 4 heads of 64 by `scaled_dot_product_attention`."""
    project, output = torch.nn.Linear(256, 768), torch.nn.Linear(256, 256)

    def forward(inputs):
        heads = project(inputs).unflatten(-1, (3, 4, 64)).permute(2, 0, 3, 1, 4)  # (3, B, H, T, 64)
        context = torch.nn.functional.scaled_dot_product_attention(*heads)
        return output(context.transpose(1, 2).flatten(2))

    return forward, [*project.parameters(), *output.parameters()]


def keras_bilstm(kind):
    """Both directions over masked sequences, as in the sequence classifier."""
    layer = keras.layers.Bidirectional(kind(96, return_sequences=True))
    return lambda x: layer(x, mask=keras.ops.any(keras.ops.not_equal(x, 0), axis=-1))


def bilstm():
    """Batch 64, 20 steps of width 64, 96 units in each direction."""
    inputs = tf.random.normal((64, 20, 64))
    with_ours, with_keras = (
        partial(training_step, keras_bilstm(one.LSTM), inputs, known_shapes=False)
        for one in (ours, keras.layers)
    )
    return {"deepapps": with_ours, "Keras": with_keras}, {"ms": {"Keras": 1}}


def attention_lstm():
    """Batch 64, 40 steps, memory of 40, 256 units."""
    inputs, memory = tf.random.normal((2, 64, 40, 256))
    with_ours = partial(
        training_step, ours.AttentionLSTM(256, return_sequences=True), inputs, memory
    )
    natural = partial(training_step, NaturalAttentionLSTM(256), inputs, memory)
    sides = {
        "deepapps": with_ours,
        "deepapps, unknown shapes": partial(with_ours, known_shapes=False),
        "Keras composition": natural,
        "Keras composition, XLA": partial(natural, jit_compile=True),
        "Keras LSTM alone": partial(
            training_step, keras.layers.LSTM(256, return_sequences=True), inputs
        ),
        "PyTorch": partial(torch_training_step, torch_attention_lstm, inputs, memory),
    }
    return sides, {"ms": {"Keras composition": 2, "Keras LSTM alone": 0.5, "PyTorch": 1.2}}


def additive():
    """Batch 2, 1024 queries and 1024 values of width 256, 256 units."""
    query, value = tf.random.normal((2, 2, 1024, 256))
    sides = {
        "deepapps": partial(training_step, ours.AdditiveAttention(256), query, value),
        "Keras": partial(training_step, keras_additive, query, value),
    }
    return sides, {"ms": {"Keras": 1}, "MB": {"Keras": 8}}


def multi_head(batch, length):
    """Self-attention of width 256, 4 heads of 64."""
    inputs = tf.random.normal((batch, length, 256))
    return {
        "deepapps": partial(training_step, lambda x: ours.MultiHeadAttention(4, 64)(x, x), inputs),
        "Keras": partial(
            training_step, lambda x: keras.layers.MultiHeadAttention(4, 64)(x, x), inputs
        ),
        "PyTorch": partial(torch_training_step, torch_multi_head, inputs),
    }


def multi_head_4096():
    return multi_head(2, 4096), {"ms": {"Keras": 1}, "MB": {"Keras": 4}}


def multi_head_16384():
    """Without Keras: each copy of its scores would be 4.3 GB."""
    sides = multi_head(1, 16384)
    del sides["Keras"]
    return sides, {"MB": {"deepapps": 2000}}


def ours_decoding(tokens, **options):
    layer = ours.MultiHeadAttention(4, 64)
    layer.build(tokens.shape, tokens.shape)
    cache = layer.initial_cache(8, 256)
    return decoding_loop(
        lambda x, c, i: layer(x, x, cache=c, cache_index=i), cache, tokens, **options
    )


def keras_hub_decoding(tokens, **options):
    from keras_hub.layers import CachedMultiHeadAttention

    layer = CachedMultiHeadAttention(4, 64)
    layer.build(tokens.shape, tokens.shape)

    def decode(x, cache, i):
        mask = tf.broadcast_to(tf.range(256) <= i, (8, 1, 256))
        return layer(x, x, attention_mask=mask, cache=cache, cache_update_index=i)

    return decoding_loop(decode, tf.zeros((8, 2, 256, 4, 64)), tokens, **options)


def decoding():
    """Batch 8, self-attention of width 256, 4 heads of 64: 256 positions one by one, with a
    cache.
    """
    tokens = tf.random.normal((8, 256, 256))
    sides = {
        "deepapps": partial(ours_decoding, tokens),
        "deepapps, XLA": partial(ours_decoding, tokens, jit_compile=True),
        "KerasHub": partial(keras_hub_decoding, tokens),
        "KerasHub, XLA": partial(keras_hub_decoding, tokens, jit_compile=True),
    }
    return sides, {"ms": {"KerasHub": 1}}


def built(sides):
    """The step of each side whose package is installed."""
    steps = {}
    for side, build in sides.items():
        try:
            steps[side] = build()
        except ImportError as error:
            print(f"{side} is left out: {error}")
    return steps


def medians(steps, rounds):
    """Milliseconds of each step."""
    times = {side: [] for side in steps}
    for _ in range(1 + rounds):
        for side, step in steps.items():
            began = time.perf_counter()
            step()
            times[side].append(1000 * (time.perf_counter() - began))
    return {side: statistics.median(values[1:]) for side, values in times.items()}


def resident(field):
    """MB that this process holds (`VmRSS`), or held at its peak (`VmHWM`)."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) * 1024 / 1e6


def extra_memory(step):
    """MB by which this process grows at most during the step."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    step()
    return resident("VmHWM") - before


def extra_memory_apart(name, side):
    """The same in a fresh process."""
    command = [sys.executable, __file__, name, "--memory-of", side]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()[-1])


def print_rows(name, figures, unit, bars):
    for side, figure in figures.items():
        ratio, bar = figure / figures["deepapps"], ""
        if side in bars:
            sign, met = (
                ("<", figure < bars[side]) if side == "deepapps" else (">=", ratio >= bars[side])
            )
            bar = f"{sign} {bars[side]:g} {'met' if met else 'missed'}"
        digits = 1 if figure < 100 else 0
        print(
            f"{name:16} {side:24} {figure:8.{digits}f} {unit} {ratio:10.2f}   {bar}".rstrip(),
            flush=True,
        )


# A case returns its sides, each a name and a function that builds the side and returns its step,
# and its bars in ms and in MB: for a peer the least number of times our figure, for ours the figure
# to stay below.
CASES = {
    f.__name__: f
    for f in (bilstm, attention_lstm, additive, multi_head_4096, multi_head_16384, decoding)
}


@click.command()
@click.argument("names", metavar="[CASE]...", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--rounds", default=5, show_default=True)
@click.option(
    "--memory-of", hidden=True, help="Print only the extra memory of this side of the case."
)
def main(names, rounds, memory_of):
    if memory_of:
        return print(extra_memory(CASES[names[0]]()[0][memory_of]()))
    print(f"{'case':16} {'side':24} {'':11} {'times ours':>10}   bar")
    for name in names or CASES:
        sides, bars = CASES[name]()
        steps = built(sides)
        if "MB" in bars:
            print_rows(
                name, {side: extra_memory_apart(name, side) for side in steps}, "MB", bars["MB"]
            )
        print_rows(
            name,
            medians(steps, min(rounds, 3) if "MB" in bars else rounds),
            "ms",
            bars.get("ms", {}),
        )


if __name__ == "__main__":
    main()
