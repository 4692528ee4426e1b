"""The sample of the translator: everyday phrases, as one locale writes them and as another does."""

import datetime
import functools
import random

import babel
from babel import dates, lists, localedata, numbers, units

from deepapps.data.examples import Examples
from deepapps.settings import close_names

DRAWS, SEED = 20_000, 7
_UNITS = (
    "length-kilometer",
    "length-meter",
    "length-centimeter",
    "length-mile",
    "length-foot",
    "mass-kilogram",
    "mass-gram",
    "mass-tonne",
    "mass-pound",
    "volume-liter",
    "volume-milliliter",
    "area-hectare",
    "area-square-meter",
    "area-square-kilometer",
    "speed-kilometer-per-hour",
    "speed-meter-per-second",
    "temperature-celsius",
    "power-kilowatt",
    "energy-kilocalorie",
    "energy-kilowatt-hour",
    "frequency-megahertz",
    "digital-gigabyte",
)
_CURRENCIES = [
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "CHF",
    "CAD",
    "AUD",
    "CNY",
    "INR",
    "BRL",
    "MXN",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "CZK",
    "HUF",
    "TRY",
    "RUB",
    "ZAR",
    "KRW",
    "THB",
    "ILS",
    "NZD",
]
_SPANS = {"second": 59, "minute": 59, "hour": 23, "day": 30, "week": 51, "month": 23, "year": 99}
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
    "month": 2592000,
    "year": 31536000,
}


@functools.cache
def phrase_pairs(source="en", target="fr"):
    """About 17,000 different phrases of seven kinds and their translations, from the Unicode CLDR.

    Dates, times of day, durations, points in time ("17 months ago"), prices, measures and lists of
    countries, drawn with a fixed seed and written by the package `Babel` in both locales.

    Args:
        source, target: Locales such as "en", "pt_BR", "zh".
    Returns: `Examples` of pairs, labelled with their kinds, no source phrase twice.
    Raises: ValueError for an unknown locale, with the close ones, and for two locales that are the
        same.
    """
    locales = [_locale(source), _locale(target)]
    if locales[0] == locales[1]:
        raise ValueError(
            f"sample: source and target language must differ. Received: {source} and {target}"
        )
    draw, found = random.Random(SEED), {}
    for _ in range(DRAWS):
        kind = draw.choice(list(_KINDS))
        phrase = _KINDS[kind](draw)
        sides = [_visible(phrase(locale)) for locale in locales]
        found.setdefault(sides[0], (sides[1], kind))
    pairs = [(text, other) for text, (other, _) in found.items()]
    return Examples(f"sample ({source}-{target})", pairs, [kind for _, kind in found.values()])


def _locale(name):
    try:
        return babel.Locale.parse(name.replace("-", "_"))
    except (ValueError, babel.UnknownLocaleError):
        hint = close_names(name, localedata.locale_identifiers()).partition(" Known")[0]
        raise ValueError(
            f"Unknown locale {name!r}, as `source_language` or `target_language`.{hint}"
        ) from None


def _visible(text):
    """Without the marks of direction that some locales write."""
    return "".join(letter for letter in text if letter not in "\u200e\u200f\u061c")


def _date(draw):
    day = datetime.date(1950, 1, 1) + datetime.timedelta(draw.randrange(86 * 365))
    form = draw.choice(("short", "medium", "long", "full"))
    return lambda locale: dates.format_date(day, form, locale)


def _time(draw):
    time = datetime.time(draw.randrange(24), draw.randrange(60), draw.randrange(60))
    form = draw.choice(("short", "medium", "medium", "medium"))
    return lambda locale: dates.format_time(time, form, locale=locale)


def _duration(draw):
    large, small = draw.choice(
        (("day", "hour"), ("hour", "minute"), ("minute", "second"), ("year", "month"))
    )
    counts = {
        large: draw.randrange(1, _SPANS[large] + 1),
        small: draw.randrange(1, min(_SPANS[small], 59) + 1),
    }

    def write(locale):
        parts = [
            _amount(count, f"duration-{unit}", "long", locale) for unit, count in counts.items()
        ]
        return lists.format_list(parts, locale=locale)

    return write


def _moment(draw):
    unit = draw.choice(list(_SPANS))
    seconds = draw.choice((-1, 1)) * draw.randrange(1, _SPANS[unit] + 1) * _SECONDS[unit]
    span = datetime.timedelta(seconds=seconds)
    options = {"granularity": unit, "threshold": 1e9, "add_direction": True}
    return lambda locale: dates.format_timedelta(span, locale=locale, **options)


def _price(draw):
    amount = round(10 ** draw.uniform(0, 6), draw.choice((0, 2)))
    currency, form = draw.choice(_CURRENCIES), draw.choice(("standard", "name"))
    return lambda locale: numbers.format_currency(amount, currency, locale=locale, format_type=form)


def _measure(draw):
    amount, unit = round(10 ** draw.uniform(0, 4), draw.choice((0, 1, 2))), draw.choice(_UNITS)
    form = draw.choice(("long", "short"))
    return lambda locale: _amount(amount, unit, form, locale)


def _amount(number, unit, form, locale):
    """A number with its unit, in the first form that the locale has."""
    texts = [
        units.format_unit(number, unit, length, locale=locale)
        for length in (form, "short", "narrow")
    ]
    return next((text for text in texts if unit not in text), texts[0])


def _list(draw):
    known = sorted(
        code for code in babel.Locale("en").territories if len(code) == 2 and code.isalpha()
    )
    codes, style = draw.sample(known, draw.randrange(2, 5)), draw.choice(("standard", "or"))
    return lambda locale: lists.format_list(
        [locale.territories.get(code, code) for code in codes], style, locale=locale
    )


_KINDS = {
    "date": _date,
    "time": _time,
    "duration": _duration,
    "moment": _moment,
    "price": _price,
    "measure": _measure,
    "list": _list,
}
