"""What is signed stays small: the lists of a million certificates, as they are served."""

import random
from datetime import UTC, datetime

import pytest

from services.certification.issuer_keys import IssuerKey
from services.certification.operator import Operator
from services.certification.places import LIST_FULL, LIST_PLACES
from services.certification.signing import mark_of, places_of, sign_lists
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
