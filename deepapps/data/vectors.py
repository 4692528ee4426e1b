"""Pretrained vectors of words, from a text file."""

import itertools
import logging

import numpy as np

from deepapps.data.text_files import BadLines, read_lines

_MOST_WORDS = 100_000  # such files begin with the commonest words


def file_words(path):
    """The first 100,000 words of a file of vectors, in its order; the file as in `embedding_matrix`."""
    return [word for _, word, _ in itertools.islice(_rows(path), _MOST_WORDS)]


def embedding_matrix(path, tokenizer, seed=0):
    """The vectors of a vocabulary: those of a file, and random ones of like size for the other words.

    Args:
        path: Lines of a word and its numbers, with a space between, as GloVe and word2vec write them; a first
            line of two numbers is passed over. Also with .gz behind.
        tokenizer: The `Tokenizer`.
        seed: Of the random vectors.
    Returns: float32 `(vocabulary, D)`.
    Raises: ValueError, with the line, when it cannot be read so, or has none of the words of the training texts.
    """
    words = tokenizer.words()
    found = _read_vectors(path, set(words))
    known = sum(word in found for word in words[: tokenizer.learnt])
    if not known:
        raise ValueError(
            f"{path}: holds a vector of none of the {tokenizer.learnt} tokens of the training texts."
        )
    logging.getLogger(__name__).warning(
        "%s: has vectors of %d of the %d tokens of the training texts; %d further words are known, too.",
        path, known, tokenizer.learnt, tokenizer.further,
    )  # fmt: skip
    vectors = np.stack(list(found.values()))
    matrix = np.random.default_rng(seed).normal(scale=vectors.std(), size=(len(words), vectors.shape[1]))
    for number, word in enumerate(words):
        matrix[number] = found.get(word, matrix[number])
    return matrix.astype("float32")


def _read_vectors(path, words):
    """The vectors of those words that a file has, `{word: float32 (D,)}`."""
    found = {}
    for number, word, numbers in _rows(path):
        if word in words:
            try:
                found[word] = np.array(numbers, "float32")
            except ValueError:
                raise ValueError(
                    f"{path}: line {number}: must be a word and {len(numbers)} numbers."
                ) from None
    return found


def _rows(path):
    """The lines of a file of vectors: number of the line, word, and the numbers as they are written."""
    width = None
    for number, line in read_lines(path, BadLines(path, skip=False)):
        line = line.rstrip()
        if number == 1 and line.count(" ") == 1:
            continue
        width = width or line.count(" ")
        word, *numbers = line.rsplit(" ", width)  # a word may hold spaces
        if not numbers or len(numbers) < width:
            raise ValueError(f"{path}: line {number}: must be a word and {width or 'its'} numbers.")
        yield number, word, numbers
