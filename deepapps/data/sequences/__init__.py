"""Labelled texts, names and time series; `find_parts` is the way in."""

from deepapps.data.sequences.load import find_parts

__all__ = ["find_parts"]
