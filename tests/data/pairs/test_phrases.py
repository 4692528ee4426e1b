"""The sample of the translator: real phrases, the same on every machine, in any two locales."""

import collections

import pytest

from deepapps.data.pairs.phrases import phrase_pairs


def test_about_fifteen_thousand_phrases_of_seven_kinds():
    examples = phrase_pairs()
    sources = [source for source, _ in examples.inputs]
    assert 14_000 <= len(sources) == len(set(sources)) <= 18_000
    assert set(examples.labels) == {
        "date",
        "time",
        "duration",
        "moment",
        "price",
        "measure",
        "list",
    }
    assert min(collections.Counter(examples.labels).values()) > 500


def test_they_are_what_the_locales_write():
    pairs = dict(phrase_pairs().inputs)
    moments = {source: target for source, target in pairs.items() if source.endswith(" months ago")}
    assert moments["17 months ago"] == "il y a 17 mois"
    assert any(
        source.endswith(" and Germany") and target.endswith(" et Allemagne")
        for source, target in pairs.items()
    )
    dates = [target for source, target in pairs.items() if source.startswith("Friday, May ")]
    assert dates and all(target.startswith("vendredi ") and " mai " in target for target in dates)


@pytest.mark.parametrize("source, target", [("ar", "sw"), ("pt-BR", "zh")])
def test_any_locales(source, target):
    examples = phrase_pairs(source, target)
    assert len(examples.inputs) > 14_000
    assert not any(
        "duration-" in text or "length-" in text for pair in examples.inputs for text in pair
    )


def test_unknown_and_equal_locales():
    with pytest.raises(ValueError, match="Unknown locale 'pt_BT'.* Did you mean 'pt_"):
        phrase_pairs("en", "pt_BT")
    with pytest.raises(
        ValueError, match="source and target language must differ. Received: en and en"
    ):
        phrase_pairs("en", "en")
