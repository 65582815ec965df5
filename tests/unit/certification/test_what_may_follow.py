"""What a certificate's page offers is what the fold would take with effect, and nothing else."""

import pytest

from services.certification.domain import fold
from services.certification.overview import may_follow
from shared.events.envelope import Event
from tests.unit.certification.given import (
    assessed,
    awarded,
    certificates,
    day,
    numbered,
    reinstated,
    replaced,
    revoked,
    suspended,
    trainee,
    voided,
    world,
)

AWARD = awarded("award", 14)
ONE_MONTH_BEFORE = awarded("early", -20)
"""Not valid any more by the days that are told of here: the scheme's certificates are valid for a month."""
LATER = 25
NEXT = (
    assessed("next", LATER, attempt=9),
    awarded("next", LATER),
    numbered("next", LATER, "S-7"),
    replaced("next", LATER, "S-8"),
    suspended("next", LATER),
    reinstated("next", LATER),
    revoked("next", LATER),
)
HISTORIES: dict[str, tuple[Event, ...]] = {
    "failed": (assessed("fail", 11, "fail"),),
    "passed": (assessed("pass", 11),),
    "awarded": (AWARD,),
    "numbered": (awarded("award", 14, printed="S-1"),),
    "suspended": (AWARD, suspended("stop", 15)),
    "reinstated": (AWARD, suspended("stop", 15), reinstated("go-on", 16)),
    "revoked": (AWARD, revoked("end", 15)),
    "replaced": (AWARD, replaced("again", 15)),
    "revoked, awarded": (AWARD, revoked("end", 15), awarded("anew", 16)),
    "expired": (ONE_MONTH_BEFORE,),
    "suspended, expired": (ONE_MONTH_BEFORE, suspended("stop", -10)),
    "expired, awarded": (ONE_MONTH_BEFORE, AWARD),
    "taken back": (assessed("pass", 11), AWARD, voided("no", 15, AWARD)),
}


@pytest.mark.parametrize("rule", ["by_awarding_body", "on_pass"])
@pytest.mark.parametrize("which", HISTORIES)
@pytest.mark.parametrize("completed", [True, False])
def test_given_a_certificate_then_only_what_the_fold_takes_is_offered(
    which: str, rule: str, *, completed: bool
) -> None:
    known = world(trainee(completion="in-force" if completed else "none"), rule=rule, valid_months=1)
    found = certificates(fold(HISTORIES[which], known))
    for fact in found:
        is_newest = fact is found[-1]
        offered = may_follow(fact, known.schemes["vslc"], day(LATER), is_newest=is_newest)
        if not is_newest:
            assert offered == frozenset()
            continue
        taken = set()
        for event in NEXT:
            decided = fold((*HISTORIES[which], event), known)
            if decided.outcomes[event.ref] == ("accepted", "applied"):
                taken.add(event.type)
        if fact.status == "suspended":
            taken.discard("certificate.suspended.v1")  # taken, and changes nothing
        assert offered == taken, (fact.status, fact.reason)
