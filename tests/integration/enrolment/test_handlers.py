"""Events through the real handlers on the real PostgreSQL."""

import asyncio
from typing import Any

import pytest

from services.enrolment import handlers as module
from services.enrolment.domain import Entry, State
from services.enrolment.tables import Base
from shared.events.identity import enrolment_id
from shared.offices import Caller
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, empty, said
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    PARTIES,
    SENDER,
    announced,
    centre,
    cohort,
    completed,
    on,
    person,
    place,
    programme,
    proposed,
    session,
    started,
    trainee,
    voided,
    whole,
)

STORY = [*REGISTRATIONS, *whole()]
APPLIED = "accepted applied"
TRAINEE = "enrolment.trainee.kh.wuxi-2025.01"
COHORT = "enrolment.cohort.cn.wuxi-2025"
PASSPORT = {"kind": "passport", "number": "N123456", "country": "KH"}


async def test_a_whole_story_in_order(house: House) -> None:
    for event in STORY:
        assert said(await house.post(event)) == [APPLIED]
    facts = await house.facts()
    assert facts[TRAINEE]["status"] == "completed"
    assert facts[TRAINEE]["completion"] == "in-force"
    assert facts[COHORT]["status"] == "closed"
    assert [one["session"] for one in facts[COHORT]["sessions"]] == [1, 2]
    assert facts["enrolment.trainee.kh.wuxi-2025.02"]["status"] == "withdrawn"


async def test_a_whole_story_at_once_and_in_any_portion_gives_the_same(house: House) -> None:
    await house.post(*STORY)
    at_once, standings = await house.facts(), await house.standings()
    await _emptied(house)
    await house.post(*reversed(STORY[8:]))
    await house.post(*STORY[:8])
    assert (await house.facts(), await house.standings()) == (at_once, standings)


async def test_everything_in_reverse_waits_and_then_applies(house: House) -> None:
    for event in reversed(STORY[3:]):
        assert said(await house.post(event))[0].startswith("waiting") or event is STORY[3]
    assert await house.facts() == {}
    for event in REGISTRATIONS:
        await house.post(event)
    assert set((await house.standings()).values()) == {APPLIED}
    assert (await house.facts())[TRAINEE]["status"] == "completed"
    numbers = await house.rows("SELECT count(*) AS n, max(number) AS last FROM receipts GROUP BY source, id")
    assert all(row["n"] == row["last"] for row in numbers)


async def test_a_later_change_of_a_receipt_is_numbered_and_announced(house: House) -> None:
    await house.post(*REGISTRATIONS, announced())
    assert said(await house.post(completed())) == ["waiting trainee_unknown"]
    receipts = await house.post(proposed(), trainee("trainee.enrolled"), started())
    assert said(receipts) == [APPLIED] * 3
    assert [receipt.number for receipt in receipts] == [1, 1, 1]
    [(subject, receipt)] = await house.notices()
    assert subject == "receipts.cn.wuxi"
    assert (receipt["id"], receipt["status"], receipt["number"]) == (completed()["id"], "accepted", 2)


async def test_again_is_a_duplicate_that_says_how_the_event_stands(house: House) -> None:
    [first] = await house.post(proposed())
    [again] = await house.post(proposed())
    assert (again.status, again.code) == ("duplicate", "duplicate")
    assert again.current is not None
    assert (again.current.status, again.current.code) == (first.status, first.code) == ("waiting", "cohort_unknown")
    await house.post(*REGISTRATIONS, announced())
    [later] = await house.post(proposed())
    assert later.current is not None
    assert (later.current.status, later.current.number) == ("accepted", 2)


async def test_twice_in_one_body_shows_the_state_after_all_of_it(house: House) -> None:
    receipts = await house.post(proposed(), proposed(), *REGISTRATIONS, announced())
    assert said(receipts)[:2] == [APPLIED, "duplicate duplicate"]
    assert receipts[1].current is not None
    assert receipts[1].current.status == "accepted"


@pytest.mark.parametrize("together", [True, False])
async def test_an_id_that_is_used_again_for_something_else(house: House, together: bool) -> None:
    other = {**proposed("02"), "id": proposed()["id"]}
    if together:
        receipts = await house.post(proposed(), other, other)
    else:
        receipts = [*await house.post(proposed()), *await house.post(other), *await house.post(other)]
    assert said(receipts) == ["waiting cohort_unknown", "rejected id_reused", "rejected id_reused"]
    [kept] = await house.rows("SELECT * FROM reused_ids")
    assert kept["owner"] == place("02")
    assert [row["enrolment"] for row in await house.rows("SELECT enrolment FROM events")] == [place("01")]


async def test_good_neighbours_of_bad_events_are_taken(house: House) -> None:
    bad = {**proposed("02"), "time": "2025-03-01T00:00:00"}
    receipts = await house.post(*REGISTRATIONS, bad, announced(), proposed())
    assert said(receipts) == [APPLIED] * 3 + ["rejected missing_offset"] + [APPLIED] * 2
    assert [receipt.place for receipt in receipts] == [1, 2, 3, 4, 5, 6]


async def test_only_for_ones_own_office_and_role(house: House) -> None:
    sender = Caller(SENDER, frozenset({"sending-office"}), "sokha")
    receipts = await house.post(programme(), proposed(), {**centre(), "source": SENDER}, caller=sender)
    assert said(receipts) == ["rejected source_not_yours", "waiting cohort_unknown", "rejected role_not_allowed"]
    [row] = await house.rows("SELECT postedby FROM events")
    assert row["postedby"] == "/offices/kh/ntti#sokha"


async def test_a_certification_event_is_told_the_right_address(house: House) -> None:
    [receipt] = await house.post({**proposed(), "type": "trainee.assessed.v1"})
    assert receipt.code == "wrong_service"
    assert "http://certification.example/v1/events" in receipt.sentence


async def test_a_trainee_named_by_enrolment_is_taken_up_when_the_cohort_is_known(house: House) -> None:
    by_id = completed()
    by_id["data"] = {"enrolment": place(), "date": on(43)}
    undo = voided(by_id)
    assert said(await house.post(by_id)) == ["waiting trainee_unknown"]
    assert said(await house.post(undo)) == [APPLIED]
    await house.post(*REGISTRATIONS, announced(), proposed(), trainee("trainee.enrolled"), started())
    assert (await house.standings())[by_id["id"]] == "accepted voided"
    assert (await house.facts())[TRAINEE]["completion"] == "withdrawn"
    assert {row["unit"] for row in await house.rows("SELECT unit FROM events WHERE enrolment IS NOT NULL")} == {
        "cohort/wuxi-2025"
    }


async def test_a_void_that_comes_first(house: House) -> None:
    await house.post(*REGISTRATIONS, announced())
    assert said(await house.post(voided(proposed()))) == ["waiting event_unknown"]
    assert said(await house.post(proposed())) == ["accepted voided"]
    assert (await house.standings())[voided(proposed())["id"]] == APPLIED
    assert TRAINEE not in await house.facts()


async def test_a_chain_of_things_that_were_not_known(house: House) -> None:
    """A void of a void's target by enrolment id: each waits under another name, and all end up in the cohort."""
    by_id = {**completed(), "data": {"enrolment": place(), "date": on(43)}}
    await house.post(voided(by_id))
    await house.post(by_id, *REGISTRATIONS)
    await house.post(announced(), proposed())
    assert (await house.standings())[by_id["id"]] == "accepted voided"
    assert {row["unit"] for row in await house.rows("SELECT unit FROM events WHERE type LIKE 'event%'")} == {
        "cohort/wuxi-2025"
    }


async def test_a_voided_trainee_is_told_as_void_and_comes_back(house: House) -> None:
    await house.post(*STORY)
    undo = [voided(event) for event in (proposed("01"), trainee("trainee.enrolled", "01"))]
    await house.post(*undo)
    fact = (await house.facts())[TRAINEE]
    assert (fact["status"], fact["completion"]) == ("void", "withdrawn")
    assert fact["completion_withdrawn_at"] is not None
    await house.post({**proposed("01"), "id": "anew"}, {**trainee("trainee.enrolled"), "id": "anew-2"})
    fact = (await house.facts())[TRAINEE]
    assert (fact["status"], fact["completion"], fact["completion_withdrawn_at"]) == ("completed", "in-force", None)


async def test_a_voided_cohort_is_told_as_void(house: House) -> None:
    await house.post(*STORY)
    await house.post(voided(announced()))
    facts = await house.facts()
    assert facts[COHORT]["status"] == facts[TRAINEE]["status"] == "void"
    assert facts[TRAINEE]["completion"] == "withdrawn"


async def test_a_moment_is_told_the_same_whatever_its_offset(house: House) -> None:
    await house.post(*STORY)
    undo = {**voided(completed()), "time": "2025-05-01T08:00:00+08:00"}
    left = cohort("cohort.changed", 60, COORDINATOR, parties=PARTIES[:2])
    await house.post(undo, {**left, "time": "2025-05-01T09:00:00+08:00"})
    before = await house.facts()
    assert before[TRAINEE]["completion_withdrawn_at"] == "2025-05-01T00:00:00+00:00"
    assert before[COHORT]["former_parties"] == [
        {"office": HOST, "role": "host-centre", "until": "2025-05-01T01:00:00+00:00"}
    ]
    await house.post(voided(REGISTRATIONS[2], 70))  # the whole cohort is folded from its journal
    assert {**await house.facts(), "enrolment.centre.kh.ntti": None} == {**before, "enrolment.centre.kh.ntti": None}


async def test_what_never_was_is_not_told(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed(), voided(proposed()))
    assert TRAINEE not in await house.facts()


async def test_a_voided_programme_takes_its_cohorts_along_and_gives_them_back(house: House) -> None:
    await house.post(*STORY)
    before = await house.facts()
    await house.post(voided(programme()))
    facts = await house.facts()
    assert facts["enrolment.programme.partnership"]["status"] == "void"
    assert facts[COHORT]["status"] == "void"
    # No event of the cohort took the completion back, and nobody counts what is void.
    assert (facts[TRAINEE]["status"], facts[TRAINEE]["completion"]) == ("void", "none")
    await house.post({**programme(), "id": "anew"})
    assert await house.facts() == before


async def test_a_replacement_in_another_cohort_is_a_conflict_whoever_comes_first(house: House) -> None:
    other = announced(cohort="other")
    moved = proposed("05", id_="moved", replaces=proposed()["id"])
    moved["data"]["cohort"] = "other"
    await house.post(*REGISTRATIONS, announced(), {**other, "id": "other"})
    assert said(await house.post(moved)) == [APPLIED]
    await house.post(proposed())
    assert (await house.standings())["moved"] == "conflict belongs_elsewhere"
    assert (await house.facts())["enrolment.trainee.kh.other.05"]["status"] == "void"


async def test_a_replacement_is_one_fact(house: House) -> None:
    await house.post(*STORY)
    right = {**completed(day=42), "id": "right", "replaces": completed()["id"]}
    [before] = await house.rows("SELECT position FROM outbox_head")
    await house.post(right)
    rows = await house.rows("SELECT subject FROM outbox WHERE position > :position", position=before["position"])
    assert [row["subject"] for row in rows] == [TRAINEE]
    assert (await house.facts())[TRAINEE]["completed_on"] == on(42)


async def test_a_session_is_one_fact_and_positions_count_facts(house: House) -> None:
    position = (await house.take(*STORY)).position["ENROLMENT"]
    answer = await house.take(session(3, 33))
    assert answer.position == {"ENROLMENT": position + 1}
    assert (await house.take(session(3, 33))).position == answer.position


async def test_in_order_and_past_others_the_journal_is_not_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.post(*STORY)
    read: list[set[str | None]] = []
    advance_late = module.decide.__globals__["advance_late"]

    def watched(state: State, settled: list[Entry], *more: Any) -> Any:
        read.append({one.enrolment for one in settled})
        return advance_late(state, settled, *more)

    monkeypatch.setitem(module.decide.__globals__, "fold", lambda *_: pytest.fail("folded the whole journal"))
    monkeypatch.setitem(module.decide.__globals__, "advance_late", watched)
    late = [
        trainee("competitor.placed", "01", 91, competition="asean", skill="18", medal="gold"),
        trainee("person.corrected", "02", 90, sex="M"),  # before the one above, and about somebody else
        cohort("cohort.changed", 95),
        trainee("person.corrected", "02", 35, sex="F"),  # before the cohort's end
    ]
    for event in late:
        assert said(await house.post(event)) == [APPLIED]
    assert read == [set(), set(), set(), {None, place("02")}]
    monkeypatch.undo()
    await checked(house)


async def test_a_rollback_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("killed before the commit")

    before = await _everything(house)
    monkeypatch.setattr(module, "publish", crash)
    with pytest.raises(RuntimeError):
        await house.post(*STORY)
    monkeypatch.undo()
    assert await _everything(house) == before
    assert said(await house.post(*STORY)) == [APPLIED] * len(STORY)


# --- persons


async def test_one_passport_in_two_cohorts_is_one_person(house: House) -> None:
    first = proposed("01", person=person(identifiers=[PASSPORT]))
    other = {**proposed("07", person=person(identifiers=[{**PASSPORT, "number": "n-123 456"}])), "id": "seven"}
    other["data"]["cohort"] = "other"
    await house.post(*REGISTRATIONS, announced(), {**announced(cohort="other"), "id": "other"}, first)
    alone = (await house.facts())[TRAINEE]["person"]
    await house.post(other)
    facts = await house.facts()
    assert facts[TRAINEE]["person"] == facts["enrolment.trainee.kh.other.07"]["person"]
    corrected = trainee("person.corrected", "07", 9, identifiers=[{**PASSPORT, "number": "OTHER"}])
    corrected["data"]["cohort"] = "other"
    await house.post(corrected)
    facts = await house.facts()
    assert facts[TRAINEE]["person"] == alone
    assert facts["enrolment.trainee.kh.other.07"]["person"] != alone
    await house.post(voided(corrected))
    facts = await house.facts()
    assert facts[TRAINEE]["person"] == facts["enrolment.trainee.kh.other.07"]["person"]


async def test_persons_do_not_depend_on_the_order(house: House) -> None:
    ids = [{"kind": "national-id", "number": f"K{n}", "country": "KH"} for n in range(3)]
    chain = [
        proposed("01", person=person("1", identifiers=[ids[0]])),
        proposed("02", person=person("2", identifiers=[ids[0], ids[1]])),
        proposed("03", person=person("3", identifiers=[ids[1], ids[2]])),
        proposed("04", person=person("4", identifiers=[])),
    ]
    await house.post(*REGISTRATIONS, announced(), *chain)
    expected = await house.facts()
    persons = [fact["person"] for subject, fact in sorted(expected.items()) if "trainee" in subject]
    assert persons[0] == persons[1] == persons[2] != persons[3]
    await _emptied(house)
    for event in [chain[2], chain[3], chain[0], announced(), *REGISTRATIONS, chain[1]]:
        await house.post(event)
    assert await house.facts() == expected


# --- two at a time


async def test_two_transactions_on_one_cohort(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), started())
    events = [{**proposed(f"{n:02}"), "type": "trainee.enrolled.v1"} for n in range(24)]
    taken = await asyncio.gather(*(house.post(*events[n : n + 2]) for n in range(0, 24, 2)))
    assert {line for receipts in taken for line in said(receipts)} == {APPLIED}
    facts = await house.facts()
    assert sum("trainee" in subject for subject in facts) == 24
    positions = [row["position"] for row in await house.rows("SELECT position FROM outbox ORDER BY position")]
    assert positions == list(range(1, len(positions) + 1))


@pytest.mark.parametrize("round_", range(3))
async def test_announced_while_its_centre_is_registered(house: House, round_: int) -> None:
    await house.post(programme())
    await asyncio.gather(house.post(centre()), house.post(announced()), house.post(proposed()), house.post(voided(session())),
                         house.post(session()))  # fmt: skip
    standings = await house.standings()
    assert standings.pop(session()["id"]) == "accepted voided"
    assert set(standings.values()) == {APPLIED}


async def test_the_same_event_from_both_sides_at_once(house: House) -> None:
    await house.post(*REGISTRATIONS, announced())
    taken = await asyncio.gather(*(house.post(proposed()) for _ in range(6)))
    assert sorted(line for receipts in taken for line in said(receipts)) == [APPLIED] + ["duplicate duplicate"] * 5


async def test_one_id_for_two_cohorts_at_once(house: House) -> None:
    other = proposed("02")
    other = {**other, "id": proposed()["id"], "data": {**other["data"], "cohort": "other"}}
    taken = await asyncio.gather(house.post(proposed()), house.post(other))
    assert sorted(line for receipts in taken for line in said(receipts)) == [
        "rejected id_reused",
        "waiting cohort_unknown",
    ]


async def test_persons_across_cohorts_at_once(house: House) -> None:
    cohorts = [f"c{n}" for n in range(6)]
    await house.post(*REGISTRATIONS, *({**announced(cohort=code), "id": code} for code in cohorts))

    def proposal(code: str) -> dict[str, Any]:
        event = proposed("01", person=person(identifiers=[PASSPORT]))
        return {**event, "id": f"p-{code}", "data": {**event["data"], "cohort": code}}

    await asyncio.gather(*(house.post(proposal(code)) for code in cohorts))
    persons = {fact["person"] for subject, fact in (await house.facts()).items() if "trainee" in subject}
    assert len(persons) == 1
    stored = await house.rows("SELECT DISTINCT person FROM enrolments")
    assert [row["person"] for row in stored] == list(persons)


async def test_a_person_who_changes_while_another_cohort_decides(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.post(*REGISTRATIONS, announced(), {**announced(cohort="other"), "id": "other"})
    await house.post(proposed("01", person=person(identifiers=[PASSPORT])))
    elsewhere = proposed("01", person=person(identifiers=[PASSPORT]))
    elsewhere = {**elsewhere, "id": "o", "data": {**elsewhere["data"], "cohort": "other"}}
    real = module.decide
    meanwhile = [elsewhere]

    async def decide(*everything: Any) -> Any:
        decided = await real(*everything)
        if meanwhile:
            await house.post(meanwhile.pop())
        return decided

    monkeypatch.setattr(module, "decide", decide)
    await house.post(trainee("trainee.enrolled", "01"))
    facts = [fact for subject, fact in (await house.facts()).items() if "trainee" in subject]
    assert len({fact["person"] for fact in facts}) == 1
    assert {fact["status"] for fact in facts} == {"enrolled", "proposed"}
    assert len(await house.rows("SELECT DISTINCT person FROM enrolments")) == 1


async def test_a_person_who_changes_and_changes_back_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, third = ([{**PASSPORT, "number": f"N{n}11111"}] for n in (1, 2, 3))
    await house.post(*REGISTRATIONS, announced(), {**announced(cohort="other"), "id": "other"})
    await house.post(
        proposed("02", person=person(identifiers=one)), proposed("03", person=person("3", identifiers=other))
    )
    both = proposed("01", person=person(identifiers=[*one, *other]))
    real, meanwhile = module.decide, [{**both, "id": "o", "data": {**both["data"], "cohort": "other"}}]

    async def decide(*everything: Any) -> Any:
        decided = await real(*everything)
        if meanwhile:
            await house.post(meanwhile.pop())  # 02, 03 and other/01 are one person
        return decided

    monkeypatch.setattr(module, "decide", decide)
    await house.post(trainee("person.corrected", "02", 20, identifiers=third))  # 02 is somebody else again
    held = {row["enrolment"]: row["person"] for row in await house.rows("SELECT enrolment, person FROM enrolments")}
    assert held[place("02")] != held[place("03")] == held[enrolment_id("other", "01")]
    facts = [fact for subject, fact in (await house.facts()).items() if "trainee" in subject]
    assert {fact["enrolment"]: fact["person"] for fact in facts} == held
    await checked(house)


async def _emptied(house: House) -> None:
    await empty(house.database)


async def _everything(house: House) -> dict[str, Any]:
    return {
        table.name: await house.rows(f"SELECT * FROM {table.name}")  # noqa: S608
        for table in Base.metadata.sorted_tables
    }
