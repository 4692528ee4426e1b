"""Figures of sentences: BLEU and ROUGE against counts by hand, exact matches, lengths, the best
and the worst.
"""

import pytest

from deepapps.metrics.bleu import Bleu
from deepapps.metrics.rouge import Rouge
from deepapps.metrics.sentences import sentence_figures

REFERENCES = [
    "The dog runs fast today.",
    "A cat sleeps on the red mat.",
    "Two birds sing in a tree.",
]
OURS = [*REFERENCES[:2], "Two birds sing in the tree."]


def test_translations_against_their_references():
    figures = sentence_figures(Bleu(), OURS, REFERENCES, [5, 7, 6], ["a", "b", "b"])
    assert 60 < figures["bleu"] < 100 and 80 < figures["chrf"] < 100
    assert figures["exact_match"] == pytest.approx(2 / 3)
    assert figures["exact_match_by_kind"] == {"a": 1.0, "b": 0.5}
    assert "tok:13a" in figures["bleu_signature"]
    assert [part[:3] for part in figures["by_length"]] == [[5, 6, 2], [7, 7, 1]]
    assert figures["by_length"][0][3] < 90 and figures["by_length"][1][3] == pytest.approx(100)
    assert "exact_match_by_kind" not in sentence_figures(Bleu(), OURS, REFERENCES, [5, 7, 6])


def test_the_best_are_long_and_the_worst_are_wrong():
    references = [f"{'word ' * count}end" for count in range(1, 12)]
    ours = ["nothing like it", *references[1:9], "word", references[10]]
    figures = sentence_figures(Bleu(), ours, references, list(range(1, 12)))
    assert [sample["index"] for sample in figures["best"]] == [10, 8, 7, 6, 5, 4]
    assert [sample["index"] for sample in figures["worst"]] == [0, 9]
    assert figures["best"][0] == {
        "index": 10,
        "answer": references[10],
        "score": pytest.approx(100),
    }
    assert figures["worst"][0]["score"] < figures["worst"][1]["score"] < 50


CHINESE = ["狗在快快地跑着"], ["狗在慢慢地跑着"]
JAPANESE = ["犬はゆっくりと走っています"], ["犬はとても速く走っています"]
TIBETAN = ["ཁྱི་དེ་མགྱོགས་པོར་རྒྱུག"], ["ཁྱི་དེ་ག་ལེར་རྒྱུག"]


@pytest.mark.parametrize(
    "language, texts, tokenizer",
    [
        ("zh-Hant", CHINESE, "zh"),
        ("cmn", CHINESE, "zh"),
        ("yue", CHINESE, "zh"),
        (None, CHINESE, "zh"),
        ("de", CHINESE, "zh"),
        ("ja", JAPANESE, "char"),
        ("jpn", JAPANESE, "char"),
        (None, JAPANESE, "char"),
        ("dz", TIBETAN, "char"),
        (None, TIBETAN, "char"),
        (None, (["The dog 狗 runs"], ["The dog 狗 walks"]), "13a"),
        ("ko", (["개가 공원에서 매우 빨리 달린다"], ["개가 공원에서 매우 빨리 걷는다"]), "13a"),
    ],
)
def test_bleu_finds_words_in_languages_without_spaces(language, texts, tokenizer):
    figures = Bleu(language).figures(*texts)
    assert f"tok:{tokenizer}" in figures["bleu_signature"]
    assert figures["bleu"] > 0


def test_what_is_taken_from_the_script_is_said_once(caplog):
    for _ in range(2):
        Bleu("xx").main(*CHINESE)
    (record,) = [one for one in caplog.records if "'xx'" in one.message]
    assert "without spaces (CJK)" in record.message and "'zh'" in record.message


def test_rouge_counted_by_hand():
    """Of 4 and 5 words 3 are common, in one row 3 of them; of 3 and 4 pairs of words 1."""
    figures = Rouge().figures(["the cat sat down"], ["The cat, he sat there."])
    assert figures["rouge_1"] == figures["rouge_l"] == pytest.approx(100 * 2 * 3 / 9)
    assert figures["rouge_2"] == pytest.approx(100 * 2 * 1 / 7)
    two = Rouge().figures(["the cat sat down", "no"], ["The cat, he sat there.", "yes"])
    assert two["rouge_1"] == pytest.approx(figures["rouge_1"] / 2)


@pytest.mark.parametrize(
    "language, same",
    [
        ("de", "schöne größe"),
        ("zh", "狗跑"),
        ("ru", "собака"),
        (None, "собака бежит"),
        (None, "狗跑"),
    ],
)
def test_rouge_finds_words_in_other_languages(language, same):
    assert Rouge(language).main([same], [same]) == pytest.approx(100)
    assert 0 < Rouge(language).main([f"{same} x"], [same]) < 100
