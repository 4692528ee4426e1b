"""Texts to numbers and back, whatever the script."""

import gzip

import numpy as np
import pytest

from deepapps.data.sequences.vectors import embedding_matrix, file_words
from deepapps.data.tokenizers import Tokenizer, kind_of, learn_tokenizer

TEXTS = ["Don't stop, don't go!", "東京 and Straße", "stop 😀 מלון", "go and stop"]


def tokens(tokenizer, text):
    words = tokenizer.words()
    return [words[number] for number in tokenizer.encode([text]).values]


def test_words():
    tokenizer = learn_tokenizer(TEXTS, "words", minimum_count=1)
    assert tokens(tokenizer, "DON'T go, 東京😀!") == ["don't", "go", ",", "東", "京", "😀", "!"]
    assert tokens(tokenizer, "never stop") == ["[UNK]", "stop"]
    assert tokens(tokenizer, "[PAD] [UNK]") == ["[UNK]"] * 6, (
        "a text cannot name what is not in the vocabulary"
    )
    once_seen = learn_tokenizer(TEXTS, "words", minimum_count=2)
    assert set(once_seen.words()) == {"[PAD]", "[UNK]", "stop", "don't", "go", "and"}


def test_characters_keep_their_case_and_marks_join_their_letters():
    tokenizer = learn_tokenizer(["Aa e\u0301\n"], "characters", minimum_count=1)
    assert tokens(tokenizer, "aA \u00e9\nb") == ["a", "A", " ", "\u00e9", "\n", "[UNK]"]


def test_subwords_know_every_text():
    tokenizer = learn_tokenizer(TEXTS * 3, "subwords", vocabulary_size=300)
    assert (tokenizer.encode(["Ürümqi \u0000 ~ 😀"]).values > 1).all()


def test_spans_point_into_the_text():
    tokenizer = learn_tokenizer(TEXTS, "words")
    text = "Stop!  東京\tgo"
    assert [text[start:end] for start, end in tokenizer.spans(text)] == [
        "Stop",
        "!",
        "東",
        "京",
        "go",
    ]


def test_long_texts_are_cut_and_counted_and_empty_ones_are_unknown():
    tokenizer = learn_tokenizer(TEXTS, "words", max_length=3)
    encoded = tokenizer.encode(["stop " * 3000, "", "\u200b", "go"])
    assert encoded.lengths.tolist() == [3, 1, 1, 1] and encoded.cut == 1
    assert encoded.values[3:5].tolist() == [1, 1]
    assert len(tokenizer.spans("")) == len(tokenizer.spans("\u200b")) == 1


@pytest.mark.parametrize(
    "texts, kind",
    [
        (["Nowa Zelandia", "Laos"], "characters"),
        (["今天天气很好", "我不喜欢"], "characters"),
        (["a b c", "d e f g"], "words"),
    ],
)
def test_auto_reads_short_texts_by_characters(texts, kind):
    assert kind_of(texts) == kind


def test_the_vocabulary_is_the_same_each_time_and_bounded():
    made = [learn_tokenizer(TEXTS, "characters", 10, minimum_count=1).stored() for _ in range(2)]
    assert made[0] == made[1]
    tokenizer = Tokenizer.loaded(made[0])
    assert tokenizer.size == len(tokenizer.words()) == 10
    np.testing.assert_array_equal(
        tokenizer.encode(TEXTS).values,
        learn_tokenizer(TEXTS, "characters", 10, minimum_count=1).encode(TEXTS).values,
    )


def test_further_words_are_known_behind_its_own():
    tokenizer = learn_tokenizer(TEXTS, "words")
    own = tokenizer.words()
    tokenizer.add(["halt", "stop", "Halt", "a-b", "new york", "", "halt", "'s"])
    assert tokenizer.words() == [*own, "halt"]  # of the others it makes other tokens, or none
    assert (tokenizer.own_size, tokenizer.further_size, tokenizer.size) == (
        len(own),
        1,
        len(own) + 1,
    )
    again = Tokenizer.loaded(tokenizer.stored())
    assert (
        tokens(again, "Halt, stop!") == ["halt", "[UNK]", "stop", "[UNK]"]
        and again.further_size == 1
    )
    again.add(["new york", "wait", "cease", "rest"], most=2)
    assert again.words() == [*own, "halt", "wait", "cease"] and again.further_size == 3


def test_a_tokenizer_of_its_own_words_is_stored_as_before_there_were_further_ones():
    assert set(learn_tokenizer(TEXTS, "words").stored()) == {"kind", "max_length", "tokenizer"}


def test_subwords_know_no_further_words():
    tokenizer = learn_tokenizer(TEXTS * 3, "subwords", vocabulary_size=300)
    before = tokenizer.words()
    tokenizer.add(["halt"])
    assert tokenizer.words() == before and tokenizer.further_size == 0


def test_characters_know_further_characters():
    tokenizer = learn_tokenizer(["ab"], "characters", minimum_count=1)
    tokenizer.add(["c", "cd", "a"])
    assert tokenizer.words()[2:] == ["a", "b", "c"]


@pytest.mark.parametrize("header", ["", "\n", "3 2\n", "\n3 2\nnew york 1 2\n"])
def test_vectors_from_a_file(header, tmp_path):
    path = tmp_path / "vectors.txt.gz"
    path.write_bytes(
        gzip.compress(f"{header}stop 0.5 -1\nelsewhere 1 1\n. . . 3 4\ngo 2 0\n".encode())
    )
    tokenizer = learn_tokenizer(TEXTS, "words")
    assert list(file_words(str(path)))[-4:] == ["stop", "elsewhere", ". . .", "go"]
    matrix = embedding_matrix(str(path), tokenizer)
    words = tokenizer.words()
    assert matrix.shape == (len(words), 2) and matrix.dtype == "float32"
    assert matrix[words.index("stop")].tolist() == [0.5, -1] and matrix[
        words.index("go")
    ].tolist() == [2, 0]
    np.testing.assert_array_equal(matrix, embedding_matrix(str(path), tokenizer))


@pytest.mark.parametrize(
    "content, fault",
    [
        ("stop 1 2\ngo 1\n", "line 2: must be a word and 2 numbers"),
        ("stop 1 x\n", "line 1"),
        ("go 1 2\nstop 1 nan\n", "line 2"),
        ("stop\t1\t2\n", "line 1: must be a word and its numbers, with spaces"),
        ("x 1 2\n", "none of the"),
    ],
)
def test_vectors_that_cannot_be_read(content, fault, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=fault):
        embedding_matrix(str(path), learn_tokenizer(TEXTS, "words"))
