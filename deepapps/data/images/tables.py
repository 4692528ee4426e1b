"""Tables of images: of files and labels, or with a pixel a column, as Kaggle's digits are."""

import functools
import math
import os

import numpy as np

from deepapps.data.examples import check_classes, sorted_names
from deepapps.data.folders import files_below
from deepapps.data.images.class_folder import ENDINGS, read_files
from deepapps.data.lines import BadLines, read_lines
from deepapps.data.tables import (
    TableSettings,
    chosen_columns,
    column_index,
    is_numeric,
    kind_of,
    read_even_table,
    with_header,
)
from deepapps.data.text_files import LABEL_NAMES

KINDS = (".csv", ".tsv")
FILE_NAMES = (
    "file",
    "filename",
    "file_name",
    "filepath",
    "path",
    "image",
    "image_path",
    "image_name",
    "image_id",
    "img",
    "id",
)
FEWEST_PIXELS = 16  # columns of a table that may hold files
HEAD = 100  # lines that tell which kind it is


def is_image_table(path):
    """Whether a name is that of a table read here."""
    return kind_of(path) in KINDS


def image_table_parts(path):
    """Finds the images of a table.

    Args:
        path: A .csv or .tsv, also with .gz behind: a row an image. Either the name of its file,
            relative to the table's folder or anywhere below it, with or without its ending, and its
            label; or one column for each class that holds 1 for one of them; or its label and its
            pixels, row by row, as `label,pixel0,pixel1,...`.
    Returns: `{"train": read}`; `read(reading)` returns the arguments of `image_set` after the
        first.
    """
    return {"train": functools.partial(_read, path)}


def _read(path, reading):
    chosen = chosen_columns(image=reading.image_column, label=reading.label_column)
    head = _table(path, chosen, limit=HEAD)
    if not head.rows:
        raise ValueError(f"{path}: holds no images.")
    if "image" not in chosen and len(head.rows[0][1]) > FEWEST_PIXELS and _all_numbers(head):
        return _pixels(head, chosen)
    return _files(_table(path, chosen), chosen, reading)


def _table(path, chosen, limit=None):
    """The table without its header, or its first lines."""
    bad = BadLines(path, skip=False)
    table = read_even_table(path, TableSettings(), bad, limit)
    table = with_header(table, None, chosen, {*LABEL_NAMES, *FILE_NAMES})
    if not table.names and table.rows and not any(map(is_numeric, table.rows[0][1])):
        table = table.named() if _numbers_below(table) else table
    return table


def _all_numbers(table):
    return all(is_numeric(cell) for _, cells in table.rows for cell in cells)


def _numbers_below(table):
    """Whether a column of the rows below line 1 holds numbers alone."""
    columns = range(len(table.rows[0][1]))
    return len(table.rows) > 1 and any(
        all(map(is_numeric, table.column(index)[1:])) for index in columns
    )


def _pixels(head, chosen):
    """Images whose pixels are columns: `(N, H, W)` or `(N, H, W, 3)`, labels, and no names.

    Args:
        head: The first rows of the table.
        chosen: The columns that the user named.
    """
    label = _label_column(head, chosen, default=0)
    shape = _shape(len(head.rows[0][1]) - 1)
    if shape is None:
        raise ValueError(
            f"{head.where}: has {len(head.rows[0][1]) - 1} columns beside the label, which are no "
            "square of pixels. A table holds files and labels, or a label and a square of pixels."
        )
    try:
        lines = read_lines(head.where, BadLines(head.where, skip=False))
        rows = np.loadtxt(
            (line for _, line in lines),
            "float32",
            delimiter=head.delimiter,
            skiprows=int(head.names is not None),
            ndmin=2,
        )
    except ValueError as error:
        raise ValueError(f"{head.where}: cannot be read as a table of pixels ({error}).") from None
    images, labels = np.delete(rows, label, axis=1), rows[:, label]
    if np.mod(labels, 1).any():
        raise ValueError(f"{head.where}: labels must be whole numbers.")
    whole = images.max() > 1 and not np.mod(images, 1).any()
    images = images.astype("int32") if whole else images
    return images.reshape(-1, *shape), labels.astype("int64"), None


def _shape(width):
    """The shape of a square image of so many values, grey or in color; None where there is none."""
    for channels in ((), (3,)):
        side = math.isqrt(width // math.prod(channels))
        if side * side * math.prod(channels) == width:
            return side, side, *channels
    return None


def _label_column(table, chosen, default):
    """The column of the labels: the one that the user named, or of a usual name, or a default."""
    if "label" in chosen:
        return column_index(table, "label", chosen["label"])
    named = [index for index, name in enumerate(table.names or ()) if name.lower() in LABEL_NAMES]
    return named[0] if len(named) == 1 else default


def _files(table, chosen, reading):
    """The images of the files that a table names."""
    files = _below(os.path.dirname(os.path.abspath(table.where)))
    image = _image_column(table, chosen, files)
    labels, note = _labels(table, chosen, image)
    note = f"file from column {table.called(image)}, {note}"
    check_classes(table.where, labels, note)
    names = sorted_names({*labels})
    places = {name: index for index, name in enumerate(names)}
    indices = np.array([places[label] for label in labels])
    paths = [_path(table, cell, files) for cell in table.column(image)]
    *found, about, bits = read_files(table.where, paths, indices, names, reading)
    return *found, f"{about}; {note}", bits


def _below(folder):
    """The image files below a folder, by path, by name and by name without ending; None where
    several have a name.
    """
    files = {}
    for path in files_below(folder):
        stem, ending = os.path.splitext(os.path.basename(path))
        if ending.lower() in ENDINGS:
            files[os.path.relpath(path, folder)] = path
            for name in (stem, stem + ending):
                files[name] = None if name in files and files[name] != path else path
    return files


def _path(table, cell, files):
    """The file that a cell names; where none is there, the name that reading it will refuse.

    Raises: ValueError where several have the name.
    """
    cell = str(cell).strip()
    path = files.get(os.path.normpath(cell), "") if cell else ""
    if path is None:
        raise ValueError(
            f"{table.where}: several files below its folder are called {cell!r}: write their paths."
        )
    return path or os.path.join(os.path.dirname(table.where), cell)


def _image_column(table, chosen, files):
    if "image" in chosen:
        return column_index(table, "image", chosen["image"])
    cells = [os.path.normpath(str(cell).strip()) for cell in table.rows[0][1]]
    found = [index for index, cell in enumerate(cells) if cell in files or os.path.isfile(cell)]
    named = [index for index, name in enumerate(table.names or ()) if name.lower() in FILE_NAMES]
    if not (found or named):
        raise ValueError(
            f"{table.where}: no column holds the names of image files in its folder or below. Name "
            "it with --image-column; for pixels, a square of columns beside the label."
        )
    return (found or named)[0]


def _labels(table, chosen, image):
    """The label of each row as a string, and how they were found, in words."""
    others = [index for index in range(len(table.rows[0][1])) if index != image]
    label = _label_column(table, chosen, default=others[0] if len(others) == 1 else None)
    if label is not None:
        labels = [str(cell).strip() for cell in table.column(label)]
        if "" in labels:
            number = table.rows[labels.index("")][0]
            raise ValueError(f"{table.where}: line {number}: the label is missing.")
        return labels, f"label from column {table.called(label)}"
    rows = [[cells[index] for index in others] for _, cells in table.rows]
    hot = _hot_columns(rows)
    if not table.names or hot is None:
        found = ", ".join(table.called(index) for index in range(len(table.rows[0][1])))
        raise ValueError(
            f"{table.where}: which column is the label? Name it with --label-column. Found: {found}"
        )
    labels = [table.names[others[column]] for column in hot]
    return labels, f"labels from {len(others)} columns of 0 and 1"


def _hot_columns(rows):
    """The column of each row that is 1, where all others are 0; None where that is not so."""
    if len(rows[0]) < 2 or not all(is_numeric(cell) for row in rows for cell in row):
        return None
    values = np.array(rows, "float32")
    one_hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
    return values.argmax(axis=1) if one_hot else None
