"""Scripts of a text: which are written without spaces between words."""

import unicodedata
from collections.abc import Iterable

# the first words of the Unicode names of their letters; tsegs part syllables, not words, in Tibetan
SPACELESS = (
    "CJK",
    "BOPOMOFO",
    "HIRAGANA",
    "KATAKANA",
    "KATAKANA-HIRAGANA",
    "YI",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TIBETAN",
    "TAI",
    "JAVANESE",
    "BALINESE",
)
LETTERS = 20_000  # that are looked at


def scripts_of(texts: Iterable[str]) -> dict[str, float]:
    """The share of each script in the letters of texts, `{"LATIN": 0.98, ...}`, the largest first;
    empty where there are no letters.
    """
    counts, letters = {}, 0
    for text in texts:
        for letter in filter(str.isalpha, text):
            script = unicodedata.name(letter, "?").split()[0]
            counts[script], letters = counts.get(script, 0) + 1, letters + 1
        if letters >= LETTERS:
            break
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {script: count / letters for script, count in ranked}
