"""Fonts for pictures: what the usual one lacks comes from others on the machine."""

import functools
import logging

from matplotlib import font_manager

USUAL = "DejaVu Sans"  # comes with matplotlib
_BOXES = "Last Resort"  # so does this one, which has a box for every character
_logger = logging.getLogger(__name__)


def families_for(texts):
    """The font families that some texts need, for matplotlib's `fontfamily`, the usual one first.

    Characters that no font of the machine has are drawn as boxes, and named once in a warning.
    """
    letters = {
        letter for text in texts for letter in text if letter.isprintable() and not letter.isspace()
    }
    usual = _letters_in(font_manager.findfont(USUAL))
    return [USUAL, *_further_families(frozenset(letters - usual))]


@functools.cache
def _further_families(missing):
    """The families that together have the missing letters, as far as there are such."""
    found = []
    for name, path in _fonts() if missing else ():
        known = _letters_in(path)
        if known & missing:
            found.append(name)
            missing -= known
        if not missing:
            break
    if missing:
        shown = "".join(sorted(missing)[:10])
        _logger.warning(
            "No font of this machine has %s: pictures show boxes, .html pages do not.", shown
        )
    return found


def _fonts():
    """`(family, path)` of an upright font of each family of the machine, those without serifs
    first.
    """
    upright = (font for font in font_manager.fontManager.ttflist if font.style == "normal")
    fonts = {
        font.name: font.fname
        for font in sorted(upright, key=lambda font: -abs(_weight(font) - 400))
    }
    fonts = {name: path for name, path in fonts.items() if not name.startswith(_BOXES)}
    return sorted(fonts.items(), key=lambda font: ("Sans" not in font[0], font))


def _weight(font):
    return font.weight if isinstance(font.weight, int) else 400


def _letters_in(path):
    """The characters that a font has, a set."""
    try:
        return set(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # it was deleted, or cannot be read
        return set()
