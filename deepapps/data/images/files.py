"""Image files: their size, their pixels, and how pixels are fitted into the shape a model takes."""

import contextlib
import dataclasses
import os
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from deepapps.files import check_regular

FULL_BITS = 16  # of the values in deep files, where nothing says fewer
LARGEST_SIDE = 2**12  # pixels of an image that a network takes: in float32 it has 192 MiB
LARGEST_IMAGE = 150 * 10**6  # bytes of pixels, of 50 megapixels: with all copies 1 GB


@dataclasses.dataclass(frozen=True)
class Reading:
    """How images become arrays of one shape.

    Attributes:
        size: Side in pixels of the square they are fitted into. None: decided by the data.
        resize: `pad` keeps the whole image and fills up with the color of its border, `crop` cuts
            the middle out of it, `stretch` changes its proportions.
        shape: `(H, W, C)` that a model takes, which then counts alone. None: decided by the data.
        skip_bad_files: Leave out files that cannot be read, and count them, instead of a
            ValueError.
        cache: Folder in which decoded images are kept. None keeps none.
        bits: Of the values in files that hold more than 8: 12 where white is 4,095. None: as many
            as the largest value of all files needs.
        image_column, label_column: The columns of a table of images, by name or number from 1.
            None: found.
    """

    size: int | None = None
    resize: str = "pad"
    shape: tuple | None = None
    skip_bad_files: bool = False
    cache: str | None = None
    bits: int | None = None
    image_column: str | None = None
    label_column: str | None = None


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of its image: height and width in pixels as it is shown, whether it is
    grey, and whether its values have more than 8 bits.
    """

    height: int
    width: int
    grey: bool
    deep: bool


def encode_images(raw, shape, resize="pad", invert_bright=False, bits=FULL_BITS):
    """Brings images to a batch of the shape that a model takes.

    Args:
        raw: One image or many: uint8 arrays `(H, W)`, `(H, W, C)`, `(N, H, W)` or `(N, H, W, C)`,
            or names of image files, which are fitted into the shape.
        shape: `(H, W, C)` of the model.
        resize: As in `Reading`.
        invert_bright: Invert files that are dark on a bright background, as digits on paper are,
            for a model of bright images on a dark one.
        bits: Of the values in files that hold more than 8.
    Returns: uint8 `(N, H, W, C)`.
    Raises: ValueError when an array has another shape or type, or a file cannot be read as an
        image.
    """
    if isinstance(raw, str | os.PathLike):
        raw = [raw]
    if len(raw) and all(isinstance(item, str | os.PathLike) for item in raw):
        return np.stack([read_image(path, shape, resize, invert_bright, bits) for path in raw])
    images = np.asarray(raw)
    if images.dtype != np.uint8:
        raise ValueError(f"Images must be uint8, 0 to 255. Received: dtype={images.dtype}")
    height, width, channels = shape = tuple(shape)
    single = images.shape in ((height, width), shape)
    batch = images[None] if single else images
    if batch.ndim == 3 and channels == 1:
        batch = batch[..., None]
    if batch.shape[1:] != shape:
        raise ValueError(f"Images must have the shape {shape}. Received: an array {images.shape}")
    return batch


def read_header(path):
    """Reads the `Header` of an image file, without its pixels; ValueError when it is missing or
    no image.
    """
    with _image_file(path) as file:
        width, height = file.size
        # to look for the orientation in a PNG would decode it
        turned = "exif" in file.info and file.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        deep = file.mode.startswith("I")
        grey = deep or file.mode in ("1", "L", "LA", "F")
    height, width = (width, height) if turned else (height, width)
    return Header(height, width, grey, deep)


def bits_in(path):
    """How many bits the largest value in a grey image file of more than 8 bits needs, 8 to 16."""
    with _image_file(path) as file:
        return int(np.clip(int(np.asarray(file).max()).bit_length(), 8, FULL_BITS))


def read_image(path, shape, resize="pad", invert_bright=False, bits=FULL_BITS):
    """Reads an image file into uint8 `(H, W, C)`: turned as its EXIF data say, and fitted into the
    shape.

    What is transparent in it is taken for white paper. Values of more than 8 bits become 8: the
    largest that `bits` can hold is white.

    Args:
        path, resize, invert_bright, bits: As in `encode_images`.
        shape: `(H, W, C)`, where C is 1 or 3.
    Raises: ValueError when it is missing or no image.
    """
    with _image_file(path) as file:
        file.draft(None, [2 * max(shape[:2])] * 2)  # a JPEG is decoded at a fraction of its size
        size = file.width * file.height * len(file.getbands())
        if size > LARGEST_IMAGE:
            raise ValueError(f"its pixels take {size:,} bytes, over {LARGEST_IMAGE:,}")
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):
            values = np.asarray(image).astype(np.int64) >> (bits - 8)
            image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if shape[-1] == 1 else "RGB")
    if invert_bright and np.median(_border(np.asarray(image))) > 127:
        image = ImageOps.invert(image)
    return _fitted(image, shape, resize)


def fit_pixels(pixels, shape, resize="pad"):
    """Fits an image, uint8 `(h, w, c)` with c 1 or 3, into `(H, W, C)`."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return _fitted(image.convert("L" if shape[-1] == 1 else "RGB"), shape, resize)


def range_of_sizes(sizes):
    """The smallest and the largest of the sizes `(height, width)`, as `159x240 to 442x1024`."""
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    ends = dict.fromkeys(f"{height}x{width}" for height, width in (ordered[0], ordered[-1]))
    return " to ".join(ends)


@contextlib.contextmanager
def _image_file(path):
    """The opened file; whatever a damaged one leads to inside the block becomes one line."""
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    check_regular(path)
    try:
        with Image.open(os.path.expanduser(path)) as file:
            yield file
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path}: is not an image.") from None
    except Exception as error:  # Pillow lets out whatever a damaged file leads to
        raise ValueError(f"{path}: cannot be read as an image ({error}).") from None


def _fitted(image, shape, resize):
    """A PIL image as uint8 `(H, W, C)`."""
    height, width, _ = shape
    if resize == "crop":
        image = ImageOps.fit(image, (width, height))
    elif resize == "stretch":
        image = image.resize((width, height), reducing_gap=3)
    else:
        color = np.median(_border(np.asarray(image)), axis=0)
        scale = min(height / image.height, width / image.width)
        size = [max(1, round(scale * side)) for side in image.size]
        inner = image.resize(size, reducing_gap=3)
        image = Image.new(
            image.mode, (width, height), tuple(color.astype(int).reshape(-1).tolist())
        )
        image.paste(inner, ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(image).reshape(shape)


def _border(pixels):
    """The outermost pixels of an image, `(n,)` or `(n, C)`."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
