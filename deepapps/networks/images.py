"""Networks for images: functions from settings to a `keras.Model`, from raw pixels to logits."""

import math

import keras
import tensorflow as tf
from keras import layers

from deepapps.networks.channels import channels_last


@channels_last()
def mlp(settings, image_shape, classes):
    """The classic 784-128-10 program: one hidden dense layer, and no dropout unless asked for.

    Args:
        settings: The `ImageSettings`; `units`, 128 by default, and `dropout` count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    """
    inputs, x = _scaled(image_shape)
    x = layers.Flatten()(x)
    x = layers.Dense(settings.units or 128, activation="relu")(x)
    x = layers.Dropout(settings.dropout or 0.0)(x)
    return keras.Model(inputs, _logits(x, classes), name="mlp")


@channels_last()
def cnn(settings, image_shape, classes):
    """A convolution network made for a CPU: most accuracy for its time among those we measured.

    A 5x5 convolution with stride 2, three blocks of 3x3 convolutions of doubling width, and an
    average over all places. Pooling comes before batch normalization and ReLU, which then see a
    quarter of the values.

    Args:
        settings: The `ImageSettings`; `filters`, 48 by default, `depth`, 1, and `dropout`, 0.3,
            count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; H and W at least 8.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    Raises: ValueError when the images are smaller.
    """
    _check_side("cnn", image_shape, 8)
    filters = settings.filters or 48
    inputs, x = _scaled(image_shape)
    x = _convolution(filters, 5, strides=2, activation="relu")(x)
    for block, width in enumerate((1, 2, 4)):
        for _ in range((settings.depth or 1) - 1):
            x = _convolution(filters * width, 3, activation="relu")(x)
        x = _convolution(filters * width, 3)(x)
        x = layers.MaxPooling2D()(x) if block < 2 else x
        x = _norm()(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(_given(settings.dropout, 0.3))(x)
    return keras.Model(inputs, _logits(x, classes), name="cnn")


@channels_last()
def lenet(settings, image_shape, classes):
    """LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition").

    Two 5x5 convolutions of 6 and 16 filters with tanh and average pooling, then dense layers of 120
    and 84.
    Adapted: the first convolution pads, in place of a 32x32 image; every filter of the second sees
    all of the first; logits replace the radial basis functions. 61,706 parameters for ten classes
    of 28x28x1.

    Args:
        settings: The `ImageSettings`; `filters`, 6 by default, `units`, 120, and `dropout`, 0,
            count here: the second layer of each kind keeps its ratio to the first.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; H and W at least 12.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    Raises: ValueError when the images are smaller.
    """
    _check_side("lenet", image_shape, 12)
    filters, units = settings.filters or 6, settings.units or 120
    inputs, x = _scaled(image_shape)
    x = layers.Conv2D(filters, 5, padding="same", activation="tanh")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(round(filters * 16 / 6), 5, activation="tanh")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Flatten()(x)
    for width in (units, round(units * 84 / 120)):
        x = layers.Dense(width, activation="tanh")(x)
        x = layers.Dropout(settings.dropout or 0.0)(x)
    return keras.Model(inputs, _logits(x, classes), name="lenet")


@channels_last()
def alexnet(settings, image_shape, classes):
    """AlexNet (Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural
    networks").

    Five convolutions, overlapping max pooling, two dense layers with dropout. Adapted to small
    images: a quarter of the paper's filters in the same ratios (96 : 256 : 384 : 384 : 256), 5x5
    without a stride first, narrower dense layers, batch normalization in place of the local one.

    Args:
        settings: The `ImageSettings`; `filters`, 24 by default, `units`, 256, and `dropout`, 0.5,
            count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; H and W at least 8.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    Raises: ValueError when the images are smaller.
    """
    _check_side("alexnet", image_shape, 8)
    inputs, x = _scaled(image_shape)
    for ratio, size, pool in (
        (96, 5, True),
        (256, 5, True),
        (384, 3, False),
        (384, 3, False),
        (256, 3, True),
    ):
        x = _unit(x, round((settings.filters or 24) * ratio / 96), size)
        x = _pooled(x) if pool else x
    x = layers.Flatten()(x)
    for _ in range(2):
        x = _hidden(x, settings)
    return keras.Model(inputs, _logits(x, classes), name="alexnet")


@channels_last()
def vgg(settings, image_shape, classes):
    """VGG (Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image
    recognition").

    Blocks of 3x3 convolutions of doubling width with max pooling after each. Adapted to small
    images: as many blocks as leave 3 pixels of a side, at most the paper's five; half of its
    filters; batch normalization; one dense layer, not two.

    Args:
        settings: The `ImageSettings`; `filters`, 32 by default, `depth`, convolutions of a block,
            2, `units`, 256, and `dropout`, 0.5, count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; H and W at least 6.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    Raises: ValueError when the images are smaller.
    """
    _check_side("vgg", image_shape, 6)
    inputs, x = _scaled(image_shape)
    blocks = min(5, int(math.log2(min(image_shape[:2]) / 3)))
    for block in range(blocks):
        for _ in range(settings.depth or 2):
            x = _unit(x, (settings.filters or 32) * min(2**block, 8), 3)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = _hidden(x, settings)
    return keras.Model(inputs, _logits(x, classes), name="vgg")


@channels_last()
def resnet(settings, image_shape, classes):
    """ResNet for small images (He et al. 2015, "Deep residual learning for image recognition",
    4.2).

    A 3x3 convolution, then three stages of `depth` blocks of two 3x3 convolutions around which the
    input is carried, of doubling width, each stage after the first at half the size: 6 depth + 2
    layers, 20 by default.
    Adapted: where the width changes, the input goes through a 1x1 convolution (option B of the
        paper).

    Args:
        settings: The `ImageSettings`; `filters`, 16 by default, `depth`, blocks of a stage, 3, and
            `dropout` before the logits, 0, count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; any size.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`.
    """
    inputs, x = _scaled(image_shape)
    x = _unit(x, settings.filters or 16, 3)
    for stage in range(3):
        for block in range(settings.depth or 3):
            x = _residual(
                x, (settings.filters or 16) * 2**stage, strides=2 if stage and not block else 1
            )
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(settings.dropout or 0.0)(x)
    return keras.Model(inputs, _logits(x, classes), name="resnet")


@channels_last()
def googlenet(settings, image_shape, classes):
    """GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions"): nine inception blocks.

    Adapted to small images: a quarter of the paper's filters in the same ratios, batch
    normalization, one 3x3 convolution without a stride and one pooling before the first block, and
    the 3x3 and 5x5 convolutions padded. With `auxiliary` two further heads, after the blocks 4a and
    4d, learn the classes as well; each counts 0.3 in the loss, and none in an answer.

    Args:
        settings: The `ImageSettings`; `filters`, 16 by default, `dropout` before the logits, 0.4,
            and `auxiliary` count here.
        image_shape: `(H, W, C)` of the images, with pixels from 0 to 255; H and W at least 8.
        classes: Number of classes.
    Returns: a model from `(B, H, W, C)` to logits `(B, classes)`, with `auxiliary` to a list of
        these and those of the two heads.
    Raises: ValueError when the images are smaller.
    """
    _check_side("googlenet", image_shape, 8)
    ratio = (settings.filters or 16) / 64
    inputs, x = _scaled(image_shape)
    x = _pooled(_unit(x, round(64 * ratio), 3))
    heads = []
    for name, widths in _INCEPTION.items():
        x = _inception(x, [max(1, round(width * ratio)) for width in widths])
        if settings.auxiliary and name in ("4a", "4d"):
            heads.append(_auxiliary(x, ratio, classes, f"auxiliary_{name}"))
        x = _pooled(x) if name in ("3b", "4e") else x
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(_given(settings.dropout, 0.4))(x)
    outputs = _logits(x, classes)
    return keras.Model(inputs, [outputs, *heads] if heads else outputs, name="googlenet")


# filters of the 1x1 convolution; before the 3x3, and of it; before the 5x5, and of it; after the
# pooling
_INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _scaled(image_shape):
    """The input of raw pixels, and the same scaled to 0 to 1."""
    inputs = keras.Input(image_shape)
    return inputs, layers.Rescaling(1 / 255)(inputs)


def _convolution(filters, size, **options):
    return layers.Conv2D(filters, size, padding="same", kernel_initializer="he_normal", **options)


def _norm():
    """Batch normalization over all replicas; with parameter servers, whose workers do not wait,
    over those of one.
    """
    asynchronous = isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy)
    return layers.BatchNormalization(momentum=0.9, synchronized=not asynchronous)


def _unit(x, filters, size, strides=1, activation="relu"):
    """Convolution without a bias, batch normalization, activation."""
    x = _convolution(filters, size, strides=strides, use_bias=False)(x)
    return layers.Activation(activation)(_norm()(x))


def _residual(x, filters, strides):
    """Two 3x3 convolutions, and the input added to what they give."""
    y = _unit(x, filters, 3, strides)
    y = _unit(y, filters, 3, activation="linear")
    if (
        strides > 1
        # apart: the gradient of a 1x1 kernel with a stride corrupts memory on a CPU (TensorFlow
        # 2.21)
    ):
        x = layers.AveragePooling2D(1, strides)(x)
    if x.shape[-1] != filters:
        x = _unit(x, filters, 1, activation="linear")
    return layers.ReLU()(layers.Add()([x, y]))


def _inception(x, widths):
    """Convolutions of three sizes and a pooling side by side; 1x1 convolutions narrow what goes
    in.
    """
    one, before_three, three, before_five, five, after_pool = widths
    branches = [
        _unit(x, one, 1),
        _unit(_unit(x, before_three, 1), three, 3),
        _unit(_unit(x, before_five, 1), five, 5),
        _unit(layers.MaxPooling2D(3, strides=1, padding="same")(x), after_pool, 1),
    ]
    return layers.Concatenate()(branches)


def _auxiliary(x, ratio, classes, name):
    """A head in the middle of GoogLeNet: pooling, a 1x1 convolution, a dense layer, dropout,
    logits.
    """
    x = layers.AveragePooling2D(5, strides=3, padding="same")(x)
    x = layers.Flatten()(_unit(x, round(128 * ratio), 1))
    x = layers.Dense(round(1024 * ratio), activation="relu", kernel_initializer="he_normal")(x)
    return _logits(layers.Dropout(0.7)(x), classes, name)


def _pooled(x):
    return layers.MaxPooling2D(3, strides=2, padding="same")(x)


def _hidden(x, settings):
    """The dense layer of AlexNet and VGG, with its dropout."""
    x = layers.Dense(settings.units or 256, activation="relu", kernel_initializer="he_normal")(x)
    return layers.Dropout(_given(settings.dropout, 0.5))(x)


def _given(value, default):
    return default if value is None else value


def _check_side(name, image_shape, smallest):
    if min(image_shape[:2]) < smallest:
        raise ValueError(
            f"`{name}` needs images of at least {smallest}x{smallest} pixels. Received: "
            f"{image_shape}"
        )


def _logits(x, classes, name="logits"):
    return layers.Dense(classes, dtype="float32", name=name)(x)
