"""Pretrained vectors of words, from a text file."""

import logging

import numpy as np

from deepapps.data.text_files import BadLines, read_lines


def embedding_matrix(path, tokenizer, seed=0):
    """The vectors of a vocabulary: those of a file, and random ones of like size for the other words.

    Args:
        path: Lines of a word and its numbers, with a space between, as GloVe and word2vec write them; a first
            line of two numbers is passed over. Also with .gz behind.
        tokenizer: The `Tokenizer`.
        seed: Of the random vectors.
    Returns: float32 `(vocabulary, D)`.
    Raises: ValueError, with the line, when it cannot be read so, or has none of the words.
    """
    words = tokenizer.words()
    found = read_vectors(path, set(words))
    logging.getLogger(__name__).warning(
        "%s: has vectors of %d of the %d tokens.", path, len(found), len(words)
    )
    known = np.stack(list(found.values()))
    matrix = np.random.default_rng(seed).normal(scale=known.std(), size=(len(words), known.shape[1]))
    for number, word in enumerate(words):
        matrix[number] = found.get(word, matrix[number])
    return matrix.astype("float32")


def read_vectors(path, words):
    """Reads pretrained vectors of words from a text file, as GloVe and word2vec write them.

    Args:
        path: Lines of a word and its numbers, with spaces between; a first line of two numbers is passed over.
            Also with .gz behind.
        words: The words to look for.
    Returns: `{word: float32 (D,)}` of those there are.
    Raises: ValueError, with the line, when it cannot be read so, or holds none of the words.
    """
    found, width = {}, None
    for number, line in read_lines(path, BadLines(path, skip=False)):
        cells = line.rstrip().split(" ")
        if number == 1 and len(cells) == 2:
            continue
        width = width or len(cells) - 1
        word, numbers = " ".join(cells[: len(cells) - width]), cells[len(cells) - width :]
        if word in words or len(cells) - 1 < width:
            try:
                found[word] = np.array(numbers, "float32")
            except ValueError:
                found[word] = np.zeros(0, "float32")
            if len(found[word]) != width or not width:
                raise ValueError(f"{path}: line {number}: must be a word and {width} numbers.")
    if not found:
        raise ValueError(f"{path}: holds a vector of none of the {len(words)} tokens of the vocabulary.")
    return found
