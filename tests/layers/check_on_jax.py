"""What `test_jax.py` runs with KERAS_BACKEND=jax: every layer of the table, its gradients,
decoding.
"""

import sys

import jax
import keras
import numpy as np
from layers.cases import CASES
from layers.scenarios import FAMILIES, TOLERANCE, Scenario, assert_near, covering, project

from deepapps import layers


def check_scenario(scenario):
    """Outputs equal the formula, and gradients have its slopes."""
    layer, arrays = scenario.layer(), scenario.arrays()
    masks = {name: array for name, array in arrays.items() if name in scenario.case.masks}
    sources = {name: arrays[name].astype("float32") for name in scenario.sources}
    others = [variable.value for variable in layer.non_trainable_variables]

    def loss(weights, sources):
        call = scenario.call_of({**sources, **masks})
        outputs, _ = layer.stateless_call(weights, others, **call, **scenario.flags)
        outputs = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
        outputs = [output.astype("float32") for output in outputs]
        return project(outputs), outputs

    function = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    with scenario.small_for_large():
        function = jax.jit(function) if scenario.mode == "jit" else function
        (_, outputs), (of_weights, gradients) = function(
            [variable.value for variable in layer.trainable_variables], sources
        )
    tolerance = TOLERANCE[keras.DTypePolicy(scenario.policy).compute_dtype]
    weights = [np.asarray(weight, "float64") for weight in layer.get_weights()]
    for number, (output, wanted) in enumerate(
        zip(outputs, scenario.reference(weights, arrays), strict=True)
    ):
        assert_near(output, wanted, tolerance, 0.0, f"{scenario}: output {number}")
    gradients |= {str(number): gradient for number, gradient in enumerate(of_weights)}
    gradients = {name: np.asarray(gradient, "float64") for name, gradient in gradients.items()}
    largest = max(map(np.linalg.norm, gradients.values()))
    for name, (direction, slope) in scenario.slopes(layer).items():
        gradient = gradients[name]
        size = (
            (np.linalg.norm(gradient) + 0.05 * largest)
            * np.linalg.norm(direction)
            / gradient.size**0.5
        )
        off = abs(np.sum(gradient * direction) - slope)
        assert off <= 3 * tolerance * size + 1e-6, (
            f"{scenario}: gradient of {name} off by {off:.3g} of {size:.3g}"
        )


def some_of(case, count):
    """Ways to call a layer on JAX: compiled in float32, and the first ones of a covering set."""
    scenarios = [
        scenario
        for scenario in covering(case, 1, mode=["eager", "jit"], lengths=["static"])
        if scenario.policy != "float64"
    ]
    return [Scenario(case, mode="jit"), *scenarios[:count]]


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
    layer = layers.AttentionLSTM(
        13, layers.AdditiveAttention(5, hard=True, dropout=0.5, seed=1), dropout=0.5
    )
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
        for scenario in some_of(
            case, 100 if sys.argv[1:] == ["all"] else int(str(case) in FAMILIES)
        ):
            check_scenario(scenario)
        print(case)
