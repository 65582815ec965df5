"""The languages of the pages: which one a reader wants, its catalogue, and how it writes days, moments and numbers.

English is what the code says; the others come from ``locale/<language>.po``. Whatever has no translation stays English, and a
test finds it.
"""

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import get_global
from babel.dates import format_date, format_skeleton, format_timedelta
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

FOLDER: Final = Path(__file__).parent / "locale"
COOKIE: Final = "sampan_language"

LANGUAGES: Final[Mapping[str, str]] = {
    "en": "English",
    "km": "ភាសាខ្មែរ",
    "lo": "ພາສາລາວ",
    "my": "မြန်မာဘာသာ",
    "zh-Hans": "简体中文",
}
"""Tag and own name of each, in the order in which pages offer them."""


def noted(text: str) -> str:
    """Marks a text for the catalogue where it is written down, to be translated where it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the pages."""

    tag: str
    locale: Locale
    texts: gettext.NullTranslations

    @property
    def roster_tag(self) -> str:
        """What the table of a roster's columns calls this language."""
        return self.tag.partition("-")[0]

    def say(self, text: str, **values: object) -> str:
        """A text of the code in this language, with its values put in."""
        said = self.texts.gettext(text)
        return said % values if values else said

    def day(self, day: date | None) -> str:
        """A day in words; an empty text for none."""
        return "" if day is None else str(format_date(day, "long", locale=self.locale))

    def short_day(self, day: date) -> str:
        """A day where there is little room."""
        return str(format_date(day, "medium", locale=self.locale))

    def day_of(self, written: str) -> str:
        """A day in words, from how events write it."""
        return self.day(date.fromisoformat(written))

    def month(self, written: str) -> str:
        """A month in words, from how figures write it (YYYY-MM); what is none stays as it is."""
        try:
            first = date.fromisoformat(f"{written}-01")
        except ValueError:
            return written
        return str(format_skeleton("yMMM", first, locale=self.locale))

    def share(self, part: float, whole: float) -> str:
        """How much of a whole a part is, in percent with at most one decimal; a dash where there is no whole."""
        return str(format_percent(round(part / whole, 3), format="#,##0.#%", locale=self.locale)) if whole else "–"

    def moment(self, at: datetime, zone: tzinfo) -> str:
        """A day and the time of day in a place's own time."""
        there = at.astimezone(zone)
        return f"{format_date(there, 'medium', locale=self.locale)}, {there:%H:%M}"

    def age(self, since: datetime, now: datetime) -> str:
        """How long ago something was, roughly."""
        return str(format_timedelta(now - since, locale=self.locale))

    def number(self, value: float) -> str:
        return str(format_decimal(value, locale=self.locale))

    def country(self, code: str) -> str:
        """A country's name by its ISO 3166-1 code; the code where there is none."""
        return str(self.locale.territories.get(code, code))

    def language(self, tag: str) -> str:
        """A language's name by its tag; the tag where there is none."""
        return str(self.locale.languages.get(tag.replace("-", "_"), tag))

    def title(self, titles: Mapping[str, str]) -> tuple[str, str]:
        """(tag, text) of a title that offices wrote in several languages: this language, else English, else the first."""
        for tag in (self.tag, self.tag.partition("-")[0], "en", *titles):
            if tag in titles:
                return tag, titles[tag]
        return self.tag, ""


@cache
def language(tag: str) -> Language:
    """A language by its tag, one of ``LANGUAGES``."""
    return Language(tag, Locale.parse("en-GB" if tag == "en" else tag, sep="-"), _texts(tag))


def wanted(asked: str | None, remembered: str | None, accepted: str) -> Language:
    """The reader's language: asked for by a link, remembered from one, or the browser's (Accept-Language); else English."""
    for tag in (asked, remembered):
        if tag in LANGUAGES:
            return language(tag)
    for tag in _by_weight(accepted):
        for ours in LANGUAGES:
            if ours.lower() == tag or ours.partition("-")[0] == tag.partition("-")[0]:
                return language(ours)
    return language("en")


def zone_of(country: str | None) -> tzinfo:
    """The time of day at an office's place, by its country (in any case); UTC where there is no country."""
    return ZoneInfo(_zones().get((country or "").upper(), "UTC"))


@cache
def _zones() -> dict[str, str]:
    """A country's time zone: of several the first by name, which is the capital's for every partner country."""
    by_country: dict[str, str] = {}
    for zone, country in sorted(get_global("zone_territories").items()):
        by_country.setdefault(country, zone)
    return by_country


def catalogue(tag: str) -> Catalog:
    """A language's catalogue as its file has it."""
    with (FOLDER / f"{tag}.po").open("rb") as file:
        return read_po(file, locale=tag.replace("-", "_"))


def _texts(tag: str) -> gettext.NullTranslations:
    if tag == "en":
        return gettext.NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(tag))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _by_weight(accepted: str) -> list[str]:
    """The tags of an Accept-Language header, the most wanted first; what cannot be read is left out."""
    weighed = []
    for part in accepted.lower().split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighed, key=lambda one: -one[0]) if tag and weight > 0]
