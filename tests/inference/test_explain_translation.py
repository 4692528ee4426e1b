"""Alignments: words of any script, weights and score as the network has them, and the two kinds
of picture.
"""

import html
import re

import keras
import numpy as np
import pytest
from matplotlib import image

from deepapps.data.pairs.encoder import PairEncoder
from deepapps.data.tokenizers import learn_tokenizer
from deepapps.inference.alignment import align, words_of
from deepapps.networks import TRANSLATION_NETWORKS as NETWORKS
from deepapps.reporting.text_plots import plot_alignment
from deepapps.tasks.translation import TranslatorSettings

PAIRS = [("Ein Hund rennt.", "<b>A dog</b> runs."), ("Zwei Hunde rennen.", "Two dogs run.")] * 3


@pytest.mark.parametrize(
    "text, words",
    [
        ("Ein Hund, schnell!", ["Ein", "Hund", ",", "schnell", "!"]),
        (
            "l'heure (12\u202f345,60\u00a0€) 15:30",
            ["l'heure", "(", "12\u202f345,60", "€)", "15:30"],
        ),
        ("हिन्दी में है", ["हिन्दी", "में", "है"]),
        ("يركض الكلب في الحديقة.", ["يركض", "الكلب", "في", "الحديقة", "."]),
        ("狗跑。", ["狗", "跑", "。"]),
        ("😀👩\u200d👧 ok", ["😀👩\u200d👧", "ok"]),
        ("  two  spaces ", ["two", "spaces"]),
        ("", [""]),
    ],
)
def test_words_whatever_the_script(text, words):
    tokenizer = learn_tokenizer(["nothing of all that"], "subwords")
    found = words_of(text, tokenizer)
    assert [word for word, _ in found] == words
    numbers = [number for _, number in found]
    assert (
        numbers[0] == 0
        and numbers == sorted(set(numbers))
        and numbers[-1] < len(tokenizer.spans(text))
    )


def make(network, **settings):
    encoder = PairEncoder.learn(PAIRS, joint=True, vocabulary_size=300, max_length=40)
    settings = TranslatorSettings(network=network, units=8, depth=2, **settings)
    return NETWORKS[network](settings, (encoder.source.size,) * 2, True), encoder


@pytest.mark.filterwarnings("ignore:You are using a softmax")
@pytest.mark.parametrize(
    "network, attention",
    [("attention-lstm", "bahdanau"), ("attention-lstm", "luong"), ("transformer", "luong")],
)
def test_score_and_weights_are_those_of_the_network(network, attention):
    model, encoder = make(network, attention=attention)
    source, translation = PAIRS[0]
    found = align(model, encoder, source, translation)
    assert found.source == ["Ein", "Hund", "rennt", ".", "(end)"]
    assert found.translation == ["<", "b>A", "dog</b", ">", "runs", "."]
    assert found.weights.shape == (6, 5) and found.weights.dtype == "float32"
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-5)
    sources = encoder.encode(source).padded(np.array([0]))
    targets = encoder.encode_targets([translation]).padded(np.array([0]))
    logits = keras.ops.log_softmax(model([sources, targets[:, :-1]], training=False))
    scores = np.take_along_axis(np.asarray(logits)[0], targets[0, 1:, None], axis=1)
    assert found.score == pytest.approx(scores.mean(), abs=1e-4)
    state, ends = model.start(sources), []
    for token in targets[0, :-2]:  # as decoding has them
        _, weights, state = model.step(token[None], state)
        ends.append(weights[0, -1])
    rows = [number for _, number in words_of(translation, encoder.target)]
    expected = [np.mean(part) for part in np.split(np.array(ends), rows[1:])]
    np.testing.assert_allclose(found.weights[:, -1], expected, atol=1e-5)


def test_the_page_escapes_words(tmp_path):
    model, encoder = make("attention-lstm")
    align(model, encoder, "Ein < & الكلب", "<b>A dog</b> runs.").plot(tmp_path / "new" / "why.html")
    page = (tmp_path / "new" / "why.html").read_text(encoding="utf-8")
    assert "<b>" not in page and "http" not in page and 'dir="auto"' in page
    heads = [html.unescape(word) for word in re.findall(r'<th scope="col">(.*?)</th>', page)]
    assert heads == ["Ein", "<", "&", "الكلب", "(end)"]
    assert page.count("<td ") == 5 * page.count('<th scope="row">')


@pytest.mark.parametrize(
    "words, side", [(["one", "two", "(end)"], 0), (["كلب", "في", "(end)"], -1)]
)
def test_the_picture_runs_as_the_source_is_read(words, side, tmp_path):
    weights = np.tile([1.0, 0.0, 0.0], (4, 1))
    plot_alignment(words, ["$a_1$", "b", "c\nd", ""], weights, tmp_path / "why.png")
    shown = image.imread(tmp_path / "why.png")[..., :3]
    dark = np.flatnonzero((shown.sum(axis=-1) < 1).mean(axis=0) > 0.4)
    middle = shown.shape[1] * 0.55
    assert len(dark) > 20 and (dark.max() < middle if side == 0 else dark.min() > middle)


def test_long_sentences_and_other_endings(tmp_path):
    model, encoder = make("attention-lstm")
    found = align(model, encoder, "Hund " * 200, "dog " * 20)
    assert found.weights.shape == (20, 41), "sources are cut to 40 subwords"
    found.plot(tmp_path / "WHY.PNG")
    assert max(image.imread(tmp_path / "WHY.PNG").shape) < 4000
    with pytest.raises(ValueError, match="written as .html or .png here. Received: why.txt"):
        found.plot("why.txt")
