"""What tells who somebody is wherever it stands, and whether it stands in what somebody wrote.

Too little leaves a detail of somebody who is forgotten; too much takes with it what was said of others, and a dead letter is the
only copy of what it says.
"""

import re

SHORT = 4
"""Latin letters or digits of a name that tell somebody also within a longer text."""
DOCUMENT = 7
"""Characters of a passport's or national number that tells somebody with few digits in a row."""
OF_A_CENTRE = 9
"""Digits of a centre's number that tells somebody: a shorter one may be a year and a serial number, as those of trainees and
certificates are."""
_DATE = re.compile(r"(19|20)\d\d(0\d|1[0-2])(\d\d)?|\d\d(0\d|1[0-2])(19|20)\d\d")


def number_tells(number: str) -> bool:
    """Whether a number of somebody is like no other: six digits in a row, or seven in all that are no date.

    Fewer are how many, which or when: the year, a day and the numbers of trainees and sessions stand in everybody's events.
    """
    digits = "".join(filter(str.isdecimal, number))
    return re.search(r"\d{6}", number) is not None or (len(digits) >= 7 and not _DATE.fullmatch(digits))


def identifier_tells(kind: str, number: str) -> bool:
    """The same of an identifier. A document's number with letters among its digits (C01X00T47) is like no other, too; a centre's
    may be A-2025 or 2025001."""
    if kind == "centre-number":
        return sum(map(str.isdecimal, number)) >= OF_A_CENTRE
    document = len(number) >= DOCUMENT and re.search("[A-Za-z]", number) is not None
    return number_tells(number) or (document and sum(map(str.isdecimal, number)) >= SHORT)


def contact_tells(contact: str) -> bool:
    """Whether somebody is found by this: a number, or an address with an @. A word in a field that we do not know says how."""
    return "@" in contact or number_tells(contact)


def tells(detail: str, said: str) -> bool:
    """Whether a text holds the detail; a very short one is looked for as a whole, or it would be found in everything."""
    if detail == said:
        return True
    if len(detail) < (SHORT if detail.isascii() else 2) or detail not in said:
        return False
    # Within a longer number it is another one. One that may be a day or a month stands in codes and ids, too.
    edge = "[0-9A-Za-z_-]" if _DATE.fullmatch(detail) else r"\d"
    before = f"(?<!{edge})" if detail[0].isdecimal() else ""
    after = f"(?!{edge})" if detail[-1].isdecimal() else ""
    return re.search(before + re.escape(detail) + after, said) is not None
