"""Which edition stands for an award while the document of its newest one is still being signed."""

import pytest

from services.certification.domain import fold
from services.certification.standings import wanted
from shared.events.certification import CertificateFact
from shared.events.envelope import Event
from tests.unit.certification.given import awarded, certificates, day, replaced, revoked, suspended, trainee, world

AWARD, AGAIN, END, ANEW = awarded("award", 14), replaced("again", 15), revoked("end", 16), awarded("anew", 17)


def editions(*events: Event, **scheme: int) -> list[CertificateFact]:
    return certificates(fold(events, world(trainee(), **scheme)))


def public(facts: list[CertificateFact], *numbers: int, ready: tuple[int, ...] = ()) -> dict[int, str]:
    """What should be public, by edition, when something is public of some and some have their document."""
    ids = {fact.certificate: fact.edition for fact in facts}
    found = wanted(
        facts,
        [one for one, edition in ids.items() if edition in numbers],
        [one for one, edition in ids.items() if edition in ready],
        forgotten=False,
    )
    return {ids[one]: standing.status for one, standing in found.items()}


def test_given_a_replacement_that_is_not_signed_yet_then_the_edition_before_it_stands_as_the_award_does() -> None:
    assert public(editions(AWARD, AGAIN), 1) == {1: "valid"}
    assert public(editions(AWARD, AGAIN), 1, ready=(2,)) == {1: "superseded", 2: "valid"}
    assert public(editions(AWARD, AGAIN, suspended("stop", 16)), 1) == {1: "suspended"}
    assert public(editions(AWARD, AGAIN, END), 1) == {1: "revoked"}
    assert public(editions(AWARD, AGAIN, replaced("more", 16)), 1) == {1: "valid"}, "two that nobody has seen"


@pytest.mark.parametrize("second", ["revoked", "never seen and revoked", "expired"])
def test_given_replaced_then_ended_when_awarded_anew_then_no_replaced_edition_comes_back(second: str) -> None:
    if second == "expired":
        facts = editions(AWARD, AGAIN, awarded("anew", 46), valid_months=1)
        before = {1: "superseded", 2: "valid"}
    else:
        facts = editions(AWARD, AGAIN, END, ANEW)
        before = {1: "superseded", 2: "revoked"} if second == "revoked" else {1: "superseded"}
    assert [fact.edition for fact in facts] == [1, 2, 3]
    assert facts[-1].status == "issued"
    assert public(facts, *before) == before
    assert public(facts, *before, ready=(3,)) == {**before, 3: "valid"}
    if second == "expired":
        assert facts[1].valid_until is not None
        assert facts[1].valid_until < day(46), "which whoever asks for its standing is told"


def test_given_replaced_revoked_and_awarded_anew_when_replaced_then_only_what_it_replaced_stands_for_it() -> None:
    facts = editions(AWARD, AGAIN, END, ANEW, replaced("more", 18))
    assert public(facts, 1, 2, 3) == {1: "superseded", 2: "revoked", 3: "valid"}
    assert public(facts, 1, 2) == {1: "superseded", 2: "revoked"}
