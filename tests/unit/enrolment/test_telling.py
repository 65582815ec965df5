"""Which details tell who somebody is, and where they are found: enough that nothing is left, and nothing of anybody else's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.enrolment.telling import contact_tells, identifier_tells, number_tells, tells
from tests.properties import examples
from tests.unit.enrolment.story import person, proposed, session, trainee

TELLING = ["N123456", "E12345678", "AB 1234567", "012345678", "1-2345-67890-12-3", "+855 12 345 678", "၁၂/သဘက၁၂၃၄၅၆"]
BLUNT = ["1", "12", "A-12", "007", "2025", "2025-03", "2025-03-31", "31/03/2025", "25-0012", "wuxi-2025-03", "១២", ""]
COUNTS = st.integers(0, 99_999).map(str)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Nd"]), max_size=5)


@pytest.mark.parametrize("number", TELLING)
def test_a_long_number_tells(number: str) -> None:
    assert number_tells(number)
    assert contact_tells(number)


@pytest.mark.parametrize("number", BLUNT)
def test_a_short_number_and_a_day_tell_nobody(number: str) -> None:
    assert not number_tells(number)
    assert not contact_tells(number)


@pytest.mark.parametrize("number", ["C01X00T47", "AB12345", "P1234-5A"])
def test_a_documents_number_tells_with_few_digits_in_a_row_and_a_centres_does_not(number: str) -> None:
    assert identifier_tells("passport", number)
    assert identifier_tells("national-id", number)
    assert not identifier_tells("centre-number", number)


@pytest.mark.parametrize("number", [number for number in BLUNT if number != "wuxi-2025-03"])
def test_a_short_number_tells_nobody_whatever_it_is_of(number: str) -> None:
    assert not any(identifier_tells(kind, number) for kind in ("passport", "national-id", "centre-number"))


@pytest.mark.parametrize("number", ["2025001", "202503", "20250001", "NTTI-2025-0012"])
def test_a_year_with_a_serial_number_is_a_centres_number_that_others_have_as_well(number: str) -> None:
    assert not identifier_tells("centre-number", number)


def test_a_long_number_of_a_centre_tells() -> None:
    assert identifier_tells("centre-number", "KH-2025-0012-7731")


def test_an_address_tells_and_a_word_does_not() -> None:
    assert contact_tells("sokha@example.org")
    assert not contact_tells("telegram")


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("N123456", "passport-N123456.jpg"),
        ("N123456", "护照N123456号"),
        ("0312456789", "id-0312456789"),
        ("031245", '{"number": "031245"'),
        ("031245", "Her number:031245."),
        ("20250331", "20250331"),
        ("Sokha 01", "(Sokha 01)"),
        ("索卡", "学员索卡没有来"),
        ("Li", "Li"),
    ],
)
def test_it_is_found_within_what_somebody_wrote(detail: str, said: str) -> None:
    assert tells(detail, said)


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("N123456", "N1234567"),
        ("0312456789", "103124567890"),
        ("202503", "wuxi-202503"),
        ("202503", "sheet-20250305-1"),
        ("20250331", "20250331T080000Z"),
        ("Sokha 01", "Sokha 012"),
        ("Li", "Lina"),
    ],
)
def test_it_is_not_found_in_another_number_a_code_or_a_longer_word(detail: str, said: str) -> None:
    assert not tells(detail, said)


@examples(300)
@given(before=WORDS, number=st.from_regex(r"[A-Z]{0,2}[0-9]{9,15}|[A-Z]{1,2}[0-9]{6,8}", fullmatch=True), after=WORDS)
def test_a_number_that_tells_is_found_between_whatever_is_no_digit(before: str, number: str, after: str) -> None:
    assert number_tells(number)
    assert tells(number, before + number + after)


@examples(300)
@given(
    day=st.integers(-3000, 30_000),
    count=COUNTS,
    number=st.one_of(
        COUNTS, st.dates().map(str), st.dates().map(lambda day: str(day)[:7]), st.integers(10**5, 10**8 - 1)
    ),
)
def test_nothing_that_counts_or_dates_events_tells_of_anybody(day: int, count: str, number: str | int) -> None:
    events = [
        session(int(count), day, id_=f"sheet-{count}"),
        trainee("outcome.reported", count, day, months_after=int(count)),
        proposed(count, day, person=person(count)),
    ]
    detail = f"{number}"
    assert not number_tells(detail) or not any(tells(detail, json.dumps(event)) for event in events)
