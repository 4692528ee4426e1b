"""Networks for images: functions from settings to a `keras.Model`, from raw pixels to logits."""

import keras
from keras import layers

SMALLEST = 8  # pixels of a side that `cnn` can still halve three times


def mlp(settings, image_shape, classes):
    """The classic 784-128-10 program: one hidden dense layer, and no dropout unless asked for.

    Args:
        settings: The `ImageSettings`; `units` and `dropout` count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    """
    inputs, x = _scaled(image_shape)
    x = layers.Flatten()(x)
    x = layers.Dense(settings.units, activation="relu")(x)
    x = layers.Dropout(settings.dropout or 0.0)(x)
    return keras.Model(inputs, _logits(x, classes), name="mlp")


def cnn(settings, image_shape, classes):
    """A convolution network made for a CPU: most accuracy for its time among those we measured.

    A 5x5 convolution with stride 2, three blocks of 3x3 convolutions of doubling width, and an average
    over all places. Pooling comes before batch normalization and ReLU, which then see a quarter of the
    values.

    Args:
        settings: The `ImageSettings`; `filters`, `depth` and `dropout` count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; H and W at least 8.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    Raises: ValueError when the images are smaller.
    """
    if min(image_shape[:2]) < SMALLEST:
        raise ValueError(
            f"`cnn` needs images of at least {SMALLEST}x{SMALLEST} pixels. Received: {image_shape}"
        )
    inputs, x = _scaled(image_shape)
    x = _convolution(settings.filters, 5, strides=2, activation="relu")(x)
    for block, width in enumerate((1, 2, 4)):
        for _ in range(settings.depth - 1):
            x = _convolution(settings.filters * width, 3, activation="relu")(x)
        x = _convolution(settings.filters * width, 3)(x)
        x = layers.MaxPooling2D()(x) if block < 2 else x
        x = layers.BatchNormalization(momentum=0.9, synchronized=True)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3 if settings.dropout is None else settings.dropout)(x)
    return keras.Model(inputs, _logits(x, classes), name="cnn")


def small_changes():
    """Augmentation that keeps what digits and most other small images show: a shift of up to 8 % of the
    side, a turn of up to 11 degrees, a zoom of up to 10 %; black comes in at the border."""
    border = {"fill_mode": "constant", "fill_value": 0.0, "dtype": "float32"}
    changes = [
        layers.RandomTranslation(0.08, 0.08, **border),
        layers.RandomRotation(0.03, **border),
        layers.RandomZoom(0.1, 0.1, **border),
    ]
    return keras.Sequential(changes, name="small_changes")


def _scaled(image_shape):
    """The input of raw pixels, and the same scaled to 0 to 1."""
    inputs = keras.Input(image_shape)
    return inputs, layers.Rescaling(1 / 255)(inputs)


def _convolution(filters, size, **options):
    return layers.Conv2D(filters, size, padding="same", kernel_initializer="he_normal", **options)


def _logits(x, classes):
    return layers.Dense(classes, dtype="float32", name="logits")(x)


NETWORKS = {"cnn": cnn, "mlp": mlp}
