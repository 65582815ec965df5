"""One cell to one value, or to what is wrong with it. Nothing is repaired silently: what could be meant is offered, and taken
only when the officer says so.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from shared.events.codes import BUDDHIST_YEARS, FIRST_YEAR, ISO_COUNTRIES, LAST_YEAR
from shared.rosters.columns import Column, codes, folded, words
from shared.rosters.fonts import is_legacy
from shared.rosters.mistakes import is_error
from shared.rosters.zawgyi import is_zawgyi, to_unicode

BUDDHIST: Final = "buddhist-years"
ZAWGYI: Final = "zawgyi"
WHOLE_NUMBERS: Final = "whole-numbers"
AS_WRITTEN: Final = "as-written"
OFFERS: Final[Mapping[str, str]] = {
    BUDDHIST: "Years of the Buddhist era are taken as the year 543 less.",
    ZAWGYI: "Burmese in Zawgyi is turned into Unicode.",
    WHOLE_NUMBERS: "Numbers in columns of text are taken digit by digit as they are.",
    AS_WRITTEN: "Names that look like Zawgyi or an old font are taken as they are written.",
}
"""What an officer may accept, for a whole file at a time."""
TEXT_LIMIT: Final = 300
SHOWN_AS_POWER: Final = 100_000_000_000
"""From twelve digits on a spreadsheet shows a number as 1.2E+11, and saves what it shows as text."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a cell could mean: taken when its code is accepted. The value goes to nobody but who sent the file."""

    accept: str
    value: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a cell: a stable code, a sentence, what to do."""

    code: str
    sentence: str
    todo: str
    offer: Offer | None = None


class Wrong(Exception):
    """Raised by a reader of cells."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.code)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class Around:
    """What a cell's meaning depends on besides itself: what the officer accepts, the row's language and country."""

    accepted: Set[str] = frozenset()
    language: str | None = None
    country: str | None = None


def is_empty(cell: Any) -> bool:
    """Whether a cell holds nothing, or nothing that can be seen."""
    return cell is None or (isinstance(cell, str) and not _stripped(cell))


def read_cell(cell: Any, column: Column, around: Around) -> Any:
    """The value of a cell that is not empty. Raises ``Wrong``."""
    if isinstance(cell, float) and not isfinite(cell):  # such as 1e999 in the file
        raise _formula_error()
    if isinstance(cell, str) and is_error(_stripped(cell)):
        raise _formula_error()
    return _READERS[column.kind](cell, column, around)


def plain_digits(text: str) -> str:
    """Digits of every script as 0 to 9: Khmer, Lao, Burmese, Arabic, full-width and others."""
    return "".join(
        str(unicodedata.decimal(letter)) if unicodedata.category(letter) == "Nd" else letter for letter in text
    )


def _wrong(code: str, sentence: str, todo: str, offer: Offer | None = None) -> Wrong:
    return Wrong(Flaw(code, sentence, todo, offer))


def _stripped(text: str) -> str:
    return text.strip(" \t\r\n\u00a0\u200b\u200c\u200d\u2060\u3000\ufeff")


def _text(cell: Any) -> str:
    """A cell of text, or what a formula or a tick box left."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float):
        return str(int(cell)) if cell == int(cell) else str(cell)
    if not isinstance(cell, str):
        raise _wrong("not_text", "The cell holds a date or a time where text is asked for.", "Write it as text.")
    return _stripped(cell)


def _formula_error() -> Wrong:
    return _wrong("formula_error", "The cell holds a spreadsheet's error.", "Correct the formula, or write the value.")


def _free_text(cell: Any, column: Column, _: Around) -> str:
    text = _text(cell)
    if len(text) > TEXT_LIMIT:
        raise _wrong("too_long", f"The text has more than {TEXT_LIMIT} characters.", "Shorten it.")
    if "\n" in text or any(unicodedata.category(letter) == "Cc" for letter in text):
        raise _wrong(
            "invalid_text", "The cell holds more than one line, or a control character.", "Write it in one line."
        )
    if "\ufffd" in text:
        raise _wrong(
            "invalid_text", "The cell holds a character that was lost on the way.", "Write it again, and save as UTF-8."
        )
    del column
    return unicodedata.normalize("NFC", text)


def _name(cell: Any, column: Column, around: Around) -> str:
    if isinstance(cell, int | float):
        raise _wrong("not_text", "The cell holds a number where a name is asked for.", "Write the name.")
    text = _free_text(cell, column, around)
    if "??" in text:
        raise _wrong(
            "letters_lost",
            "Letters of the name were lost when the file was saved: there are question marks in their place.",
            "Save the spreadsheet as .xlsx or .ods, or as CSV in UTF-8, and send it again.",
        )
    if AS_WRITTEN in around.accepted:
        return text
    if is_zawgyi(text):
        converted = to_unicode(text)
        if ZAWGYI in around.accepted:
            return converted
        raise _wrong(
            "zawgyi",
            "The text looks like Burmese in Zawgyi, which other programs read as other letters.",
            f"Type it in Unicode, or accept {ZAWGYI} to take it as offered; if it is right as it stands, accept {AS_WRITTEN}.",
            Offer(ZAWGYI, converted),
        )
    # The romanised name is Latin by nature; of the others only what claims to be Khmer or Lao can be in an old font.
    if column.key == "name" and is_legacy(text, around.language, around.country):
        raise _wrong(
            "legacy_font",
            "The name is not in Unicode: it was typed with an old Khmer or Lao font, and nobody without that font can read it.",
            "Type the name in Khmer or Lao Unicode. If it is truly in Latin letters, leave the name's language empty "
            f"or accept {AS_WRITTEN}.",
        )
    return text


def _identifier(cell: Any, column: Column, around: Around) -> str:
    if isinstance(cell, bool) or (isinstance(cell, int | float) and (cell != int(cell) or abs(cell) >= SHOWN_AS_POWER)):
        raise _digits_lost()
    if isinstance(cell, int | float):
        digits = str(int(cell))
        if WHOLE_NUMBERS in around.accepted:
            return digits
        raise _wrong(
            "not_text",
            "The cell is a number, and a number has no zeros in front: if there were some, they are lost.",
            f"Format the column as text and write it again, or accept {WHOLE_NUMBERS} to take the digits as they are.",
            Offer(WHOLE_NUMBERS, digits),
        )
    text = plain_digits(_free_text(cell, column, around))
    if re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?[Ee][+-]?[0-9]+", text):
        raise _digits_lost()
    if len(text) > 63:
        raise _wrong("too_long", "The number has more than 63 characters.", "Write the number alone.")
    return text


def _digits_lost() -> Wrong:
    return _wrong(
        "digits_lost",
        "A spreadsheet turned this number into something like 1.2E+11, and digits of it are lost.",
        "Format the column as text, and write the number again from the document.",
    )


def _code(cell: Any, column: Column, around: Around) -> str:
    return _as_code(plain_digits(_free_text(cell, column, around)))


def _identifier_code(cell: Any, column: Column, around: Around) -> str:
    return _as_code(_identifier(cell, column, around))


def _as_code(text: str) -> str:
    code = text.casefold()
    if not re.fullmatch(r"[a-z0-9-]{1,63}", code):
        raise _wrong(
            "invalid_code",
            "This is not a code: a to z, 0 to 9 and - only, at most 63.",
            "Write the code as it was agreed.",
        )
    return code


def _codes(cell: Any, column: Column, around: Around) -> list[str]:
    parts = re.split(r"[,;，、;\n]+", plain_digits(_text(cell)))
    del column, around
    return [_as_code(_stripped(part)) for part in parts if _stripped(part)]


def _choice(cell: Any, column: Column, _: Around) -> str:
    assert column.of is not None
    code = words(column.of).get(folded(plain_digits(_text(cell))))
    if code is None:
        raise _wrong(
            "unknown_word", "The word is none of those asked for.", f"Write one of {', '.join(codes(column.of))}."
        )
    return code


def _level(cell: Any, column: Column, around: Around) -> str:
    assert column.of is not None
    text = plain_digits(_text(cell))
    known = words(column.of).get(folded(text))
    if known is not None:
        return known
    if text.isdigit():
        # China's old five levels run from 5 (lowest) to 1, its names the other way.
        raise _wrong(
            "level_by_number", "A level is not given by its number, which runs both ways.", "Write the level's name."
        )
    return _code(text, column, around)


def _country(cell: Any, column: Column, _: Around) -> str:
    text = _text(cell)
    code = words("country").get(folded(text)) or text.upper()
    if code not in ISO_COUNTRIES:
        raise _wrong(
            "unknown_country", "This is no country's code of two letters.", "Write a code such as KH, LA, MM or CN."
        )
    del column
    return code


def _language(cell: Any, column: Column, _: Around) -> str:
    text = _text(cell)
    del column
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", text):
        raise _wrong("unknown_language", "This is no language's code.", "Write a code such as km, lo, my or zh-Hans.")
    return text


_PLAIN: Final = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
"""In Laos 1.000 is a thousand, in Myanmar 1,000 is."""


def _decimal(cell: Any) -> Decimal:
    if isinstance(cell, timedelta):  # a spreadsheet's 2:30
        return Decimal(int(cell.total_seconds())) / 3600
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return Decimal(str(cell))
    text = plain_digits(_text(cell))
    if _THOUSANDS.fullmatch(text):
        raise _wrong(
            "not_a_number",
            "It cannot be seen whether the last three digits are thousands or decimals.",
            "Write the number without a sign for thousands, and without zeros at its end.",
        )
    if not _PLAIN.fullmatch(text):
        raise _wrong("not_a_number", "This is not a number.", "Write a number such as 3 or 3.5.")
    return Decimal(text.replace(",", "."))


def _number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _whole(cell: Any, column: Column, _: Around) -> int:
    number = _decimal(cell)
    del column
    if number != number.to_integral_value() or not 1 <= number <= 9999:
        raise _wrong("not_whole", "A whole number from 1 to 9999 is asked for.", "Write such a number.")
    return int(number)


def _hours(cell: Any, column: Column, _: Around) -> int | float:
    number = _decimal(cell)
    lowest = Decimal(0) if column.key == "hours_present" else Decimal("0.01")
    if not lowest <= number <= 24 or number != round(number, 2):
        raise _wrong(
            "hours_impossible", "Hours are a number up to 24, with at most two decimals.", "Write hours such as 3.5."
        )
    return _number(number)


def _mark(cell: Any, column: Column, _: Around) -> int | float:
    number = _decimal(cell)
    del column
    if not 0 <= number <= 1_000_000:
        raise _wrong("mark_impossible", "A mark is a number that is not negative.", "Write the mark.")
    return _number(number)


# --- dates -------------------------------------------------------------------------------------------------------

_MONTHS: Final = {name: number for number, name in enumerate(calendar.month_name) if name} | {
    name: number for number, name in enumerate(calendar.month_abbr) if name
}
_YEAR_FIRST: Final = re.compile(
    r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})|([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日?"
)
_YEAR_LAST: Final = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})")
_NAMED: Final = re.compile(r"([0-9]{1,2})[ -]([A-Za-z]+)\.?,?[ -]([0-9]{4})|([A-Za-z]+)\.? ([0-9]{1,2}),? ([0-9]{4})")
_FORMS: Final = "Write it as 2025-04-08: year, month, day."


def _day(cell: Any, column: Column, around: Around) -> str:
    del column
    if isinstance(cell, datetime | date):
        return _checked(cell.year, cell.month, cell.day, around)
    if isinstance(cell, str):
        text = plain_digits(_stripped(cell))
        if found := _YEAR_FIRST.fullmatch(text):
            year, month, day = (int(part) for part in found.groups() if part)
            return _checked(year, month, day, around)
        if found := _NAMED.fullmatch(text):
            return _checked(*_with_month(found), around)
        if found := _YEAR_LAST.fullmatch(text):
            first, second, year = (int(part) for part in found.groups())
            if first <= 12 and second <= 12 and first != second:
                raise _wrong(
                    "date_ambiguous", "It cannot be seen which of the two is the day and which the month.", _FORMS
                )
            day, month = (first, second) if second <= 12 else (second, first)
            return _checked(year, month, day, around)
    raise _wrong(
        "date_impossible", "This is not a date in a form that is taken.", f"{_FORMS} Or format the cell as a date."
    )


def _with_month(found: re.Match[str]) -> tuple[int, int, int]:
    day, name, year = (part for part in (found[1] or found[5], found[2] or found[4], found[3] or found[6]))
    return int(year), _MONTHS.get(name.capitalize(), 0), int(day)


def _checked(year: int, month: int, day: int, around: Around) -> str:
    buddhist = year in BUDDHIST_YEARS
    try:
        meant = date(year - 543 if buddhist else year, month, day)
    except ValueError:
        raise _wrong("date_impossible", "There is no such day in the calendar.", _FORMS) from None
    if not buddhist and not FIRST_YEAR <= year <= LAST_YEAR:
        raise _wrong("date_impossible", f"The year is not one from {FIRST_YEAR} to {LAST_YEAR}.", _FORMS)
    if buddhist and BUDDHIST not in around.accepted:
        raise _wrong(
            "buddhist_year",
            "The year looks like one of the Buddhist era.",
            f"Write the year 543 less, or accept {BUDDHIST} to take it as offered.",
            Offer(BUDDHIST, meant.isoformat()),
        )
    return meant.isoformat()


_READERS: Final[Mapping[str, Callable[[Any, Column, Around], Any]]] = {
    "text": _free_text,
    "name": _name,
    "identifier": _identifier,
    "identifier_code": _identifier_code,
    "code": _code,
    "codes": _codes,
    "choice": _choice,
    "level": _level,
    "country": _country,
    "language": _language,
    "whole": _whole,
    "hours": _hours,
    "mark": _mark,
    "day": _day,
}
