"""Ways to call a layer of the table: which inputs are one tensor, dtype policies, compilers,
blocks, lengths, masks.
"""

import contextlib
import dataclasses
import itertools
import unittest.mock

import keras
import numpy as np
from layers.cases import SIZES, Case

from deepapps.layers import attention

TOLERANCE = {"float64": 1e-8, "float32": 1e-4, "float16": 0.03, "bfloat16": 0.1}
MODES = ["eager", "function", "jit", "fit"]
POLICIES = ["float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One way to call a layer.

    Args:
        case: The row of the table.
        tied: Which inputs are one tensor. "": each is its own. "no key": there is no key. "key is
            value": one tensor given twice. "key copies value": two tensors of the same numbers.
            "all": query (or inputs), value (or memory) and key are one tensor.
        masked: Whether the masks are given.
        causal: Whether `use_causal_mask` is given.
        scores: Whether the weights are asked for.
        blocks: "none", "forced" by `block_size`, or "own": the layer is made to take small inputs
            for large ones.
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
        parts = (
            self.tied,
            *("masked" * self.masked, "causal" * self.causal, "scores" * self.scores),
        )
        parts += (self.blocks.replace("none", ""), self.mode, self.lengths, self.policy)
        sizes = "".join(f"{letter}{size}" for letter, size in self.sizes)
        return "-".join(
            [str(self.case), *(part.replace(" ", "_") for part in (*parts, sizes) if part)]
        )

    @property
    def expected(self):
        """The scenario that this one must agree with."""
        return dataclasses.replace(
            self, blocks="none", mode="eager", lengths="static", policy="float64"
        )

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
            name: axes
            for name, axes in self.axes.items()
            if name in (*self.sources, *self.case.masks)
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
        self.outputs(
            layer, {n: keras.KerasTensor(a.shape, str(a.dtype)) for n, a in self.arrays().items()}
        )
        random = np.random.default_rng(7)
        layer.set_weights(
            [random.normal(size=w.shape) / max(w.shape) ** 0.5 for w in layer.weights]
        )
        return layer

    def outputs(self, layer, arrays):
        """A list, whatever the layer returns."""
        outputs = layer(**self.call_of(arrays), **self.flags)
        return list(outputs) if isinstance(outputs, tuple | list) else [outputs]

    def reference(self, weights, arrays):
        """The outputs that the formula gives."""
        flags = {
            name: value for name, value in self.flags.items() if name != "return_attention_scores"
        }
        outputs = self.case.reference(weights, **self.call_of(arrays), **flags)
        return outputs if self.flags.get("return_attention_scores", True) else outputs[:1]

    def slopes(self, layer):
        """For each trainable weight, by its number, and each source a direction and the slope of
        `project` along it.

        By differences of the formula, in float64.
        """
        weights, arrays = (
            [np.asarray(weight, "float64") for weight in layer.get_weights()],
            self.arrays(),
        )
        trainable = [index for index, weight in enumerate(layer.weights) if weight.trainable]
        shapes = {str(number): weights[index].shape for number, index in enumerate(trainable)}
        shapes |= {name: arrays[name].shape for name in self.sources}
        random, slopes = np.random.default_rng(3), {}
        for name, shape in shapes.items():
            direction = random.normal(size=shape)
            totals = []
            for step in (1e-6 * direction, -1e-6 * direction):
                moved_weights, moved = list(weights), dict(arrays)
                if name in arrays:
                    moved[name] = moved[name] + step
                else:
                    moved_weights[trainable[int(name)]] = moved_weights[trainable[int(name)]] + step
                totals.append(project(self.reference(moved_weights, moved)))
            slopes[name] = direction, (totals[0] - totals[1]) / 2e-6
        return slopes

    def small_for_large(self):
        """A context in which attention takes any input for a large one, where the scenario asks
        for it.
        """
        if self.blocks != "own":
            return contextlib.nullcontext()
        return unittest.mock.patch.multiple(attention, DIRECT_ELEMENTS=0, BLOCK_ELEMENTS=60)


def waves(size):
    """Factors of which no two are alike."""
    return np.cos(np.arange(size) + 1.0)


def project(outputs):
    """A scalar that everything in the outputs matters to; a sum over the batch."""
    return sum(
        (output.reshape(len(output), -1) * waves(output[0].size)).sum() for output in outputs
    )


def assert_near(found, wanted, tolerance, floor, what):
    """Whether two arrays differ by less than this share of their norm, or of the floor."""
    found, wanted = np.asarray(found, "float64"), np.asarray(wanted, "float64")
    assert found.shape == wanted.shape, what
    distance, norm = np.linalg.norm(found - wanted), np.linalg.norm(wanted)
    assert distance <= tolerance * (norm + floor) + 1e-12, (
        f"{what}: off by {distance:.3g} of {norm:.3g}"
    )


def factors(case):
    """What a layer can be called with, `{field of Scenario: values}`."""
    is_attention, has_memory = "key" in case.tensors, len(case.tensors) > 1
    ties = {
        "": True,
        "no key": is_attention,
        "key is value": is_attention,
        "key copies value": is_attention,
    }
    ties["all"] = has_memory
    return {
        "tied": [tie for tie, fits in ties.items() if fits],
        "policy": POLICIES,
        "mode": MODES,
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


def pairwise(values, seed=0):
    """Few choices of `{factor: values}` in which every two values of two factors meet, found
    greedily.
    """
    random = np.random.default_rng(seed)
    missing = {
        pair
        for (a, first), (b, second) in itertools.combinations(values.items(), 2)
        for pair in itertools.product(((a, x) for x in first), ((b, y) for y in second))
    }
    chosen = []
    while missing:
        pair = dict(min(missing, key=repr))
        choices = [
            {name: some[random.integers(len(some))] for name, some in values.items()} | pair
            for _ in range(40)
        ]
        best = max(choices, key=lambda choice: len(missing & _pairs(choice)))
        missing -= _pairs(best)
        chosen.append(best)
    return chosen


def _pairs(choice):
    return set(itertools.combinations(choice.items(), 2))


def covering(case, seed=0, **values):
    """A covering set of scenarios of a layer; `values` take the place of those of `factors`."""
    return [Scenario(case, **choice) for choice in pairwise(factors(case) | values, seed)]


# one layer of each way to compute
FAMILIES = (
    "AdditiveAttention",
    "DotProductAttention",
    "MultiHeadAttention",
    "LSTM-training",
    "AttentionGRU",
)


def quick(case):
    """The scenarios of the default tests: a covering set of all but the modes; of each family
    the modes, which cost most.
    """
    scenarios = covering(case, mode=["eager"], lengths=["static"])
    if str(case) in FAMILIES:
        tie = factors(case)["tied"][-1]
        scenarios += [Scenario(case, tie, mode=mode, lengths="unknown") for mode in MODES[1:]]
    return scenarios
