"""Files that cannot be read: each refusal has a code and a sentence that says what to do."""

from typing import Final

ROWS_LIMIT: Final = 50_000
"""Rows in one sheet."""
COLUMNS_LIMIT: Final = 200


class BookRefused(Exception):
    """A whole file that cannot be read: nothing in it was taken."""

    def __init__(self, code: str, sentence: str, row: int | None = None) -> None:
        """``row`` is where to look, of a text file."""
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.row = row


def unreadable() -> BookRefused:
    """It says that it is a spreadsheet, and is broken."""
    return BookRefused(
        "file_unreadable", "The spreadsheet cannot be read. Open it, save it as .xlsx or .ods, and send it again."
    )


def old_form() -> BookRefused:
    """Neither of these can be looked into."""
    return BookRefused(
        "old_form", "The file is an old .xls, or has a password. Save it as .xlsx or .ods, without a password."
    )


def no_spreadsheet() -> BookRefused:
    """A file that was meant for somebody else."""
    return BookRefused("not_a_spreadsheet", "The file is no spreadsheet. Send .xlsx, .ods or .csv.")


def too_many_rows() -> BookRefused:
    """More than ``ROWS_LIMIT``."""
    return BookRefused(
        "too_many_rows", f"A sheet has more than {ROWS_LIMIT:,} rows. Send it in parts; sending twice is safe."
    )


def too_many_columns() -> BookRefused:
    """More than ``COLUMNS_LIMIT``."""
    return BookRefused(
        "too_many_columns", f"A sheet has something beyond its first {COLUMNS_LIMIT} columns. Delete it there."
    )
