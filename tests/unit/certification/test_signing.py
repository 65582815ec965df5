"""What is signed stays small: the lists of a million certificates, as they are served."""

import random
from datetime import UTC, datetime

import pytest

from services.certification.issuer_keys import IssuerKey
from services.certification.operator import Operator
from services.certification.places import LIST_FULL, LIST_PLACES
from services.certification.signing import Document, Job, Unsigned, mark_of, places_of, sign_all, sign_lists
from shared.vc.document import Mark
from tests.credentials import KEY

MILLION, WITHDRAWN, LARGEST = 1_000_000, 500, 20_000


def test_given_a_million_certificates_of_which_few_are_withdrawn_then_their_lists_are_small() -> None:
    operator = Operator.at("https://certificates.example", "A ministry (invented)")
    key, now = IssuerKey(1, KEY.private, KEY.public), datetime(2026, 1, 1, tzinfo=UTC)
    chance, lists = random.Random(1), -(-MILLION // LIST_FULL)
    withdrawn = [dict.fromkeys(chance.sample(range(LIST_PLACES), WITHDRAWN // lists), "revoked") for _ in range(lists)]
    signed = [sign_lists(operator, key, number, places, now)[0] for number, places in enumerate(withdrawn, 1)]

    assert [places_of(one.json) for one in signed] == [set(places) for places in withdrawn]
    assert sum(len(one.json) for one in signed) < LARGEST


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (85, "85"),
        (85.0, "85"),
        (85.5, "85.5"),
        (1234.567, "1234.567"),
        (123456.7, "123456.7"),
        (1e6, "1000000"),
        (1e-05, "0.00001"),
    ],
)
def test_a_mark_is_signed_as_it_was_given(said: float, shown: str) -> None:
    assert mark_of({"name": "theory", "mark": said, "out_of": 1_000_000, "passed": True}) == Mark(
        "theory", shown, "1000000", True
    )


def test_given_one_that_nobody_can_sign_among_others_then_it_says_why_and_the_others_are_signed() -> None:
    operator = Operator.at("https://certificates.example", "A ministry (invented)")
    key, now = IssuerKey(1, KEY.private, KEY.public), datetime(2026, 1, 1, tzinfo=UTC)

    first, second, third, fourth = sign_all(
        operator, key, now, [job("Sok"), job("Sok\ufffe"), job("Sok"), job("Sok", parts=900)]
    )

    assert (type(first), type(third)) == (Document, Document)
    assert isinstance(second, Unsigned)
    assert "control character" in second.why
    assert "Sok" not in second.why
    assert isinstance(fourth, Unsigned), "nobody could read it"


def job(name: str, parts: int = 0) -> Job:
    fact = {
        "certificate": "11111111-1111-1111-1111-111111111111",
        "cohort": "c",
        "scheme": "s",
        "occupation": "o",
        "level": "l",
        "edition": 1,
        "number": None,
        "passed_on": None,
        "awarded_on": "2026-01-01",
        "valid_until": None,
    }
    said = {
        "certificate": fact,
        "scheme": {"titles": {"en": "S"}, "awarding_body": {"en": "B"}},
        "occupation": None,
        "level": None,
        "parts": [{"name": f"p-{part}", "mark": 1, "out_of": 2, "passed": True} for part in range(parts)],
        "cohort": {},
    }
    return Job(said=said, names={"original": name, "romanised": name}, public_id="a" * 26, list=1, place=3)
