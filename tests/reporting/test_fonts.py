"""The fonts of pictures: the usual one, others for what it lacks, one warning for what none has."""

import logging

from matplotlib import font_manager

from deepapps.reporting import fonts
from deepapps.reporting.fonts import USUAL, _letters_in, families_for


def test_the_usual_font_is_enough_for_most(caplog):
    assert families_for(["dog", "собака", "الكلب", "größe\n\u202f"]) == [USUAL]
    assert not caplog.records


def test_a_font_of_the_machine_has_what_the_usual_one_lacks():
    other = font_manager.findfont("STIXGeneral")  # comes with matplotlib
    lacking = sorted(_letters_in(other) - _letters_in(font_manager.findfont(USUAL)))
    letter = next(letter for letter in lacking if letter.isalpha())
    first, *further = families_for(["dog", letter])
    assert first == USUAL and len(further) == 1
    assert letter in _letters_in(font_manager.findfont(further[0]))


def test_what_no_font_has_is_named_once(caplog, monkeypatch):
    monkeypatch.setattr(fonts, "_fonts", list)  # a machine with no further ones
    fonts._further_families.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert families_for(["漢"]) == families_for(["a漢"]) == [USUAL]
    assert caplog.text.count("No font of this machine has 漢") == 1
    fonts._further_families.cache_clear()
