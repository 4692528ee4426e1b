"""Why a network sees a class in an image: integrated gradients and Grad-CAM."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from deepapps.keras_internals import layers_of
from deepapps.reporting.plots import plot_explanation
from deepapps.settings import close_names

STEPS = 64
BATCH = 16


@dataclasses.dataclass(frozen=True, eq=False)
class ImageExplanation:
    """Why a network sees a class in an image.

    Attributes:
        image: uint8 `(H, W, C)`, as the network got it.
        label: The class that is explained.
        probabilities: The probability of every class, `{name: float}`.
        score: The logit of `label` for the image.
        baseline_score: The same for a black image.
        integrated_gradients: float32 `(H, W, C)`: what each value of the image adds to the score,
            above or below zero. They sum to `score - baseline_score`, but for the error of the
            numeric integration.
        grad_cam: float32 `(H, W)`, 0 to 1: where the last convolutions find the class. None for a
            network without convolutions.
    """

    image: np.ndarray
    label: str
    probabilities: dict
    score: float
    baseline_score: float
    integrated_gradients: np.ndarray
    grad_cam: np.ndarray | None

    @property
    def probability(self):
        """The probability of `label`."""
        return self.probabilities[self.label]

    def plot(self, path):
        """Draws the image and the maps beside each other.

        Args:
            path: A .png file to write; its folder is made where it is missing.
        Raises: ValueError for another ending.
        """
        plot_explanation(self, path)


def explain_image(model, image, class_names, target=None):
    """Explains why a network sees a class in an image.

    Args:
        model: A functional `keras.Model` from images `(B, H, W, C)` to logits `(B, classes)`, its
            first output.
        image: uint8 `(H, W, C)`.
        class_names: The names of the classes.
        target: Name of the class to explain. Defaults to the one that the network answers.
    Returns: `ImageExplanation`.
    Raises: ValueError for an unknown target.
    """
    if target is not None and str(target) not in class_names:
        raise ValueError(f"Unknown target {str(target)!r}.{close_names(str(target), class_names)}")
    # without further heads, and what only they need
    model = keras.Model(model.inputs[0], model.outputs[0])
    pixels = image.astype("float32")
    baseline = np.zeros_like(pixels)
    logits = keras.ops.convert_to_numpy(model(np.stack([pixels, baseline]), training=False)).astype(
        "float64"
    )
    place = int(logits[0].argmax()) if target is None else class_names.index(str(target))
    shares = np.exp(logits[0] - logits[0].max())
    return ImageExplanation(
        image=image,
        label=class_names[place],
        probabilities=dict(zip(class_names, (shares / shares.sum()).tolist(), strict=True)),
        score=float(logits[0, place]),
        baseline_score=float(logits[1, place]),
        integrated_gradients=integrated_gradients(model, pixels, place, baseline),
        grad_cam=grad_cam(model, pixels, place),
    )


def integrated_gradients(model, inputs, output, baseline=None, steps=STEPS):
    """Integrated gradients (Sundararajan et al. 2017, "Axiomatic attribution for deep networks").

    The gradient of an output, averaged on the straight way from a baseline to the inputs and
    multiplied with their difference. By the completeness axiom the sum is `f(inputs) -
    f(baseline)`; here up to the error of the midpoint rule, none for a linear network.

    Args:
        model: A `keras.Model` from `(B, ...)` to `(B, outputs)`.
        inputs: One input, floats of any shape.
        output: Index of the output to explain.
        baseline: An input in which nothing is to be seen. Defaults to zeros.
        steps: Points on the way. Defaults to 64.
    Returns: float32, of the shape of `inputs`.
    """
    inputs = np.asarray(inputs, "float32")
    baseline = np.zeros_like(inputs) if baseline is None else np.asarray(baseline, "float32")
    places = ((np.arange(steps) + 0.5) / steps).reshape(-1, *[1] * inputs.ndim)

    @tf.function(reduce_retracing=True)
    def gradient(points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.reduce_sum(model(points, training=False)[:, output])
        return tf.reduce_sum(tape.gradient(score, points), axis=0)

    parts = np.array_split(places, -(-steps // BATCH))
    points = (tf.constant(baseline + part * (inputs - baseline), tf.float32) for part in parts)
    total = sum(gradient(part).numpy() for part in points)
    return (inputs - baseline) * total / np.float32(steps)


def grad_cam(model, image, output):
    """Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
    gradient-based localization").

    The activations where the convolutions end, each channel weighted with the mean gradient of an
    output; what is below zero counts as zero.

    Args:
        model: A functional `keras.Model` from `(B, H, W, C)` to `(B, outputs)`.
        image: One image, floats `(H, W, C)`.
        output: Index of the output to explain.
    Returns: float32 `(H, W)`, the largest value 1, or all 0; None for a network without
        convolutions.
    """
    layer = _last_of_convolutions(model)
    if layer is None:
        return None
    split = keras.Model(model.inputs[0], [layer.output, model.output])

    # Compiled, the gradients of the kernels are left out: on one image and the CPU, TensorFlow 2.21
    # writes beyond its memory in that of a 1x1 kernel with a stride.
    @tf.function
    def weighted(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            activations, outputs = split(inputs, training=False)
            score = outputs[0, output]
        weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2), keepdims=True)
        return tf.cast(weights * activations, tf.float32)

    found = weighted(tf.constant(image[None], tf.float32))
    found = tf.nn.relu(tf.reduce_sum(found, axis=-1, keepdims=True))
    found = tf.image.resize(found, image.shape[:2]).numpy()[0, ..., 0]
    return found / max(found.max(), np.finfo("float32").tiny)


def _last_of_convolutions(model):
    """The layer where the convolutions of a model end: the last one that keeps the size of the last
    convolution, such as its activation; None without a convolution."""
    places = [place for place, layer in enumerate(model.layers) if _has_convolution(layer)]
    if not places:
        return None
    size = model.layers[places[-1]].output.shape[:-1]
    return [layer for layer in model.layers[places[-1] :] if layer.output.shape[:-1] == size][-1]


def _has_convolution(layer):
    """Whether a layer, or a model used as one, convolves and puts out a map `(B, H, W,
    channels)`.
    """
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    return len(layer.output.shape) == 4 and any(
        isinstance(part, kinds) for part in (layer, *layers_of(layer))
    )
