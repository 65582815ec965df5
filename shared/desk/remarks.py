"""What is said of a roster's rows and files in the officer's words, by code. For programs: ``shared.rosters``."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from shared.desk.wording import STANDINGS, WRONG
from shared.pages.languages import Language
from shared.pages.languages import noted as _
from shared.rosters.answers import Remark, RowAnswer
from shared.rosters.cells import AS_WRITTEN, BUDDHIST, WHOLE_NUMBERS, ZAWGYI
from shared.rosters.columns import sheets

ROWS: Final[Mapping[str, str]] = {
    "cell_empty": _("A cell is empty that is needed. Fill it in."),
    "not_text": _("Text is asked for here. Format the column as text and write it again, with its zeros in front."),
    "formula_error": _("The cell holds a spreadsheet's error. Correct the formula, or write the value."),
    "too_long": _("This is too long. Shorten it."),
    "invalid_text": _(
        "The cell holds a character that cannot be taken, or more than one line. Write it again in one line."
    ),
    "letters_lost": _(
        "Letters of the name were lost when the file was saved. Save it as .xlsx or .ods and send it again."
    ),
    "zawgyi": _("This looks like Burmese in Zawgyi. Type it in Unicode, or accept the conversion."),
    "legacy_font": _("The name was typed with an old font, and nobody else can read it. Type it in Unicode."),
    "digits_lost": _(
        "The spreadsheet turned this number into one like 1.2E+11, and digits are lost. Write it again as text."
    ),
    "invalid_code": _("Use only small letters a to z, digits and hyphens, at most 63."),
    "unknown_word": _("This word is none of those asked for. The template lists them."),
    "level_by_number": _("Write the level by its name: old and new numbers run in opposite directions."),
    "unknown_country": _("There is no such country code."),
    "unknown_language": _("Write a language code such as km, lo, my, zh-Hans or en."),
    "not_a_number": _("Write a number such as 3 or 3.5. In the place of 1.000 or 1,000 write 1000 or 1."),
    "not_whole": _("Write a whole number."),
    "hours_impossible": _("At most 24, with at most two decimals."),
    "mark_impossible": _("Write a mark that is not negative."),
    "date_ambiguous": _(
        "It cannot be seen which is the day and which the month. Write year-month-day, such as 2025-03-31."
    ),
    "date_impossible": _("This is no date that can be taken. Write year-month-day, such as 2025-03-31."),
    "buddhist_year": _("The year looks like a Buddhist one. Write the year 543 less, or accept the correction."),
    "dates_out_of_order": _("The trainee is enrolled before being proposed. Correct one of the two dates."),
    "cells_contradict": _("Two cells of this row contradict each other. Correct one of them."),
    "session_incomplete": _("Another row of this session is not right, so nothing of the session was taken."),
    "session_differs": _("Earlier rows of this session give another date, hours or trade. Make them agree."),
    "rows_contradict": _("Another row is about the same and says something else. Keep the one that is right."),
    "row_twice": _("Another row says the same. It counts once."),
    "column_missing": _("The sheet lacks a column that is needed. Compare it with the template."),
    "column_twice": _("The sheet has a column twice. Delete one of them."),
    "details_missing": _("An earlier file said more of this trainee. Fill in those columns again, with the change."),
    "duplicate": _("The same is on record already."),
}
SHEETS: Final[Mapping[str, str]] = {
    "sheet_unknown": _("Left alone: this is no sheet of a roster."),
    "wrong_service": _("Left alone here: this sheet is taken at the other desk."),
    "not_asked": _("Left alone: other sheets were asked for."),
    "role_not_allowed": _("Left alone: your office does not have the role for this sheet."),
}
FILES: Final[Mapping[str, str]] = {
    "file_empty": _("The file is empty."),
    "file_too_large": _("The file is too large. Send it in parts."),
    "unpacked_too_large": _("The file is too large. Leave out pictures, or send it in parts."),
    "too_many_rows": _("A sheet has too many rows or cells. Send it in parts."),
    "too_many_columns": _("A sheet has something far beyond its columns. Delete it there."),
    "too_many_sheets": _("The file has too many sheets. Leave those that belong here."),
    "old_form": _("The file is an old .xls, or has a password. Save it as .xlsx or .ods without a password."),
    "not_a_spreadsheet": _("This is no spreadsheet. Send .xlsx, .ods or .csv."),
    "file_unreadable": _("The file cannot be read. Open it, save it as .xlsx or .ods, and send it again."),
    "encoding_unknown": _("It cannot be told how the text file was saved. Save it as .xlsx or .ods."),
    "unknown_sheet": _("This is no sheet of a roster."),
    "invalid_form": _("Choose a file first."),
    "source_not_yours": _("You can speak for your own office only."),
    "invalid_query": _("Write the office as country and code, such as kh/ntti."),
    "content_type": _("Use the form on the page."),
}
FILE_AT_ROW: Final = _("The file cannot be read. In row %(row)s, look for a quotation mark that is not closed.")
"""The same, of a text file of which it is known where."""
OFFERS: Final[Mapping[str, str]] = {
    BUDDHIST: _("Take Buddhist years as the year 543 less"),
    ZAWGYI: _("Turn Burmese in Zawgyi into Unicode"),
    WHOLE_NUMBERS: _("Take numbers in columns of text digit by digit as they are"),
    AS_WRITTEN: _("Take names that look like an old font as they are written"),
}
CHANGES: Final[Mapping[str, str]] = {
    "new": _("new"),
    "corrected": _("corrected"),
    "unchanged": _("unchanged"),
}
SHEET_KINDS: Final[Mapping[str, str]] = {
    "trainees": _("Trainees"),
    "attendance": _("Attendance"),
    "assessments": _("Assessments"),
    "awards": _("Awards"),
}
RECEIPT: Final = (_("Standing"), _("What to do"))
"""Headers of what stands beside each row in the results."""


def told(one: Remark, language: Language, codes: Mapping[str, str]) -> str:
    """What is said of a row or cell; ``codes`` are the service's own. In English the sentence says more than its code."""
    if one.code in ROWS:
        if language.tag == "en" and one.sentence and one.code not in codes:
            return f"{one.sentence} {one.todo}".strip()
        return language.say(ROWS[one.code])
    return language.say(codes.get(one.code) or WRONG.get(one.code, WRONG["other"]))


def file_told(code: str, row: int | None, language: Language) -> str:
    """What is said of a file that was refused, in which row if that is known."""
    return language.say(FILES[code]) if row is None else language.say(FILE_AT_ROW, row=row)


def column(named: str | None, language: Language) -> str:
    """A column by its letter and its header in the reader's language."""
    letter, _space, title = (named or "").partition(" (")
    return f"{letter} ({_titles(language.roster_tag).get(title[:-1], title[:-1])})" if title else letter


def receipt(row: RowAnswer, language: Language, codes: Mapping[str, str]) -> tuple[str, ...]:
    """What stands beside a row in the results, under the headers of ``RECEIPT``."""
    said = [(column(one.column, language), told(one, language, codes), one.offer) for one in row.remarks()]
    lines = [f"{where}: {text}" if where else text for where, text, _offer in said]
    return language.say(STANDINGS[row.status]), " ".join(lines)


@cache
def _titles(tag: str) -> Mapping[str, str]:
    return {one.titles["en"]: one.titles[tag] for sheet in sheets().values() for one in sheet.columns}
