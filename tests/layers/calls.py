"""The ways to call a layer on TensorFlow, and what each must give: the outputs and all gradients of
the formula.

The layer, called eagerly in float64 without blocks, must have the outputs of the NumPy reference
and, in every weight and input, the slope of its differences. What that call gives is then expected
of every other way to call.
"""

import functools

import keras
import numpy as np
import tensorflow as tf
from layers.cases import SIZES
from layers.scenarios import TOLERANCE, assert_near


def project(outputs):
    """`scenarios.project` of tensors, in float64; of unknown sizes, too."""
    total = 0.0
    for output in outputs:
        size = tf.reduce_prod(tf.shape(output)[1:])
        factors = tf.cos(tf.cast(tf.range(size), "float64") + 1)
        total += tf.reduce_sum(tf.reshape(tf.cast(output, "float64"), (-1, size)) * factors)
    return total


@functools.cache
def expectation(scenario):
    """Outputs and gradients of the eager call in float64, `{name: array}`, held against the
    formula.
    """
    layer, arrays = scenario.layer(), scenario.arrays()
    outputs, gradients = _taped(scenario, layer, arrays)
    weights = [np.asarray(weight, "float64") for weight in layer.get_weights()]
    for output, wanted in zip(outputs, scenario.reference(weights, arrays), strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-8, atol=1e-8, err_msg=str(scenario))
    for name, (direction, slope) in scenario.slopes(layer).items():
        found = np.sum(gradients[name] * direction)
        np.testing.assert_allclose(
            found, slope, rtol=1e-5, atol=1e-6, err_msg=f"{scenario}: {name}"
        )
    return outputs, gradients


def check(scenario):
    """Holds what a scenario gives against what it must."""
    wanted_outputs, wanted = expectation(scenario.expected)
    with scenario.small_for_large():
        outputs, gradients = CALLS[scenario.mode](scenario, scenario.layer(), scenario.arrays())
    tolerance = TOLERANCE[keras.DTypePolicy(scenario.policy).compute_dtype]
    floor = 0.2 * max(map(np.linalg.norm, [*wanted_outputs, *wanted.values()]))
    if scenario.mode == "fit":
        wanted = _of_gains(wanted, scenario.arrays())
    for number, (output, expected) in enumerate(zip(outputs, wanted_outputs, strict=True)):
        assert_near(output, expected, tolerance, floor, f"{scenario}: output {number}")
    for name, gradient in gradients.items():
        assert_near(gradient, wanted[name], tolerance, floor, f"{scenario}: gradient of {name}")


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
        gradients = [
            tf.cast(gradient, "float64") for gradient in map(tf.convert_to_tensor, gradients)
        ]
        return [tf.cast(output, "float64") for output in outputs], gradients

    typed = {
        name: tf.constant(array if name in masks else array.astype(dtype))
        for name, array in arrays.items()
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
    return {
        "input_signature": [
            {n: tf.TensorSpec(_shape(scenario, n), t.dtype) for n, t in tensors.items()}
        ]
    }


def _shape(scenario, name):
    """The shape as it is known when the layer is called."""
    sizes, unknown = SIZES | dict(scenario.sizes), "BQTV" if scenario.lengths == "unknown" else ""
    return [None if letter in unknown else sizes[letter] for letter in scenario.axes[name]]


class Gain(keras.layers.Layer):
    """Multiplies each feature by a weight, which is 1: so a gradient of the inputs becomes one
    of a weight.
    """

    def build(self, input_shape):
        self.gain = self.add_weight(shape=input_shape[-1:], initializer="ones")

    def call(self, inputs):
        return inputs * self.gain


class Projected(keras.Model):
    """A model whose loss is `project` of what it puts out."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return project(keras.tree.flatten(y_pred))


def _fit(scenario, layer, arrays):
    """Outputs, and gradients by name as a step of gradient descent with rate 1 shows them; see
    `_of_gains`.
    """
    masks, policy = scenario.case.masks, scenario.policy
    inputs = {
        name: keras.Input(
            batch_shape=_shape(scenario, name),
            dtype="bool" if name in masks else "float64",
            name=name,
        )
        for name in arrays
    }
    gains = {name: Gain(dtype=policy) for name in scenario.sources}
    tensors = {
        name: gains[name](tensor) if name in gains else tensor for name, tensor in inputs.items()
    }
    model = Projected(inputs, scenario.outputs(layer, tensors))
    model.compile(keras.optimizers.SGD(1.0), jit_compile=policy == "float32", auto_scale_loss=False)
    outputs = keras.tree.flatten(model.predict_on_batch(arrays))
    weights = {str(number): weight for number, weight in enumerate(layer.trainable_weights)}
    weights |= {name: gain.gain for name, gain in gains.items()}
    before = {
        name: np.asarray(tf.cast(weight.value, "float64")) for name, weight in weights.items()
    }
    specs = {
        name: tf.TensorSpec(_shape(scenario, name), array.dtype) for name, array in arrays.items()
    }
    # the shapes that `fit` sees are those of the data set
    model.fit(
        tf.data.Dataset.from_generator(lambda: iter([(arrays,)]), output_signature=(specs,)),
        verbose=0,
    )
    return outputs, {
        name: old - np.asarray(tf.cast(weights[name].value, "float64"))
        for name, old in before.items()
    }


def _of_gains(gradients, arrays):
    """Gradients of the inputs as those of a factor of each feature, as `_fit` gives them."""
    return {
        name: np.sum(gradient * arrays[name], axis=(0, 1)) if name in arrays else gradient
        for name, gradient in gradients.items()
    }


CALLS = {
    "eager": _eager,
    "function": functools.partial(_taped, compile_options={}),
    "jit": functools.partial(_taped, compile_options={"jit_compile": True}),
    "fit": _fit,
}
