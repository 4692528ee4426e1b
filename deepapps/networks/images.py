"""Networks for images: functions `settings -> keras.Model`, from raw pixels to logits."""

import keras
from keras import layers


def mlp(settings, image_shape, classes):
    """The classic 784-128-10 program: one hidden dense layer, no dropout unless asked for.

    Args:
        settings: The `ImageSettings`; `units` and `dropout` count here.
        image_shape: `(H, W, C)` of the uint8 images.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    """
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(settings.units, activation="relu")(x)
    if settings.dropout:
        x = layers.Dropout(settings.dropout)(x)
    outputs = layers.Dense(classes, dtype="float32")(x)
    return keras.Model(inputs, outputs, name="mlp")


def cnn(settings, image_shape, classes):
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(synchronized=True)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(settings.dropout if settings.dropout is not None else 0.2)(x)
    outputs = layers.Dense(classes, dtype="float32")(x)
    return keras.Model(inputs, outputs, name="cnn")


NETWORKS = {"mlp": mlp, "cnn": cnn}
