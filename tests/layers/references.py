"""What the layers compute, in NumPy and float64, from the formulas: one step, one head at a time.

Every reference takes the layer's weights in the order of `get_weights`, then its call arguments by
name, and returns the list of the outputs.
"""

import numpy as np


def softmax(scores, visible):
    """Over the last axis, of what is visible; zeros where nothing is."""
    highest = np.max(np.where(visible, scores, -np.inf), axis=-1, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    powers = np.where(visible, np.exp(np.where(visible, scores, 0.0) - highest), 0.0)
    total = powers.sum(axis=-1, keepdims=True)
    return powers / np.where(total > 0, total, 1.0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def visible_pairs(
    shape,
    query_mask=None,
    value_mask=None,
    key_mask=None,
    attention_mask=None,
    use_causal_mask=False,
    sliding_window=None,
):
    """What may be attended to, `(B, Tq, Tv)`."""
    visible = np.ones(shape, "bool")
    for mask in (value_mask, key_mask):
        visible &= True if mask is None else mask[:, None, :].astype("bool")
    visible &= True if query_mask is None else query_mask[:, :, None].astype("bool")
    visible &= True if attention_mask is None else attention_mask.astype("bool")
    distance = np.arange(shape[1])[:, None] - np.arange(shape[2])
    visible &= (distance >= 0) if use_causal_mask else True
    visible &= True if sliding_window is None else np.abs(distance) < sliding_window
    return visible


def attention(score, query, value, key=None, bias=0.0, **masks):
    """Context `(B, Tq, Dv)` and weights `(B, Tq, Tv)`; what stands under a mask may be NaN."""
    query, value = np.nan_to_num(query), np.nan_to_num(value)
    key = value if key is None else np.nan_to_num(key)
    visible = visible_pairs((*query.shape[:2], value.shape[1]), **masks)
    weights = softmax(score(query, key) + bias, visible)
    return [weights @ value, weights]


def additive_score(query_kernel, key_kernel, scale):
    def score(query, key):
        return np.tanh((query @ query_kernel)[:, :, None] + (key @ key_kernel)[:, None]) @ scale

    return score


def dot(query, key):
    return query @ np.swapaxes(key, 1, 2)


def additive(weights, **call):
    return attention(additive_score(*weights), **call)


def concat(weights, query, **call):
    kernel, scale = weights
    width = query.shape[-1]
    return attention(additive_score(kernel[:width], kernel[width:], scale), query, **call)


def dot_product(weights, **call):
    return attention(dot, **call)


def scaled_dot_product(weights, **call):
    return attention(lambda query, key: dot(query, key) / np.sqrt(query.shape[-1]), **call)


def bilinear_with_distance(weights, query, value, **call):
    """The user's attention of the conformance table."""
    distance = np.arange(query.shape[1])[:, None] - np.arange(value.shape[1])
    return attention(
        lambda q, k: dot(q @ weights[0], k), query, value, bias=-np.abs(distance) / 4, **call
    )


def multi_head(weights, query, value, key=None, use_gate=False, encode=None, **masks):
    """Output `(B, Tq, D)` and weights `(B, H, Tq, Tv)`; `encode(x)` puts positions into `(B, T,
    key_dim)`.
    """
    query, value = np.nan_to_num(query), np.nan_to_num(value)
    key = value if key is None else np.nan_to_num(key)
    encode = encode or (lambda heads: heads)
    names = ["query", "key", *["gate"] * use_gate, "value", "output"]
    projections = dict(zip(names, zip(weights[::2], weights[1::2], strict=True), strict=True))

    def project(name, tensor, head):
        kernel, bias = projections[name]
        return tensor @ kernel[:, head] + bias[head]

    kernel, output = projections["output"]
    output, all_weights = np.zeros((*query.shape[:2], len(output))) + output, []
    for head in range(len(kernel)):
        queries, keys = (encode(project(n, x, head)) for n, x in (("query", query), ("key", key)))
        context, head_weights = attention(
            lambda q, k: dot(q, k) / np.sqrt(q.shape[-1]),
            queries,
            project("value", value, head),
            keys,
            **masks,
        )
        gate = sigmoid(project("gate", query, head)) if use_gate else 1.0
        output = output + (context * gate) @ kernel[head]
        all_weights.append(head_weights)
    reached = visible_pairs((*query.shape[:2], value.shape[1]), **masks).any(axis=-1)
    return [np.where(reached[..., None], output, 0.0), np.stack(all_weights, 1)]


def recurrence(step, inputs, state, mask=None):
    """All outputs, the last state, all weights, of `state, weights = step(x, state)`; the output is
    state[0].

    A padding step carries the state on, and its weights are zero.
    """
    inputs = np.nan_to_num(inputs)
    mask = np.ones(inputs.shape[:2], "bool") if mask is None else mask.astype("bool")
    state, outputs, weights = list(state), [], []
    for now in range(inputs.shape[1]):
        here = mask[:, now, None]
        new, read = step(inputs[:, now], state)
        state = [np.where(here, after, before) for after, before in zip(new, state, strict=True)]
        outputs.append(state[0])
        weights.append(np.where(here, read, 0.0))
    return [np.stack(outputs, 1), *state, np.stack(weights, 1)]


def reader(score, memory, memory_mask=None):
    """`context, weights = attend(query)` for one step."""

    def attend(query):
        context, weights = attention(score, query[:, None], memory, value_mask=memory_mask)
        return context[:, 0], weights[:, 0]

    return attend


def lstm(x, h, c, recurrent, bias):
    """h and c from the projected inputs `(B, 4U)`, gates in the order i, f, c, o."""
    i, f, candidate, o = np.split(x + h @ recurrent + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
    return sigmoid(o) * np.tanh(c), c


def zeros(inputs, units, count):
    return [np.zeros((len(inputs), units)) for _ in range(count)]


def plain_lstm(weights, sequences, mask=None, training=None):
    kernel, recurrent, bias = weights

    def step(x, state):
        return lstm(x @ kernel, *state, recurrent, bias), 0.0

    return recurrence(step, sequences, zeros(sequences, len(recurrent), 2), mask)[:-1]


def bahdanau_lstm(
    weights, inputs, memory, mask=None, memory_mask=None, initial_state=None, score=additive_score
):
    """`initial_state` is h and c; `score` makes a score of the weights after the first three."""
    kernel, recurrent, bias, *rest = weights
    attend = reader(score(*rest), memory, memory_mask)

    def step(x, state):
        context, read = attend(state[0])
        return lstm(np.concatenate([x, context], -1) @ kernel, *state, recurrent, bias), read

    return recurrence(step, inputs, initial_state or zeros(inputs, len(recurrent), 2), mask)


def luong_lstm(weights, inputs, memory, mask=None, memory_mask=None):
    """The state is the attentional vector, h and c; returned in the order of the layer: h, c,
    vector.
    """
    kernel, recurrent, bias, attentional_kernel, *rest = weights
    attend = reader(additive_score(*rest), memory, memory_mask)

    def step(x, state):
        vector, h, c = state
        h, c = lstm(np.concatenate([x, vector], -1) @ kernel, h, c, recurrent, bias)
        context, read = attend(h)
        return (np.tanh(np.concatenate([context, h], -1) @ attentional_kernel), h, c), read

    outputs, vector, h, c, read = recurrence(step, inputs, zeros(inputs, len(recurrent), 3), mask)
    return [outputs, h, c, vector, read]


def attention_gru(weights, inputs, memory, mask=None, memory_mask=None):
    kernel, recurrent, bias, *rest = weights
    attend = reader(additive_score(*rest), memory, memory_mask)

    def step(x, state):
        (h,) = state
        context, read = attend(h)
        ahead = np.split(np.concatenate([x, context], -1) @ kernel + bias, 3, axis=-1)
        parts = np.split(recurrent, 3, axis=-1)
        keep, reset = (sigmoid(a + h @ p) for a, p in zip(ahead[:2], parts[:2], strict=True))
        candidate = np.tanh(ahead[2] + (reset * h) @ parts[2])
        return (keep * h + (1 - keep) * candidate,), read

    return recurrence(step, inputs, zeros(inputs, len(recurrent), 1), mask)


def lstmn(weights, inputs, mask=None):
    """One sequence after the other, with its past as a list; a column of the weights is a step."""
    kernel, recurrent, bias, *rest = weights
    units, score = len(recurrent), additive_score(*rest)

    def read_past(query, past, length):
        """The means of h and c, and the weights `(length,)`."""
        if not past:
            return np.zeros(units), np.zeros(units), np.zeros(length)
        steps, h, c = (np.stack(parts) for parts in zip(*past, strict=True))
        weights = np.zeros(length)
        weights[steps] = softmax(score(query[None, None], h[None])[0, 0], True)
        return weights[steps] @ h, weights[steps] @ c, weights

    def sequence(inputs, mask):
        past, state, outputs, weights = [], [np.zeros(units)] * 3, [], []
        for step, (x, kept) in enumerate(zip(np.nan_to_num(inputs), mask, strict=True)):
            read = np.zeros(len(inputs))
            if kept:
                summary, cells, read = read_past(np.concatenate([x, state[2]]), past, len(inputs))
                state = [*lstm(x @ kernel, summary, cells, recurrent, bias), summary]
                past.append([step, *state[:2]])
            outputs.append(state[0])
            weights.append(read)
        return [np.stack(outputs), *state, np.stack(weights)]

    mask = np.ones(inputs.shape[:2], "bool") if mask is None else mask
    rows = [sequence(*row) for row in zip(inputs, mask, strict=True)]
    return [np.stack(parts) for parts in zip(*rows, strict=True)]


def gated_rnn(weights, inputs, memory, mask=None, memory_mask=None):
    """The user's cell of the conformance table, over concat attention."""
    keep, forget, kernel, concat_kernel, scale = weights
    units = keep.shape[1]
    attend = reader(
        additive_score(concat_kernel[:units], concat_kernel[units:], scale), memory, memory_mask
    )

    def step(x, state):
        (h,) = state
        context, read = attend(h)
        joined = np.concatenate([h, x], -1)
        candidate = np.tanh(np.concatenate([context, x], -1) @ kernel)
        return (sigmoid(joined @ keep) * candidate + (1 - sigmoid(joined @ forget)) * h,), read

    return recurrence(step, inputs, zeros(inputs, units, 1), mask)


def pooling(weights, inputs, mask=None):
    kernel, bias, scale = weights
    mask = True if mask is None else mask
    read = softmax(np.tanh(np.nan_to_num(inputs) @ kernel + bias) @ scale, mask)
    return [np.einsum("bt,btd->bd", read, np.nan_to_num(inputs)), read]


def layer_norm(x, gamma, beta):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6) * gamma + beta


def residual(inputs, part, norm, norm_first):
    """The output, and what else the part returns."""
    output, *rest = part(layer_norm(inputs, *norm) if norm_first else inputs)
    output = inputs + output
    return [output if norm_first else layer_norm(output, *norm), *rest]


def feed_forward(weights):
    kernel, bias, output_kernel, output_bias = weights
    return lambda x: [np.maximum(x @ kernel + bias, 0) @ output_kernel + output_bias]


def masked_inputs(inputs, mask):
    return inputs if mask is None else np.where(mask[..., None], inputs, 0.0)


def encoder(weights, inputs, mask=None, norm_first=True):
    def attend(x):
        return multi_head(weights[:8], x, x, query_mask=mask, value_mask=mask)

    output, read = residual(masked_inputs(inputs, mask), attend, weights[8:10], norm_first)
    return [*residual(output, feed_forward(weights[10:14]), weights[14:], norm_first), read]


def decoder(weights, inputs, memory, mask=None, memory_mask=None):
    def attend(x):
        return multi_head(weights[:8], x, x, query_mask=mask, value_mask=mask, use_causal_mask=True)

    def read_memory(x):
        return multi_head(weights[10:18], x, memory, value_mask=memory_mask)

    output, _ = residual(masked_inputs(inputs, mask), attend, weights[8:10], True)
    output, read = residual(output, read_memory, weights[18:20], True)
    return [*residual(output, feed_forward(weights[20:24]), weights[24:], True), read]


def sinusoidal(weights, inputs, start=0, wavelength=10_000):
    steps, width = inputs.shape[1:]
    waves = np.zeros((steps, width))
    for position in range(steps):
        for feature in range(width):
            angle = (start + position) / wavelength ** (2 * (feature // 2) / width)
            waves[position, feature] = np.cos(angle) if feature % 2 else np.sin(angle)
    return [inputs + waves]


def learned_positions(weights, inputs, start=0):
    return [inputs + weights[0][start : start + inputs.shape[1]]]


def rotary(weights, inputs, positions=None, wavelength=10_000):
    """As complex numbers: feature i is the real part, feature i + D/2 the imaginary one."""
    steps, width = inputs.shape[-2:]
    positions = np.arange(steps) if positions is None else positions
    angles = positions[:, None] / wavelength ** (2 * np.arange(width // 2) / width)
    turned = (inputs[..., : width // 2] + 1j * inputs[..., width // 2 :]) * np.exp(1j * angles)
    return [np.concatenate([turned.real, turned.imag], -1)]
