"""Why a network finds a class in a text: completeness, attention, pairs, and the two kinds of
picture.
"""

import html
import re

import numpy as np
import pytest
from scipy.special import softmax

from deepapps.data.sequences.texts import TextEncoder
from deepapps.inference.text_explanation import explain_text
from deepapps.networks.sequences import sequence_network
from deepapps.tasks.sequence_classification import SequenceSettings

TEXTS = ["a film of joy", "no joy <b>", "a story without end", "the end of a film"] * 3
NAMES = ["bad", "good"]


def make(network="attention-lstm", pairs=False, **settings):
    texts = list(zip(TEXTS, TEXTS[::-1], strict=True)) if pairs else TEXTS
    options = {
        "kind": "words",
        "vocabulary_size": 300,
        "minimum_count": 1,
        "lowercase": None,
        "max_length": 20,
    }
    encoder = TextEncoder.learn(texts, **options)
    settings = SequenceSettings(network=network, units=6, embedding_size=5, **settings)
    return sequence_network(settings, len(NAMES), **encoder.form()), encoder


def explain(model, encoder, raw, target=None):
    return explain_text(model, encoder, raw, NAMES, target, softmax)


@pytest.mark.parametrize("ngrams", [1, 3])
@pytest.mark.parametrize("network", ["attention-lstm", "cnn", "transformer", "lstm"])
def test_what_the_tokens_add_sums_to_the_score(network, ngrams):
    model, encoder = make(network, ngrams=ngrams)
    found = explain(model, encoder, "a joy of a film", target="good")
    assert found.tokens == [["a", "joy", "of", "a", "film"]] and found.label == "good"
    tokens = encoder.encode(["a joy of a film"]).padded(np.array([0]))
    logits = np.asarray(model(tokens))[0]
    assert found.score == pytest.approx(logits[1], abs=1e-5)
    assert found.probability == pytest.approx(np.exp(logits[1]) / np.exp(logits).sum(), abs=1e-5)
    difference = found.score - found.baseline_score
    assert sum(found.integrated_gradients[0]) == pytest.approx(
        difference, abs=0.02 * abs(difference) + 1e-3
    )
    assert (found.attention is None) == (network in ("cnn", "lstm"))


def test_attention_is_that_of_the_network():
    model, encoder = make()
    found = explain(model, encoder, "the end of joy")
    assert found.attention[0].shape == (4,) and found.attention[0].sum() == pytest.approx(
        1, abs=1e-5
    )
    assert -1 <= found.agreement <= 1
    assert explain(model, encoder, "joy").agreement is None


def test_a_pair_has_the_tokens_of_both_texts():
    model, encoder = make(pairs=True)
    for raw in (("a film", "the end of joy"), "a film\tthe end of joy"):
        found = explain(model, encoder, raw)
        assert [len(part) for part in found.tokens] == [2, 4]
        assert [part.shape for part in found.integrated_gradients] == [(2,), (4,)]
        assert [part.sum() for part in found.attention] == pytest.approx([1, 1], abs=1e-5)
        total = sum(part.sum() for part in found.integrated_gradients)
        assert total == pytest.approx(found.score - found.baseline_score, abs=5e-3)


def test_the_page_holds_the_text_as_it_stands_and_escapes_it(tmp_path):
    model, encoder = make()
    text = "no joy <b> & 映画 مرحبا"
    found = explain(model, encoder, text)
    found.plot(tmp_path / "new" / "why.html")
    page = (tmp_path / "new" / "why.html").read_text(encoding="utf-8")
    assert "<b>" not in page and "http" not in page
    for paragraph in re.findall(r'<p class="text"[^>]*>(.*?)</p>', page, re.DOTALL):
        assert html.unescape(re.sub(r"<[^>]+>", "", paragraph)) == text
    assert page.count('<p class="text"') == 2


@pytest.mark.parametrize("network", ["attention-lstm", "cnn"])
def test_the_picture_of_a_long_text(tmp_path, network):
    model, encoder = make(network)
    explain(model, encoder, "a $joy$ of film " * 10).plot(tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes()[:4] == b"\x89PNG"


def test_bad_input(tmp_path):
    model, encoder = make()
    with pytest.raises(ValueError, match="Unknown target 'god'. Did you mean 'good'"):
        explain(model, encoder, "joy", target="god")
    with pytest.raises(ValueError, match="written as .html or .png here. Received: .*why.txt"):
        explain(model, encoder, "joy").plot(tmp_path / "why.txt")
