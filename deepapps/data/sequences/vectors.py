"""Pretrained vectors of words, from a text file."""

import logging
import os
import re

import numpy as np

from deepapps.data.lines import BadLines, read_lines


def file_words(path):
    """The words of a file of vectors, in its order; the file as in `embedding_matrix`."""
    return (word for _, word, _ in _rows(path))


def embedding_matrix(path, tokenizer, seed=0):
    """The vectors of a vocabulary: those of a file, and random ones of like size for the other
    words.

    Args:
        path: Lines of a word and its numbers, with spaces between, as GloVe and word2vec write
            them; a first line of two whole numbers is passed over. Also with .gz behind.
        tokenizer: The `Tokenizer`.
        seed: Of the random vectors.
    Returns: float32 `(vocabulary, D)`.
    Raises: ValueError, with the line, when it cannot be read so, or has none of the words of the
        training texts.
    """
    places = {word: place for place, word in enumerate(tokenizer.words())}
    matrix, found = None, np.zeros(len(places), bool)
    for number, word, cells in _rows(path):
        if word in places:
            if matrix is None:
                matrix = np.zeros((len(places), len(cells)), "float32")
            matrix[places[word]] = _vector(path, number, cells)
            found[places[word]] = True
    known = int(found[: tokenizer.own_size].sum())
    if not known:
        raise ValueError(
            f"{path}: holds a vector of none of the {tokenizer.own_size} tokens of the training "
            "texts."
        )
    logging.getLogger(__name__).warning(
        "%s: has vectors of %d of the %d tokens of the training texts; %d further words are known, "
        "too.",
        path,
        known,
        tokenizer.own_size,
        tokenizer.further_size,
    )
    size = len(places) - int(found.sum()), matrix.shape[1]
    matrix[~found] = np.random.default_rng(seed).normal(scale=matrix[found].std(), size=size)
    return matrix


def _rows(path):
    """The lines of a file of vectors: number of the line, word, and the numbers as they are
    written.
    """
    width, bad = None, BadLines(path, skip=True)
    for number, line in read_lines(os.path.expanduser(path), bad):
        line = line.rstrip()
        if width is None and re.fullmatch(r"\d+ \d+", line):  # how many words, and how wide
            width = int(line.split()[1])
            continue
        width = width or line.count(" ")
        word, *cells = line.rsplit(" ", width)  # a word may hold spaces
        if not cells or len(cells) < width:
            raise ValueError(_fault(path, number, width))
        yield number, word, cells
    bad.report()


def _vector(path, number, cells):
    """The numbers of a line."""
    try:
        vector = np.array(cells, "float32")
    except ValueError:
        vector = np.array(np.nan)
    if not np.isfinite(vector).all():
        raise ValueError(_fault(path, number, len(cells)))
    return vector


def _fault(path, number, width):
    return (
        f"{path}: line {number}: must be a word and {width or 'its'} numbers, with spaces between."
    )
