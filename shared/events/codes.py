"""The field types that events and facts are made of: codes, countries, offices, moments, days, texts.

Nothing is coerced: a number is not text and a text is not a number, because a silently "repaired" value is a wrong record.
Each refusal is a ``PydanticCustomError`` whose type is the stable code that the office reads in its receipt.
"""

import re
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import available_timezones

import pycountry
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""Years that a date in an event may have. The Buddhist year 2569 (2026) lies outside on purpose."""
FIRST_MOMENT, LAST_MOMENT = datetime(FIRST_YEAR, 1, 2, tzinfo=UTC), datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
"""Moments that have a day within those years in every time zone."""
BUDDHIST_YEARS = range(2400, 2700)
TEXT_LIMIT = 300
"""Characters in a title or a name. Longer is refused, never cut."""

CODE_PATTERN = r"^[a-z0-9-]{1,63}$"
SOURCE_PATTERN = r"^/offices/[a-z]{2}/[a-z0-9-]{1,63}$"
ISO_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)
TIMEZONES = frozenset(available_timezones() - {"Factory", "localtime"})
"""Zones by name. What depends on the machine is none, or two services would read one event differently."""


class Model(BaseModel):
    """Base of every event and fact: strict values, immutable, unknown fields left alone.

    Unknown fields are passed over so that an office with a newer program can talk to an older service.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


@cache
def _has(kind: type[Model], name: str) -> bool:
    return name in kind.model_fields or hasattr(kind, name)


def named(data: Model, name: str) -> Any:
    """What a field or property holds, or None where this kind has none of that name: pydantic takes long to say so."""
    return getattr(data, name) if _has(type(data), name) else None


def _day(value: Any) -> Any:
    if isinstance(value, str):
        return _written_day(value)
    if isinstance(value, datetime) or not isinstance(value, date):
        raise PydanticCustomError("date_impossible", "is not a date: write it as YYYY-MM-DD")
    _year(value.year)
    return value


@lru_cache(maxsize=8192)  # the days of some twenty years, read in event after event and fact after fact
def _written_day(value: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise PydanticCustomError("date_impossible", "is not a date: write it as YYYY-MM-DD")
    _year(int(value[:4]))
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("date_impossible", "is not a day of the calendar") from None


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        # RFC 3339, as CloudEvents asks; a space instead of T and a missing second are refused.
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", value, re.ASCII):
            raise PydanticCustomError(
                "time_impossible", "is not a time: write it as 2025-03-31T09:00:00+08:00 (RFC 3339)"
            )
        _year(int(value[:4]))
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("time_impossible", "is not a moment of the calendar") from None
    if not isinstance(value, datetime):
        raise PydanticCustomError("time_impossible", "is not a time: write it as 2025-03-31T09:00:00+08:00 (RFC 3339)")
    if value.tzinfo is None:
        raise PydanticCustomError("missing_offset", "has no offset: add the place's, such as +07:00")
    _year(value.year)
    if not FIRST_MOMENT <= value < LAST_MOMENT:  # wherever its day is asked for, it must have one
        raise PydanticCustomError("date_impossible", "lies before 1900-01-02 or after 2100-12-30 in UTC")
    return value


def _year(year: int) -> None:
    if year in BUDDHIST_YEARS:
        raise PydanticCustomError(
            "date_impossible",
            "has a year that looks like the Buddhist era: write the Gregorian year, which is 543 less",
        )
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise PydanticCustomError(
            "date_impossible",
            "has a year that is not taken: write one from {first} to {last}",
            {"first": FIRST_YEAR, "last": LAST_YEAR},
        )


def _country(value: str) -> str:
    if value not in ISO_COUNTRIES:
        raise PydanticCustomError(
            "unknown_country", "is not an ISO 3166-1 alpha-2 country code in capitals, such as KH"
        )
    return value


def _timezone(value: str) -> str:
    if value not in TIMEZONES:
        raise PydanticCustomError("unknown_timezone", "is not an IANA time zone, such as Asia/Phnom_Penh")
    return value


_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_BREAKS = frozenset({"Cc", "Zl", "Zp"})
_NO_CHARACTER = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)) + "]"
)
"""Unicode keeps these codes for programs' own use, and what holds one cannot be signed: not everybody writes it in one way."""
FROM_OUTSIDE: Final = {"from_outside": True}
"""What an event is read with when it is first taken: what journals hold already is read without, whatever was found out since."""


def _text(value: str, info: ValidationInfo) -> str:
    if value.isascii() and value.isprintable() and not value.isspace():
        return value  # what follows finds nothing in it, and takes each character by itself
    if all(unicodedata.category(character) in _UNSEEN for character in value):
        raise PydanticCustomError("invalid_text", "holds nothing that can be read")
    for character in value:
        # Controls break lists and logs; the bidirectional overrides make a printed name read as another one.
        # Zero-width spaces stay: Khmer, Lao and Burmese use them between words.
        if (
            unicodedata.category(character) in _BREAKS
            or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        ):
            raise PydanticCustomError("invalid_text", "holds a control or direction character: remove it")
    if info.context == FROM_OUTSIDE and _NO_CHARACTER.search(value):
        raise PydanticCustomError("invalid_text", "holds a code that is no character: remove it")
    composed = unicodedata.normalize("NFC", value)
    if (
        len(composed) > TEXT_LIMIT
    ):  # some letters become two: what is kept must be within the limit when it is read again
        raise PydanticCustomError("invalid_data", "is longer than {limit} characters", {"limit": TEXT_LIMIT})
    return composed


def _two_decimals(value: float) -> float:
    if round(value, 2) != value:
        raise PydanticCustomError("invalid_data", "has more than two decimals")
    return value


# What stands before the colon of a description is the word for it in the docs.
Code = Annotated[
    str,
    StringConstraints(pattern=CODE_PATTERN),
    Field(description="code: a to z, 0 to 9 and -, at most 63; safe in subjects and in addresses"),
]
Reason = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_-]{1,63}$"),
    # Free text would carry names into places where no name may be.
    Field(description="reason: why, as a code of your own: a to z, 0 to 9, - and _, at most 63"),
]
Source = Annotated[
    str, StringConstraints(pattern=SOURCE_PATTERN), Field(description="office: /offices/<country>/<office>")
]
Country = Annotated[
    str, AfterValidator(_country), Field(description="country: ISO 3166-1 alpha-2 in capitals, such as KH")
]
Timezone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_timezone),
    Field(description="time zone: an IANA name, such as Asia/Phnom_Penh"),
]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"),
    Field(description="language: a BCP 47 tag, such as km or zh-Hans"),
]
Day = Annotated[
    date,
    BeforeValidator(_day),
    PlainSerializer(lambda day: day.isoformat(), return_type=str),
    Field(description=f"date: YYYY-MM-DD, a Gregorian year from {FIRST_YEAR} to {LAST_YEAR}"),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    PlainSerializer(lambda at: at.isoformat(), return_type=str),
    Field(description="time: RFC 3339 with an offset, such as 2025-03-31T09:00:00+08:00"),
]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TEXT_LIMIT),
    AfterValidator(_text),
    Field(
        description=f"text: one line in any script, at most {TEXT_LIMIT} characters; no controls, no direction overrides"
    ),
]
Titles = Annotated[
    dict[Language, Text],
    Field(min_length=1, max_length=20, description='texts: by language, such as {"en": "...", "km": "..."}'),
]
Link = Annotated[
    str,
    StringConstraints(max_length=TEXT_LIMIT, pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-;=?-~]*)?$"),
    Field(description="address: https and what a browser opens, in ASCII without spaces"),
]
"""Only ever shown for a person to follow: nothing here opens what an office wrote."""
Hours = Annotated[
    float, Field(gt=0, le=24, description="hours: up to 24, with at most two decimals"), AfterValidator(_two_decimals)
]
Count = Annotated[int, Field(ge=0, le=1_000_000)]

T = TypeVar("T")
Many = Annotated[list[T], Field(fail_fast=True)]
"""A list that is refused at its first bad item: a million of them would cost seconds and a gigabyte to describe."""


def each_once(*names: str) -> AfterValidator:
    """For a list from outside: no item stands in it twice, each known by the fields that are named, or by itself."""

    def check(items: list[T], info: ValidationInfo) -> list[T]:
        if info.context == FROM_OUTSIDE:
            known = {tuple(getattr(item, name) for name in names) if names else item for item in items}
            if len(known) != len(items):
                raise PydanticCustomError("invalid_data", "names one twice")
        return items

    return AfterValidator(check)


Role = Literal["coordinator", "sending-office", "host-centre", "awarding-body", "recognition-authority", "reader"]
Sex = Literal["F", "M", "U"]
"""SDMX: F, M, or U for not known or not stated."""
TraineeRole = Literal["student", "teacher", "worker", "official", "coach"]
Mode = Literal["in-person", "online", "blended"]
YesNo = Literal["yes", "no", "not-stated"]
Outcome = Literal["employed", "self-employed", "studying", "teaching", "seeking", "no-answer"]
AgeBand = Literal["Y_LT15", "Y15T24", "Y25T34", "Y35T44", "Y45T54", "Y55T64", "Y_GE65", "_U"]
"""Age in completed years on the cohort's first day, in SDMX's manner of writing; _U when the birth date is not known."""


def month_of(on: date) -> str:
    """A date's month as YYYY-MM."""
    return on.isoformat()[:7]


@lru_cache(maxsize=1024)  # few numbers, said again and again
def hundredths(hours: float) -> int:
    """Hours as whole hundredths, so that sums are exact."""
    return int((Decimal(str(hours)) * 100).to_integral_value())
