"""Ways to call a layer of the table, and what each must give: the outputs and all gradients of the formula.

The formula is the NumPy reference. Its gradient is taken by differences; the layer, called eagerly in float64 without
blocks, must have it in every input and weight. What that call gives is then expected of every other way to call.
"""

import contextlib
import dataclasses
import functools
import itertools
import unittest.mock

import keras
import numpy as np
import tensorflow as tf
from layers.cases import CASES, SIZES, Case

from deepapps.layers import attention

TOLERANCE = {"float64": 1e-8, "float32": 1e-4, "float16": 0.03, "bfloat16": 0.1}
POLICIES = ["float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One way to call a layer.

    Args:
        case: The row of the table.
        tied: Which inputs are one tensor. "": each is its own. "no key": there is no key. "key is value": one tensor
            given twice. "key copies value": two tensors of the same numbers. "all": query (or inputs), value (or
            memory) and key are one tensor.
        masked: Whether the masks are given.
        causal: Whether `use_causal_mask` is given.
        scores: Whether the weights are asked for.
        blocks: "none", "forced" by `block_size`, or "own": the layer is made to take small inputs for large ones.
        mode: "eager", "function", "jit" (XLA) or "fit" (of Keras).
        lengths: "static" or "unknown", the batch included.
        policy: The dtype policy.
        sizes: Other sizes than `SIZES`, as pairs.
    """

    case: Case
    tied: str = ""
    masked: bool = True
    causal: bool = False
    scores: bool = True
    blocks: str = "none"
    mode: str = "eager"
    lengths: str = "static"
    policy: str = "float32"
    sizes: tuple = ()

    def __str__(self):
        parts = (self.tied, *("masked" * self.masked, "causal" * self.causal, "scores" * self.scores))
        parts += (self.blocks.replace("none", ""), self.mode, self.lengths, self.policy)
        sizes = "".join(f"{letter}{size}" for letter, size in self.sizes)
        return "-".join([str(self.case), *(part.replace(" ", "_") for part in (*parts, sizes) if part)])

    @property
    def expected(self):
        """The scenario that this one must agree with."""
        return dataclasses.replace(self, blocks="none", mode="eager", lengths="static", policy="float64")

    @property
    def axes(self):
        """Letters of the axes of every tensor of the call, those that are tied included."""
        axes = self.case.axes()
        if not self.masked:
            axes = dict(self.case.tensors)
        if "key" in axes and self.tied in ("key is value", "key copies value", "no key"):
            axes["value"] = axes["key"]
        if self.tied == "all":
            first, *others = self.case.tensors
            axes |= dict.fromkeys(others, axes[first])
            axes = {name: letters.replace("V", axes[first][1]) for name, letters in axes.items()}
        return axes

    @property
    def owners(self):
        """For each tensor of the call the one that it is; without those that are left out."""
        first, *others = names = list(self.case.tensors)
        owners = dict(zip(names, names, strict=True))
        if self.tied == "all":
            owners |= dict.fromkeys(others, first)
        if self.tied == "key is value":
            owners["key"] = "value"
        if self.tied == "no key" or self.tied == "all":
            owners.pop("key", None)
        return owners

    @property
    def sources(self):
        """The tensors of which gradients are asked."""
        return sorted(set(self.owners.values()))

    def call_of(self, arrays):
        """The arguments of the call, from the arrays of the sources and the masks."""
        call = {name: arrays[owner] for name, owner in self.owners.items()}
        return call | {name: array for name, array in arrays.items() if name in self.case.masks}

    @property
    def flags(self):
        """What is no tensor in the call."""
        flags = dict(self.case.call)
        if "return_attention_scores" in flags:
            flags["return_attention_scores"] = self.scores
        return flags | ({"use_causal_mask": True} if self.causal else {})

    def arrays(self):
        """The arrays of sources and masks, in float64."""
        letters = {
            name: axes for name, axes in self.axes.items() if name in (*self.sources, *self.case.masks)
        }
        random, sizes, arrays = np.random.default_rng(0), SIZES | dict(self.sizes), {}
        for name, axes in letters.items():
            shape = [sizes[letter] for letter in axes]
            if name in self.case.masks:
                mask = random.random(shape) < 0.6
                np.put_along_axis(mask, random.integers(0, shape[-1], (*shape[:-1], 1)), True, -1)
                arrays[name] = mask
            else:
                arrays[name] = random.normal(size=shape)
        if self.tied == "key copies value":
            arrays["key"] = arrays["value"].copy()
        return arrays

    def layer(self):
        """The layer, with weights all of which matter, the same for every policy."""
        options = {"block_size": 2} if self.blocks == "forced" else {}
        layer = self.case.make(dtype=self.policy, **options)
        self.outputs(layer, {name: tf.constant(array) for name, array in self.arrays().items()})
        random = np.random.default_rng(7)
        layer.set_weights([random.normal(size=w.shape) / max(w.shape) ** 0.5 for w in layer.weights])
        return layer

    def outputs(self, layer, arrays):
        """A list, whatever the layer returns."""
        outputs = layer(**self.call_of(arrays), **self.flags)
        return list(outputs) if isinstance(outputs, tuple | list) else [outputs]

    def reference(self, weights, arrays):
        """The outputs that the formula gives."""
        flags = {name: value for name, value in self.flags.items() if name != "return_attention_scores"}
        outputs = self.case.reference(weights, **self.call_of(arrays), **flags)
        return outputs if self.flags.get("return_attention_scores", True) else outputs[:1]


def waves(size):
    """Factors of which no two are alike."""
    return np.cos(np.arange(size) + 1.0)


def project(outputs):
    """A scalar that everything in the outputs matters to, in float64; a sum over the batch."""
    total = 0.0
    for output in outputs:
        size = tf.reduce_prod(tf.shape(output)[1:])
        factors = tf.cos(tf.cast(tf.range(size), "float64") + 1)
        total += tf.reduce_sum(tf.reshape(tf.cast(output, "float64"), (-1, size)) * factors)
    return total


def project_arrays(outputs):
    """`project` in NumPy."""
    return sum(np.sum(output.reshape(len(output), -1) * waves(output[0].size)) for output in outputs)


@functools.cache
def expectation(scenario):
    """Outputs and gradients of the eager call in float64, `{name: array}`, which were held against the formula."""
    layer, arrays = scenario.layer(), scenario.arrays()
    weights = [weight.astype("float64") for weight in layer.get_weights()]
    outputs, gradients = _taped(scenario, layer, arrays)
    for output, wanted in zip(outputs, scenario.reference(weights, arrays), strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-8, atol=1e-8, err_msg=str(scenario))
    trainable = [index for index, weight in enumerate(layer.weights) if weight.trainable]
    random = np.random.default_rng(3)
    for name, gradient in gradients.items():
        direction = random.normal(size=gradient.shape)

        def moved(distance, name=name, direction=direction):
            here, there = list(weights), dict(arrays)
            if name in arrays:
                there[name] = there[name] + distance * direction
            else:
                index = trainable[int(name)]
                here[index] = here[index] + distance * direction
            return project_arrays(scenario.reference(here, there))

        slope, difference = np.sum(gradient * direction), (moved(1e-6) - moved(-1e-6)) / 2e-6
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6, err_msg=f"{scenario}: {name}")
    return outputs, gradients


def check(scenario):
    """Holds what a scenario gives against what it must."""
    wanted_outputs, wanted = expectation(scenario.expected)
    with _small_for_large() if scenario.blocks == "own" else contextlib.nullcontext():
        outputs, gradients = MODES[scenario.mode](scenario, scenario.layer(), scenario.arrays())
    if scenario.mode == "fit":
        wanted = _of_gains(wanted, scenario.arrays())
    dtype = keras.DTypePolicy(scenario.policy).compute_dtype
    for number, (output, expected) in enumerate(zip(outputs, wanted_outputs, strict=True)):
        assert_near(output, expected, TOLERANCE[dtype], 0.0, f"{scenario}: output {number}")
    largest = max((np.linalg.norm(gradient) for gradient in wanted.values()), default=0.0)
    for name, gradient in gradients.items():
        assert_near(
            gradient, wanted[name], TOLERANCE[dtype], 0.05 * largest, f"{scenario}: gradient of {name}"
        )


def assert_near(found, wanted, tolerance, floor, what):
    """Whether two arrays differ by less than this share of their norm, or of the floor."""
    found, wanted = np.asarray(found, "float64"), np.asarray(wanted, "float64")
    assert found.shape == wanted.shape, what
    distance, norm = np.linalg.norm(found - wanted), np.linalg.norm(wanted)
    assert distance <= tolerance * (norm + floor) + 1e-12, f"{what}: off by {distance:.3g} of {norm:.3g}"


def _eager(scenario, layer, arrays):
    return _taped(scenario, layer, arrays)


def _taped(scenario, layer, arrays, compile_options=None):
    """Outputs, and gradients by name: those of the trainable weights by their number."""
    names, masks = scenario.sources, [name for name in arrays if name in scenario.case.masks]
    dtype = "float64" if scenario.policy == "float64" else "float32"

    def call(arrays):
        variables = [weight.value for weight in layer.trainable_weights]
        tensors = {name: tf.identity(arrays[name]) for name in (*names, *masks)}
        with tf.GradientTape() as tape:
            tape.watch([tensors[name] for name in names])
            outputs = scenario.outputs(layer, tensors)
            total = project(outputs)
        gradients = tape.gradient(total, [*variables, *[tensors[name] for name in names]])
        gradients = [tf.cast(gradient, "float64") for gradient in map(tf.convert_to_tensor, gradients)]
        return [tf.cast(output, "float64") for output in outputs], gradients

    typed = {
        name: tf.constant(array if name in masks else array.astype(dtype)) for name, array in arrays.items()
    }
    if compile_options is not None:
        call = tf.function(call, autograph=False, **_signature(scenario, typed), **compile_options)
    outputs, gradients = call(typed)
    labels = [*map(str, range(len(layer.trainable_weights))), *names]
    numbers = dict(zip(labels, (gradient.numpy() for gradient in gradients), strict=True))
    return [output.numpy() for output in outputs], numbers


def _signature(scenario, tensors):
    if scenario.lengths == "static":
        return {}
    return {"input_signature": [{n: tf.TensorSpec(_shape(scenario, n), t.dtype) for n, t in tensors.items()}]}


def _shape(scenario, name):
    """The shape as it is known when the layer is called."""
    sizes, unknown = SIZES | dict(scenario.sizes), "BQTV" if scenario.lengths == "unknown" else ""
    return [None if letter in unknown else sizes[letter] for letter in scenario.axes[name]]


class Gain(keras.layers.Layer):
    """Multiplies each feature by a weight, which is 1: so a gradient of the inputs becomes one of a weight."""

    def build(self, input_shape):
        self.gain = self.add_weight(shape=input_shape[-1:], initializer="ones")

    def call(self, inputs):
        return inputs * self.gain


class Projected(keras.Model):
    """A model whose loss is `project` of what it puts out."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return project(keras.tree.flatten(y_pred))


def _fit(scenario, layer, arrays):
    """Outputs, and gradients by name as a step of gradient descent with rate 1 shows them; see `_of_gains`."""
    masks, policy = scenario.case.masks, scenario.policy
    inputs = {
        name: keras.Input(
            batch_shape=_shape(scenario, name), dtype="bool" if name in masks else "float64", name=name
        )
        for name in arrays
    }
    gains = {name: Gain(dtype=policy) for name in scenario.sources}
    tensors = {name: gains[name](tensor) if name in gains else tensor for name, tensor in inputs.items()}
    model = Projected(inputs, scenario.outputs(layer, tensors))
    model.compile(keras.optimizers.SGD(1.0), jit_compile=policy == "float32", auto_scale_loss=False)
    outputs = keras.tree.flatten(model.predict_on_batch(arrays))
    weights = {str(number): weight for number, weight in enumerate(layer.trainable_weights)}
    weights |= {name: gain.gain for name, gain in gains.items()}
    before = {name: np.asarray(tf.cast(weight.value, "float64")) for name, weight in weights.items()}
    specs = {name: tf.TensorSpec(_shape(scenario, name), array.dtype) for name, array in arrays.items()}
    # the shapes that `fit` sees are those of the data set
    model.fit(tf.data.Dataset.from_generator(lambda: iter([(arrays,)]), output_signature=(specs,)), verbose=0)
    return outputs, {
        name: old - np.asarray(tf.cast(weights[name].value, "float64")) for name, old in before.items()
    }


def _of_gains(gradients, arrays):
    """Gradients of the inputs as those of a factor of each feature, as `_fit` gives them."""
    return {
        name: np.sum(gradient * arrays[name], axis=(0, 1)) if name in arrays else gradient
        for name, gradient in gradients.items()
    }


MODES = {
    "eager": _eager,
    "function": functools.partial(_taped, compile_options={}),
    "jit": functools.partial(_taped, compile_options={"jit_compile": True}),
    "fit": _fit,
}


@contextlib.contextmanager
def _small_for_large():
    """Attention takes any input for a large one, and blocks of some rows."""
    with (
        unittest.mock.patch.object(attention, "DIRECT_ELEMENTS", 0),
        unittest.mock.patch.object(attention, "BLOCK_ELEMENTS", 60),
    ):
        yield


def factors(case):
    """What a layer can be called with, `{field of Scenario: values}`."""
    is_attention, has_memory = "key" in case.tensors, len(case.tensors) > 1
    ties = {"": True, "no key": is_attention, "key is value": is_attention, "key copies value": is_attention}
    ties["all"] = has_memory
    return {
        "tied": [tie for tie, fits in ties.items() if fits],
        "policy": POLICIES,
        "mode": list(MODES),
        "blocks": ["none", "forced", "own"] if case.blocks else ["none"],
        "lengths": ["static", "unknown"],
        "masked": [True, False] if case.masks else [True],
        "causal": [False, True] if is_attention and "use_causal_mask" not in case.call else [False],
        "scores": [True, False] if "return_attention_scores" in case.call else [True],
    }


def all_of(case):
    """Every combination."""
    values = factors(case)
    return [
        Scenario(case, **dict(zip(values, choice, strict=True)))
        for choice in itertools.product(*values.values())
    ]


def pairwise(case, seed=0):
    """Few combinations in which every two values of two factors meet (greedily)."""
    values, random = factors(case), np.random.default_rng(seed)
    names = list(values)
    missing = {
        pair
        for (a, first), (b, second) in itertools.combinations(values.items(), 2)
        for pair in itertools.product(((a, x) for x in first), ((b, y) for y in second))
    }
    chosen = []
    while missing:
        seed_pair = min(missing, key=repr)
        candidates = []
        for _ in range(40):
            one = {name: values[name][random.integers(len(values[name]))] for name in names} | dict(seed_pair)
            candidates.append((len(missing & _pairs(one)), one))
        best = max(candidates, key=lambda candidate: candidate[0])[1]
        missing -= _pairs(best)
        chosen.append(Scenario(case, **best))
    return chosen


def _pairs(choice):
    return set(itertools.combinations(choice.items(), 2))


PAIRWISE = [scenario for case in CASES for scenario in pairwise(case)]
