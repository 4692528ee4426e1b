"""The sample of names: real, unambiguous, the same every time."""

import collections

from deepapps.data.sequences.names import LANGUAGES, language_names


def test_each_name_is_spelled_so_in_one_language():
    names, languages = language_names()
    assert len(names) == len(languages) == len(set(names))
    assert 33_000 < len(names) < 40_000
    assert names == sorted(names)
    counts = collections.Counter(languages)
    assert set(counts) == set(LANGUAGES) and len(LANGUAGES) == 30
    assert min(counts.values()) > 500


def test_some_names_are_known():
    language = dict(zip(*language_names(), strict=True))
    known = {
        "Nowa Zelandia": "pl",
        "Noord-Korea": "nl",
        "布宜诺斯艾利斯": "zh",
        "Zimbabve Doları (2008)": "tr",
    }
    assert {name: language[name] for name in known} == known
    assert "Madrid" not in language  # spelled so in many
