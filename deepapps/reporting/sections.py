"""What a report is made of: sections with pictures, tables and galleries, which a task fills."""

import base64
import dataclasses
import io
import math
import numbers
import struct

from PIL import Image

from deepapps.reporting.plots import figure_name

MISSING = "–"
DENSITY = 1.5  # pixels of a figure to one CSS pixel, so that it is sharp on a phone and in print


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG file in the folder that `Task.sections` draws into.

    Args:
        file: Its name.
        text: What it shows, for those who cannot see it.
    """

    kind = "picture"
    file: str
    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        corner: The name of the rows, over the first column.
        columns: The names of the other columns.
        rows: `(name, cells)` of each row.
    """

    kind = "table"
    corner: str
    columns: list
    rows: list


@dataclasses.dataclass(frozen=True)
class Lines:
    """Lines of text, below one another."""

    kind = "lines"
    lines: list


@dataclasses.dataclass(frozen=True)
class Card:
    """One example of a gallery.

    Args:
        title: Its heading.
        picture: A `data:` URI, as `image_uri` makes them. Defaults to none.
        text: A paragraph, such as the sentence that was classified. Defaults to none.
        bars: `(name, share, marked)` of each bar: a text, a number from 0 to 1, and whether it
            stands out.
        named: `(name, text)` of further texts, such as a sentence and its translation. Their
            direction is found from their script.
    """

    title: str
    picture: str = ""
    text: str = ""
    bars: list = ()
    named: list = ()


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Examples beside each other.

    Args:
        cards: `Card`s.
        wide: Whether they are wide, as texts want to be. Defaults to no.
    """

    kind = "gallery"
    cards: list
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        title: Its heading.
        contents: `Picture`, `Table`, `Lines` and `Gallery` objects, shown one below the other.
        text: A sentence or two under the heading. Defaults to none.
    """

    title: str
    contents: list
    text: str = ""


def figures_table(corner, named_figures):
    """The `Table` of `(row name, {column name: figure})`, with every column that some row has."""
    named_figures = list(named_figures)
    columns = dict.fromkeys(column for _, figures in named_figures for column in figures)
    rows = [
        (str(name), [figure_text(figures.get(column)) for column in columns])
        for name, figures in named_figures
    ]
    return Table(corner, [figure_name(column) for column in columns], rows)


def length_table(corner, figure, by_length):
    """The `Table` of a figure for short and for long examples, as `parts_by_length` gives it."""
    rows = [
        (f"{low} to {high}", [f"{count:,}", figure_text(value)])
        for low, high, count, value in by_length
    ]
    return Table(corner, ["Examples", figure], rows)


def figure_text(value):
    """A figure, or one of each class, as text: four decimals or four digits, an en dash where it
    is missing or not finite.
    """
    if isinstance(value, list):
        return ", ".join(map(figure_text, value)) or MISSING
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, numbers.Integral):
        return str(int(value))
    value = float(value)
    return f"{value:.4f}" if 0.01 <= abs(value) < 10 or value == 0 else f"{value:.4g}"


def image_uri(pixels, side=128):
    """A small picture of an image as a `data:` URI: a PNG or, where it had to shrink, a JPEG.

    Args:
        pixels: uint8 `(H, W, C)`; the first three channels are colours, fewer are grey.
        side: Its longer side is at most this many pixels. Defaults to 128.
    """
    image = Image.fromarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0])
    kind = "PNG" if max(image.size) <= side else "JPEG"
    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, kind)
    return _uri(file.getvalue(), kind.lower())


def embedded(path):
    """The source of a PNG for an `img` tag, and its size in CSS pixels."""
    content = path.read_bytes()
    size = struct.unpack(">II", content[16:24])  # width and height, from the header of the PNG
    width, height = (round(pixels / DENSITY) for pixels in size)
    return {"source": _uri(content, "png"), "width": width, "height": height}


def _uri(content, kind):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
