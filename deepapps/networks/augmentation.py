"""Augmentation of images: presets made of Keras's layers. They run in the step of the training,
never in the model.
"""

import inspect

import keras
import numpy as np
from keras import layers, ops

from deepapps.networks.channels import channels_last

DRAWS = 3  # that `augmented` shows


@channels_last()
def light(classes):
    """What keeps the meaning of digits and most other small images: a shift of up to 8 % of the
    side, a turn of up to 11 degrees, a zoom of up to 10 %; black comes in at the border.
    """
    return keras.Sequential(
        _moved(shift=0.08, turn=0.03, zoom=0.1, fill_mode="constant"), name="light"
    )


@channels_last()
def digits(classes):
    """For handwriting: `light`, an elastic distortion (Simard et al. 2003), and in up to half of
    the images a small black patch (cutout, DeVries & Taylor 2017).
    """
    changes = _moved(shift=0.08, turn=0.03, zoom=0.1, fill_mode="constant")
    patch = layers.RandomErasing(
        factor=(0.0, 0.5), scale=(0.05, 0.15), fill_value=0.0, dtype="float32"
    )
    return keras.Sequential([*changes, Elastic(), patch], name="digits")


@channels_last()
def photos(classes):
    """For photographs: mirrored left and right, a shift of up to 10 %, a turn of up to 18 degrees,
    a zoom of up to 15 %, in up to half of the images a patch (cutout); then a quarter of them are
    blended with another (mixup, Zhang et al. 2017), and a quarter have a part of another put in
    (CutMix, Yun et al. 2019).
    """
    moved = _moved(shift=0.1, turn=0.05, zoom=0.15, fill_mode="reflect")
    patch = layers.RandomErasing(
        factor=(0.0, 0.5), scale=(0.05, 0.3), fill_value=127.0, dtype="float32"
    )
    changes = keras.Sequential([layers.RandomFlip("horizontal", dtype="float32"), *moved, patch])
    return Mixing(changes, classes, name="photos")


@keras.saving.register_keras_serializable("deepapps")
class Elastic(layers.Layer):
    """Bends images: every pixel is displaced, and neighbours almost alike (Simard et al. 2003).

    Keras's own layer draws displacements that are rough at small sizes, and computes image by
    image.

    Args:
        magnitude: Standard deviation of a displacement, as a share of the side.
        grid: Displacements drawn along each side; those of the pixels lie smoothly between them.
        seed: Seed of the draws.
    Call arguments:
        inputs: Images `(B, H, W, C)`; black comes in at the border.
    Returns: float32 `(B, H, W, C)`.
    """

    def __init__(self, magnitude=0.025, grid=5, seed=None, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.magnitude, self.grid = magnitude, grid
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        inputs = ops.cast(inputs, "float32")
        if not training:
            return inputs
        batch, (height, width, channels) = ops.shape(inputs)[0], inputs.shape[1:]
        shifts = keras.random.normal((batch, self.grid, self.grid, 2), seed=self.seed_generator)
        shifts = self.magnitude * ops.image.resize(
            shifts, (height, width), interpolation="bicubic", data_format="channels_last"
        )
        rows = (
            ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1)) + height * shifts[..., 0]
        )
        columns = (
            ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1)) + width * shifts[..., 1]
        )
        # all images below one another, with black rows between them, as one plane of two axes
        planes = ops.reshape(
            ops.pad(inputs, [[0, 0], [1, 1], [0, 0], [0, 0]]), (-1, width, channels)
        )
        first = ops.reshape(ops.arange(batch, dtype="float32"), (-1, 1, 1)) * (height + 2) + 1
        places = ops.stack([first + ops.clip(rows, -1, height), columns])
        bent = [
            ops.image.map_coordinates(planes[..., channel], places, order=1, fill_mode="constant")
            for channel in range(channels)
        ]
        return ops.stack(bent, axis=-1)


@keras.saving.register_keras_serializable("deepapps")
class Mixing(layers.Layer):
    """Changes images one by one, then mixes some of them, and their targets, with others of the
    batch.

    Args:
        changes: A layer on images.
        classes: Number of classes `C`.
        mixup, cutmix: Shares of the images that are blended with another, or get a part of one.
    Call arguments:
        inputs: Images `(B, H, W, channels)`, 0 to 255.
        targets: Class indices `(B,)`.
    Returns: the images, float32, and the share of each class in them, `(B, C)`.
    """

    def __init__(self, changes, classes, mixup=0.25, cutmix=0.25, seed=None, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.changes, self.classes, self.mixup, self.cutmix = changes, classes, mixup, cutmix
        self.blend, self.paste = layers.MixUp(0.4, dtype="float32"), layers.CutMix(dtype="float32")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, targets, training=False):
        images, shares = ops.cast(inputs, "float32"), ops.one_hot(targets, self.classes)
        if not training:
            return images, shares
        plain = {"images": self.changes(images, training=True), "labels": shares}
        blended, pasted = (mix(plain, training=True) for mix in (self.blend, self.paste))
        draw = keras.random.uniform(ops.shape(targets), seed=self.seed_generator)

        def chosen(part, axes):
            lot = ops.reshape(draw, [-1, *[1] * axes])
            rest = ops.where(lot < self.mixup + self.cutmix, pasted[part], plain[part])
            return ops.where(lot < self.mixup, blended[part], rest)

        return chosen("images", 3), chosen("labels", 1)


def _moved(shift, turn, zoom, fill_mode):
    border = {"fill_mode": fill_mode, "fill_value": 0.0, "dtype": "float32"}
    return [
        layers.RandomTranslation(shift, shift, **border),
        layers.RandomRotation(turn, **border),
        layers.RandomZoom(zoom, zoom, **border),
    ]


def on_pairs(augmentation):
    """An augmentation of inputs, or of inputs and `targets`, as a function of both that returns
    both.
    """
    is_layer = isinstance(augmentation, keras.Layer)
    options = {"training": True} if is_layer else {}
    if "targets" in inspect.signature(augmentation.call if is_layer else augmentation).parameters:
        return lambda inputs, targets: augmentation(inputs, targets=targets, **options)
    return lambda inputs, targets: (augmentation(inputs, **options), targets)


def augmented(images, targets, augmentation):
    """Images as they are, and as an augmentation changes them a few times.

    Args:
        images: `(N, H, W, C)`, 0 to 255.
        targets: `(N,)`.
        augmentation: As a task has it, or None.
    """
    rows = {"as it is": images}
    if augmentation is not None:
        augment = on_pairs(augmentation)
        for draw in range(DRAWS):
            rows[f"changed {draw + 1}"] = np.asarray(augment(images, targets)[0])
    return rows
