"""What `test_jax.py` runs with KERAS_BACKEND=jax: every layer of the table, its gradient, decoding."""

import jax
import keras
import numpy as np
from layers.cases import CASES

from deepapps import layers


def project(outputs):
    """A scalar that everything in the outputs matters to."""
    return sum((output * np.cos(np.arange(output.size)).reshape(output.shape)).sum() for output in outputs)


def make(case, **options):
    """A built layer, with weights all of which matter."""
    layer = case.make(**options)
    case.run(layer, {name: keras.KerasTensor(a.shape, str(a.dtype)) for name, a in case.arrays().items()})
    random = np.random.default_rng(7)
    layer.set_weights([random.normal(size=w.shape) / max(w.shape) ** 0.5 for w in layer.weights])
    return layer


def check_layer(case):
    """Outputs equal the reference, the compiled gradient differences, and blocks change nothing."""
    layer, arrays = make(case), case.arrays()
    masks = {name: array for name, array in arrays.items() if name in case.masks}
    tensors = {name: array for name, array in arrays.items() if name in case.tensors}
    weights = layer.get_weights()

    def compiled(layer):
        def loss(weights, tensors):
            call = {**tensors, **masks, **case.call}
            outputs, _ = layer.stateless_call(weights, layer.non_trainable_variables, **call)
            outputs = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
            return project(outputs), outputs

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    function, random = compiled(layer), np.random.default_rng(3)
    (_, outputs), gradients = function(weights, tensors)
    for output, wanted in zip(outputs, case.expected(weights, arrays), strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-5, atol=1e-5, err_msg=str(case))
    direction = jax.tree.map(lambda gradient: random.normal(size=gradient.shape), gradients)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradients, direction)))
    losses = []
    for step in (1e-6, -1e-6):
        moved = jax.tree.map(lambda x, d, e=step: x.astype("float64") + e * d, (weights, tensors), direction)
        losses.append(project(case.expected(moved[0], {**moved[1], **masks})))
    difference = (losses[0] - losses[1]) / 2e-6
    np.testing.assert_allclose(slope, difference, rtol=1e-4, atol=1e-4, err_msg=str(case))
    if str(case) in ("AdditiveAttention", "MultiHeadAttention", "TransformerDecoder"):
        found = compiled(make(case, block_size=2))(weights, tensors)
        for one, other in zip(jax.tree.leaves(found[1]), jax.tree.leaves(gradients), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5, err_msg=str(case))


def normal(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype("float32")


def check_decoding():
    """A prompt of three positions, then one by one, equals the whole call."""
    inputs, memory = normal(2, 5, 12), normal(2, 3, 11)
    decoder = layers.TransformerDecoder(2, 13, position_encoding=layers.RotaryPositions())
    whole = decoder(inputs, memory)
    step = jax.jit(lambda part, cache, index: decoder(part, cache=cache, cache_index=index))
    cache, outputs = decoder.initial_cache(2, 5, memory), []
    for start, end in ((0, 3), (3, 4), (4, 5)):
        output, cache = step(inputs[:, start:end], cache, start)
        outputs.append(output)
    np.testing.assert_allclose(np.concatenate(outputs, 1), whole, atol=1e-5)


def check_training():
    """Hard attention, dropout and a recurrence train in one compiled step, and draw anew."""
    layer = layers.AttentionLSTM(13, layers.AdditiveAttention(5, hard=True, dropout=0.5, seed=1), dropout=0.5)
    inputs, memory = normal(2, 5, 7), normal(2, 3, 11)
    layer(inputs, memory)

    def loss(weights, others):
        outputs, others = layer.stateless_call(weights, others, inputs, memory, training=True)
        return project([outputs]), others

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    weights, others = (
        [v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables)
    )
    (first, others), gradients = step(weights, others)
    (second, _), _ = step(weights, others)
    assert first != second
    assert all(np.isfinite(gradient).all() for gradient in gradients)


if __name__ == "__main__":
    assert keras.backend.backend() == "jax"
    check_decoding()
    check_training()
    for case in CASES:
        if not case.name:  # a further row of a layer
            check_layer(case)
            print(case)
