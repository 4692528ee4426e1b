"""Images to predict on: arrays and image files, brought to the shape a model takes."""

import os

import numpy as np


def encode_images(raw, image_shape):
    """Brings images to a batch of the shape that a model takes.

    Args:
        raw: One image or many: uint8 arrays `(H, W)`, `(H, W, C)`, `(N, H, W)` or `(N, H, W, C)`, or
            names of image files, which are resized, and inverted where they are dark on a bright
            background, as digits on paper are.
        image_shape: `(H, W, C)` of the model.
    Returns: uint8 `(N, H, W, C)`.
    Raises: ValueError when an array has another shape or type, or a file cannot be read as an image.
    """
    if isinstance(raw, str | os.PathLike):
        raw = [raw]
    if len(raw) and all(isinstance(item, str | os.PathLike) for item in raw):
        return np.stack([read_image(path, image_shape) for path in raw])
    images = np.asarray(raw)
    if images.dtype != np.uint8:
        raise ValueError(f"Images must be uint8, 0 to 255. Received: dtype={images.dtype}")
    height, width, channels = image_shape = tuple(image_shape)
    single = images.shape in ((height, width), image_shape)
    batch = images[None] if single else images
    if batch.ndim == 3 and channels == 1:
        batch = batch[..., None]
    if batch.shape[1:] != image_shape:
        raise ValueError(f"Images must have the shape {image_shape}. Received: an array {images.shape}")
    return batch


def read_image(path, image_shape):
    """Reads an image file into uint8 `(H, W, C)`: fitted into the shape whole, padded with its background.

    What is transparent in it is taken for white paper.

    Raises: ValueError when it is missing or no image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    height, width, channels = image_shape
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("L" if channels == 1 else "RGB")
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error}).") from None
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = np.median(border, axis=0)
    if channels == 1 and background > 127:
        image, background = ImageOps.invert(image), 255 - background
    color = int(background) if channels == 1 else tuple(int(value) for value in background)
    fitted = np.asarray(ImageOps.pad(image, (width, height), color=color))
    return fitted.reshape(image_shape)
