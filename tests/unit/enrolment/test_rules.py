"""Given these events, when one more comes, then it stands like this."""

from typing import Any

import pytest

from services.enrolment.domain import Known
from services.enrolment.fold import Folded
from services.enrolment.rules import GUARDS, OF_REPLACEMENTS, refusal_of
from services.enrolment.sentences import SENTENCES
from shared.events.offices_to_enrolment import TYPES
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    KNOWN,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    at,
    centre,
    cohort,
    completed,
    fields,
    forgotten,
    given,
    on,
    person,
    place,
    programme,
    proposed,
    read,
    session,
    standing,
    started,
    status,
    trainee,
    voided,
    whole,
)

Fields = dict[str, Any]
ENROLLED = trainee("trainee.enrolled")
RUNNING = [announced(), proposed(), ENROLLED, started()]
CANCELLED = cohort("cohort.cancelled", 20, COORDINATOR, reason="no-funds")
CLOSED = cohort("cohort.closed", 44, date=on(44))
WITHDRAWN = trainee("trainee.withdrawn", day=33, date=on(33), reason="family")
NOMINATED = trainee("competitor.nominated", day=50, competition="asean", skill="18")
PLACED = trainee("competitor.placed", day=60, competition="asean", skill="18", medal="gold")
OUTCOME = trainee("outcome.reported", day=80, date=on(80), months_after=1, outcome="employed")
PASSPORT = {"kind": "passport", "number": "N 123-456", "country": "KH"}


def by_enrolment(event: Fields) -> Fields:
    """The same, with the trainee named by the enrolment's id."""
    data = {key: value for key, value in event["data"].items() if key not in ("cohort", "number")}
    return {**event, "data": {"enrolment": place(event["data"]["number"]), **data}}


ACCEPTED = {
    "an announcement by the host": ([], announced(source=HOST)),
    "consent that is withdrawn": (
        [announced(), proposed()],
        trainee("consent.withdrawn", day=7, by="self", date=on(7), purposes=["training"]),
    ),
    "somebody to forget": ([announced(), proposed()], forgotten()),
    "a change": ([announced()], cohort("cohort.changed", 2, COORDINATOR, titles={"en": "New"})),
    "a change after the close": ([*RUNNING, CLOSED], cohort("cohort.changed", 50, titles={"en": "New"})),
    "a proposal": ([announced()], proposed()),
    "an enrolment with all of it": ([announced()], {**proposed(), "type": "trainee.enrolled.v1"}),
    "an enrolment as proposed": ([announced(), proposed()], ENROLLED),
    "an enrolment after being declined": (
        [announced(), proposed(), trainee("trainee.declined", day=6, reason="reserve")],
        ENROLLED,
    ),
    "a proposal that comes after a full enrolment": (
        [announced(), {**proposed(), "type": "trainee.enrolled.v1", "id": "e"}],
        proposed(day=9),
    ),
    "an enrolment that corrects the proposal": (
        [announced(), proposed()],
        trainee("trainee.enrolled", trade="cabling", person=person(birth_date="2005-04-02")),
    ),
    "a decline by the host": (
        [announced(), proposed()],
        trainee("trainee.declined", day=6, source=HOST, reason="visa"),
    ),
    "a session": (RUNNING, session(absent=["01"])),
    "a session told after the close, held before it": ([*RUNNING, CLOSED], session(9, 50, date=on(40))),
    "a completion by enrolment id": (RUNNING, by_enrolment(completed())),
    "a completion told after the close": ([*RUNNING, CLOSED], completed(day=50)),
    "a withdrawal": (RUNNING, WITHDRAWN),
    "a correction of a person": (RUNNING, trainee("person.corrected", sex="M")),
    "a nomination": (RUNNING, NOMINATED),
    "a place without a nomination": (RUNNING, PLACED),
    "an outcome": ([*RUNNING, completed()], OUTCOME),
    "the close": (RUNNING, CLOSED),
    "a cancelling after the start": (RUNNING, cohort("cohort.cancelled", 40, reason="flood")),
    "a void": ([announced(), proposed()], voided(proposed())),
    "a replacement": ([announced(), proposed()], proposed(day=6, replaces=proposed()["id"], trade="cabling")),
    "a replacement of what has not come": ([announced()], proposed(day=6, replaces="lost", trade="cabling")),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_applies(name: str) -> None:
    before, event = ACCEPTED[name]
    assert standing(given([*before, event]), event) == "accepted applied"


SENT_BY_TWO = announced(parties=[*announced()["data"]["parties"], {"office": STRANGER, "role": "sending-office"}])

KEPT: dict[str, tuple[list[Fields], Fields, str]] = {
    "no cohort for a change": ([], cohort("cohort.changed", 2, mode="online"), "waiting cohort_unknown"),
    "no cohort for a trainee": ([], proposed(), "waiting cohort_unknown"),
    "no cohort for a session": ([], session(), "waiting cohort_unknown"),
    "sending centre": ([announced()], proposed(sending_centre="nowhere"), "waiting centre_unknown"),
    "new host centre": ([announced()], cohort("cohort.changed", 2, host_centre="nowhere"), "waiting centre_unknown"),
    "no proposal": ([announced()], ENROLLED, "waiting proposal_missing"),
    "no person": (
        [announced()],
        trainee("trainee.enrolled", role="student", country="KH", trade="cabling"),
        "waiting proposal_missing",
    ),
    "no trainee": ([announced()], WITHDRAWN, "waiting trainee_unknown"),
    "no trainee of this enrolment id": ([], by_enrolment(WITHDRAWN), "waiting trainee_unknown"),
    "a session with a number that nobody has": (RUNNING, session(absent=["77"]), "waiting absentee_unknown"),
    "a session with a group that nobody has": (RUNNING, session(group=["77"]), "waiting absentee_unknown"),
    "only proposed": ([announced(), proposed()], WITHDRAWN, "waiting trainee_not_enrolled"),
    "completed before the start": (RUNNING[:3], completed(), "waiting cohort_not_started"),
    "closed before the start": (RUNNING[:3], CLOSED, "waiting cohort_not_started"),
    "void of nothing": ([], voided(proposed()), "waiting event_unknown"),
    "announced twice": ([announced()], announced(2), "conflict cohort_already_announced"),
    "stranger": ([announced()], proposed(source=STRANGER), "conflict not_a_party"),
    "sender starts": ([announced()], cohort("cohort.started", 30, SENDER, date=on(30)), "conflict not_a_party"),
    "coordinator proposes": ([announced()], proposed(source=COORDINATOR), "conflict not_a_party"),
    "ends before it starts": (
        [announced()],
        cohort("cohort.changed", 2, ends_on="2025-03-01"),
        "conflict dates_out_of_order",
    ),
    "started twice": (RUNNING, started(31), "conflict already_started"),
    "session after the close": ([*RUNNING, CLOSED], session(9, 46), "conflict cohort_closed"),
    "proposed after the close": ([*RUNNING, CLOSED], proposed("02", 50), "conflict cohort_closed"),
    "proposed when the next day has begun at the cohort's place": (
        [*RUNNING, CLOSED],
        {**proposed("02", 44), "time": at(44, hour=20)},
        "conflict cohort_closed",
    ),
    "closed twice": ([*RUNNING, CLOSED], cohort("cohort.closed", 45, date=on(45)), "conflict cohort_closed"),
    "cancelled after the close": (
        [*RUNNING, CLOSED],
        cohort("cohort.cancelled", 46, reason="flood"),
        "conflict cohort_closed",
    ),
    "started after the cancelling": ([announced(), CANCELLED], started(), "conflict cohort_cancelled"),
    "enrolled after the cancelling": ([announced(), CANCELLED], proposed("02", 25), "conflict cohort_cancelled"),
    "closed though cancelled": ([announced(), CANCELLED], CLOSED, "conflict cohort_cancelled"),
    "session number": ([*RUNNING, session()], session(1, 32), "conflict session_number_taken"),
    "proposed twice": ([announced(), proposed()], proposed(day=6), "conflict already_proposed"),
    "another trainee of the same office": (
        [announced(), proposed(person=person(identifiers=[PASSPORT]))],
        proposed(day=6, person=person(birth_date="2001-01-01", identifiers=[{**PASSPORT, "number": "X9"}])),
        "conflict number_taken",
    ),
    "another office's trainee": (
        [SENT_BY_TWO, proposed()],
        proposed(day=6, source=STRANGER),
        "conflict number_taken",
    ),
    "a trainee of another country, enrolled": (
        [SENT_BY_TWO, proposed()],
        trainee("trainee.enrolled", source=STRANGER),
        "conflict not_your_trainee",
    ),
    "a trainee of another country, corrected": (
        [SENT_BY_TWO, proposed()],
        trainee("person.corrected", source=STRANGER, birth_date="2005-04-02"),
        "conflict not_your_trainee",
    ),
    "a trainee of another country, withdrawn": (
        [SENT_BY_TWO, *RUNNING[1:]],
        {**WITHDRAWN, "source": STRANGER},
        "conflict not_your_trainee",
    ),
    "enrolled twice": (RUNNING, trainee("trainee.enrolled", day=11), "conflict already_enrolled"),
    "enrolled after withdrawing": ([*RUNNING, WITHDRAWN], trainee("trainee.enrolled", day=35), "conflict already_withdrawn"),
    "declined though enrolled": (RUNNING, trainee("trainee.declined", day=35, reason="visa"), "conflict already_enrolled"),
    "declined twice": (
        [announced(), proposed(), trainee("trainee.declined", day=6, reason="visa")],
        trainee("trainee.declined", day=7, reason="visa"),
        "conflict already_declined",
    ),
    "completed though withdrawn": ([*RUNNING, WITHDRAWN], completed(), "conflict already_withdrawn"),
    "completed twice": ([*RUNNING, completed()], completed(day=44), "conflict already_completed"),
    "withdrawn though completed": (
        [*RUNNING, completed()],
        trainee("trainee.withdrawn", day=45, date=on(45), reason="family"),
        "conflict already_completed",
    ),
    "completed though not arrived": (
        [announced(), proposed(), ENROLLED, started(not_arrived=["01"])],
        completed(),
        "conflict trainee_not_arrived",
    ),
    "nominated twice": ([*RUNNING, NOMINATED], {**NOMINATED, "id": "z-again"}, "conflict already_nominated"),
    "placed twice": ([*RUNNING, PLACED], {**PLACED, "id": "z-again"}, "conflict already_placed"),
    "outcome twice": ([*RUNNING, OUTCOME], {**OUTCOME, "id": "z-again"}, "conflict outcome_already_reported"),
    "programme twice": ([programme()], programme(1), "conflict programme_already_registered"),
    "centre twice": ([centre()], centre(day=1, id_="again"), "conflict centre_already_registered"),
    "void of another type": ([announced()], voided(announced(), type="cohort.changed.v1"), "conflict type_differs"),
    "void twice": ([announced(), voided(announced())], voided(announced(), 61), "conflict already_voided"),
    "void of itself": ([], {**voided({**voided(announced()), "id": "again"}), "id": "again"}, "conflict voids_itself"),
    "replaces another type": (
        [announced(), proposed()],
        trainee("trainee.enrolled", replaces=proposed()["id"]),
        "conflict type_differs",
    ),
    "replaced twice": (
        [announced(), proposed(), proposed(day=6, replaces=proposed()["id"])],
        proposed(day=7, replaces=proposed()["id"]),
        "conflict already_replaced",
    ),
    "replaces in a circle": (
        [announced(), proposed(day=6, replaces=proposed(day=7)["id"])],
        proposed(day=7, replaces=proposed(day=6)["id"]),
        "conflict replaces_itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_is_kept(name: str) -> None:
    before, event, expected = KEPT[name]
    assert standing(given([*before, event]), event) == expected


def test_programme_and_host_centre_must_be_registered() -> None:
    nothing, programme_only = Known(), Known(frozenset({"programme/partnership"}))
    assert standing(given([announced()], nothing), announced()) == "waiting programme_unknown"
    assert standing(given([announced()], programme_only), announced()) == "waiting centre_unknown"
    assert standing(given([announced()]), announced()) == "accepted applied"


def test_replacing_another_units_event_is_a_conflict() -> None:
    moved = proposed(replaces="other")
    known = Known(KNOWN.registered, frozenset({(SENDER, "other")}))
    assert standing(given([announced(), moved], known), moved) == "conflict belongs_elsewhere"


def test_who_becomes_a_party_later_was_right_from_the_start() -> None:
    early = proposed(source=STRANGER)
    joins = cohort("cohort.changed", 8, COORDINATOR, parties=[{"office": STRANGER, "role": "sending-office"}])
    folded = given([announced(), early, joins])
    assert standing(folded, early) == "accepted applied"


def test_a_void_takes_out_what_it_names_and_what_rests_on_it() -> None:
    folded = given([*whole(), voided(ENROLLED)])
    assert status(folded.state, "01") == "proposed"
    assert standing(folded, ENROLLED) == "accepted voided"
    assert standing(folded, completed()) == "waiting trainee_not_enrolled"


def test_a_replacement_is_one_step() -> None:
    right = {**completed(), "id": "right", "replaces": completed()["id"]}
    right["data"] = {**right["data"], "date": on(42)}
    folded = given([*whole(), right])
    assert standing(folded, completed()) == "accepted replaced"
    assert folded.state.enrolments[place()].completed.isoformat() == on(42)  # type: ignore[union-attr]


def test_a_voided_replacement_brings_back_what_it_replaced() -> None:
    right = {**completed(), "id": "right", "replaces": completed()["id"]}
    folded = given([*whole(), right, voided(right)])
    assert standing(folded, completed()) == "accepted applied"
    assert standing(folded, right) == "accepted voided"


def test_sentences_and_table_name_the_same_codes() -> None:
    assert set(GUARDS) == set(TYPES)
    used = {code for rule in GUARDS.values() for code in (*rule.waits, *rule.conflicts)} | set(OF_REPLACEMENTS)
    assert used | {"applied", "voided", "replaced", "duplicate", "details_forgotten"} == set(SENTENCES)
    assert len({rule.rank for rule in GUARDS.values()}) == len(GUARDS)


def test_every_code_of_the_table_is_met_by_a_case() -> None:
    met = {expected.split()[1] for _, _, expected in KEPT.values()}
    left = {code for rule in GUARDS.values() for code in (*rule.waits, *rule.conflicts)} - met
    assert left == {"programme_unknown", "limit_reached"}  # held by tests of their own


def test_a_record_has_an_end() -> None:
    nominations = [
        trainee("competitor.nominated", day=50, id_=f"n{n:03}", competition=f"c{n}", skill="1") for n in range(201)
    ]
    folded: Folded = given([*RUNNING, *nominations])
    assert standing(folded, nominations[199]) == "accepted applied"
    assert standing(folded, nominations[200]) == "conflict limit_reached"


def test_sessions_keep_within_one_message() -> None:
    numbers = [f"{n:063}" for n in range(600)]
    many = [proposed(number, id_=number) for number in numbers]
    sessions = [session(n, 30 + n, absent=numbers) for n in range(1, 13)]
    folded = given([announced(), *many, *sessions])
    assert standing(folded, sessions[-1]) == "conflict limit_reached"
    assert folded.state.cohort is not None
    assert len(folded.state.cohort.sessions) == 10


def test_roles_of_a_credential_come_first() -> None:
    def refused(event: Fields, *roles: str, administrator: bool = False) -> str | None:
        return refusal_of(read(event), frozenset(roles), administrator=administrator)  # type: ignore[arg-type]

    assert refused(programme(), "sending-office") == "role_not_allowed"
    assert refused(programme(), "coordinator") is None
    assert refused(programme(), administrator=True) is None
    assert refused(announced(source=STRANGER), "coordinator") == "announcer_not_party"
    assert refused(announced(), "coordinator") is None
    assert refused(proposed(), "reader") == "role_not_allowed"
    huge = fields("cohort.announced", 1, COORDINATOR, **announced()["data"], extra="x" * 70_000)
    assert refused(huge, "coordinator") == "event_too_large"


def test_so_many_former_parties_and_no_more() -> None:
    many = [{"office": f"/offices/kh/office-{number}", "role": "reader"} for number in range(201)]
    changes = [
        cohort("cohort.changed", day, COORDINATOR, parties=parties)
        for day, parties in enumerate(([*PARTIES, *many], [*PARTIES, many[0]], PARTIES), start=2)
    ]
    assert [standing(given([announced(), *changes]), change) for change in changes] == [
        "accepted applied",
        "accepted applied",
        "conflict limit_reached",
    ]


def test_consent_is_withdrawn_and_given_again_by_purpose() -> None:
    def withheld(*said: Fields) -> set[str]:
        held = given([announced(), proposed(), *said]).state.enrolments[place()].withheld
        return {purpose for purpose in ("training", "certification") if purpose in held}

    def withdrawn(day: int, *purposes: str) -> Fields:
        return trainee("consent.withdrawn", day=day, by="guardian", date=on(day), purposes=list(purposes))

    def agreed(day: int, *purposes: str) -> Fields:
        consent = {"by": "self", "date": on(day), "notice": "n1", "purposes": list(purposes)}
        return trainee("person.corrected", day=day, consent=consent)

    assert withheld() == set()
    assert withheld(agreed(8, "training")) == {"certification"}
    assert withheld(withdrawn(7, "training")) == {"training"}
    assert withheld(withdrawn(7)) == {"training", "certification"}
    assert withheld(withdrawn(7), agreed(8, "training")) == {"certification"}
    assert withheld(withdrawn(7), agreed(8, "training"), withdrawn(9, "training")) == {"training", "certification"}
    assert withheld(withdrawn(7, "training"), agreed(8)) == set()
    assert withheld(agreed(8, "training"), withdrawn(7)) == {"certification"}
