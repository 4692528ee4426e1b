"""The sample of the sequence classifier: in which of 30 languages is this name written?"""

import collections
import functools

from babel import Locale

LANGUAGES = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "sv",
    "da",
    "fi",
    "pl",
    "cs",
    "hu",
    "tr",
    "ro",
    "el",
    "ru",
    "uk",
    "ar",
    "he",
    "hi",
    "th",
    "vi",
    "id",
    "ja",
    "ko",
    "zh",
    "sw",
    "is",
    "et",
)


@functools.cache
def language_names():
    """About 33,800 names that are spelled so in just one of 30 languages, sorted.

    They are the names of territories, languages, currencies, scripts, months and cities in the
    Unicode Common Locale Data Repository, as the package `Babel` holds it; so a newer Babel has a
    few more.

    Returns: a list of names, and a list of their languages, as codes.
    """
    languages = collections.defaultdict(set)
    for code in LANGUAGES:
        for name in _names(Locale(code)):
            languages[name].add(code)
    unique = sorted((name, *codes) for name, codes in languages.items() if len(codes) == 1)
    names, codes = zip(*unique, strict=True)
    return list(names), list(codes)


def _names(locale):
    """The names in one locale; months in both grammatical forms, inside a date and alone."""
    for names in (locale.territories, locale.languages, locale.currencies, locale.scripts):
        yield from names.values()
    for form in locale.months.values():
        yield from form["wide"].values()
    yield from (zone["city"] for zone in locale.time_zones.values() if "city" in zone)
