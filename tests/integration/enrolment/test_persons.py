"""Who is one person with whom: identifiers, and what people decide, in any order of arrival."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.enrolment.check import compare_states
from shared.checking import Findings
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, empty, said
from tests.properties import examples
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    cohort,
    decided,
    forgotten,
    person,
    proposed,
    trainee,
    voided,
)

PASSPORT = {"kind": "passport", "number": "N123456", "country": "KH"}
OTHER = {**PASSPORT, "number": "N999999"}
TRAINEES = ("01", "02", "other/01", "other/02")


def in_other(event: dict[str, Any]) -> dict[str, Any]:
    """The same in another cohort."""
    return {**event, "id": "o-" + event["id"], "data": {**event["data"], "cohort": "other"}}


def with_number(number: str, *identifiers: dict[str, Any]) -> dict[str, Any]:
    return proposed(number, person=person(number, identifiers=list(identifiers)))


TWO_COHORTS = [*REGISTRATIONS, announced(), in_other(announced())]
FOUR = [*TWO_COHORTS, with_number("01"), with_number("02"), in_other(with_number("01")), in_other(with_number("02"))]


async def persons(house: House) -> frozenset[frozenset[str]]:
    """Who is one person, by cohort and number, as the facts tell it."""
    groups: dict[str, set[str]] = {}
    for subject, fact in (await house.facts()).items():
        if subject.startswith("enrolment.trainee") and fact["status"] != "void":
            groups.setdefault(fact["person"], set()).add(f"{fact['cohort']}/{fact['number']}")
    return frozenset(frozenset(group) for group in groups.values())


async def together(house: House) -> list[list[str]]:
    """The persons with several enrolments."""
    return sorted(sorted(group) for group in await persons(house) if len(group) > 1)


MERGED = [["other/01", "wuxi-2025/01"]]


async def test_a_merge_links_and_a_part_undoes_it(house: House) -> None:
    await house.post(*FOUR)
    before = await house.facts()
    assert said(await house.post(decided("merged", "01", "other/01", 20))) == ["accepted applied"]
    assert await together(house) == MERGED
    assert said(await house.post(decided("parted", "01", "other/01", 21))) == ["accepted applied"]
    assert await house.facts() == before
    await checked(house)


async def test_a_part_sets_apart_who_shares_an_identifier(house: House) -> None:
    await house.post(*TWO_COHORTS, with_number("01", PASSPORT), in_other(with_number("01", PASSPORT)))
    assert await together(house) == MERGED
    await house.post(decided("parted", "01", "other/01", 20))
    assert await together(house) == []
    await house.post(decided("merged", "01", "other/01", 21))
    assert await together(house) == MERGED
    await house.post(decided("parted", "01", "other/01", 22))
    assert await together(house) == []
    await checked(house)


async def test_a_merge_takes_along_all_that_either_is_linked_to(house: House) -> None:
    await house.post(*TWO_COHORTS, with_number("01", PASSPORT), with_number("02"))
    await house.post(in_other(with_number("01", PASSPORT)), in_other(with_number("02")))
    await house.post(decided("merged", "02", "other/02", 20), decided("merged", "02", "01", 20))
    assert await together(house) == [["other/01", "other/02", "wuxi-2025/01", "wuxi-2025/02"]]
    await house.post(decided("parted", "02", "01", 21))
    assert await together(house) == [["other/01", "wuxi-2025/01"], ["other/02", "wuxi-2025/02"]]
    await house.post(trainee("person.corrected", "01", 22, identifiers=[OTHER]))
    assert await together(house) == [["other/02", "wuxi-2025/02"]]
    await checked(house)


async def test_a_decision_waits_for_both(house: House) -> None:
    [receipt] = await house.post(decided("merged", "01", "other/01", 20))
    assert (receipt.status, receipt.code) == ("waiting", "trainee_unknown")
    await house.post(*TWO_COHORTS, with_number("01"))
    assert (await house.standings())["merged-01-other-01-20"] == "waiting trainee_unknown"
    await house.post(in_other(with_number("01")))
    assert (await house.standings())["merged-01-other-01-20"] == "accepted applied"
    assert await together(house) == MERGED
    [(subject, told)] = [line for line in await house.notices() if line[1]["id"] == "merged-01-other-01-20"]
    assert (subject, told["current" if "current" in told else "code"]) == ("receipts.kh.ntti", "applied")
    await house.post(in_other(voided(with_number("01"), 30)) | {"data": voided(in_other(with_number("01")))["data"]})
    assert (await house.standings())["merged-01-other-01-20"] == "waiting trainee_unknown"
    assert await together(house) == []
    await checked(house)


async def test_a_decision_that_comes_again_with_whom_it_waited_for_is_told_as_it_stands_then(house: House) -> None:
    merged = decided("merged", "01", "02", 20)
    await house.post(*TWO_COHORTS, with_number("01"))
    assert said(await house.post(merged)) == ["waiting trainee_unknown"]
    current = (await house.post(with_number("02"), merged))[1].current
    assert current is not None
    assert (current.status, current.code, current.number) == ("accepted", "applied", 2)
    assert [(line["id"], line["number"]) for _, line in await house.notices()] == [(merged["id"], 2)]


@pytest.mark.parametrize(
    ("source", "code"),
    [(SENDER, "applied"), (HOST, "applied"), (STRANGER, "not_a_party"), (COORDINATOR, "not_a_party")],
)
async def test_who_sees_both_decides(house: House, source: str, code: str) -> None:
    await house.post(*FOUR)
    [receipt] = await house.post(decided("merged", "01", "other/01", 20, source))
    assert receipt.code == code


async def test_whoever_no_longer_sees_somebody_has_not_decided_about_them(house: House) -> None:
    # given an office that sends a trainee of another country, of whom it says nothing yet
    parties = [*PARTIES, {"office": STRANGER, "role": "sending-office"}]
    nobody = proposed("01", source=STRANGER)
    del nobody["data"]["person"]
    there = [*REGISTRATIONS, announced(parties=parties), nobody, proposed("02", source=STRANGER)]
    merged = decided("merged", "01", "02", 20, source=STRANGER)
    # when that country's own office says who it is, before or after the first has decided
    ends = []
    for order in ([merged, named := trainee("trainee.enrolled", person=person("01"))], [named, merged]):
        await empty(house.database)
        await house.post(*there)
        for event in order:
            await house.post(event)
        await checked(house)
        ends.append((await persons(house), await house.standings()))
    # then it comes to the same
    assert ends[0] == ends[1]
    assert ends[0][1][merged["id"]].endswith("not_a_party")


async def test_whoever_left_keeps_what_was_said_before(house: House) -> None:
    await house.post(
        *FOUR, decided("merged", "01", "other/01", 20, HOST), decided("merged", "02", "other/02", 30, HOST)
    )
    without = [party for party in PARTIES if party["office"] != HOST]
    await house.post(cohort("cohort.changed", 25, COORDINATOR, parties=without))
    assert (await house.standings())["merged-01-other-01-20"] == "accepted applied"
    assert (await house.standings())["merged-02-other-02-30"] == "conflict not_a_party"
    assert await together(house) == MERGED
    await checked(house)


async def test_two_different_enrolments_are_named(house: House) -> None:
    [receipt] = await house.post(decided("merged", "01", "01", 20))
    assert (receipt.status, receipt.code) == ("rejected", "invalid_data")


# --- any order

decisions = st.lists(
    st.tuples(
        st.sampled_from(["merged", "parted"]), st.sampled_from(TRAINEES), st.sampled_from(TRAINEES), st.integers(20, 29)
    ).filter(lambda decision: decision[1] != decision[2]),
    max_size=5,
    unique_by=lambda decision: (decision[0], decision[1], decision[2], decision[3]),
)
identifiers = st.fixed_dictionaries(
    {name: st.sampled_from([[], [PASSPORT], [OTHER], [PASSPORT, OTHER]]) for name in TRAINEES}
)


def told(who: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The two cohorts with their trainees, and a correction that brings identifiers later."""
    events = [*TWO_COHORTS]
    for name, known in who.items():
        other, _, number = name.rpartition("/")
        event, later = with_number(number), trainee("person.corrected", number, 15, identifiers=known)
        events += [in_other(event), in_other(later)] if other else [event, later]
    return events


async def lived(house: House, events: list[dict[str, Any]]) -> tuple[frozenset[frozenset[str]], dict[str, str]]:
    await empty(house.database)
    for event in events:
        await house.post(event)
    return await persons(house), await house.standings()


@examples(5)
@given(who=identifiers, what=decisions, data=st.data())
async def test_any_order_gives_the_same_persons(house: House, who: Any, what: Any, data: st.DataObject) -> None:
    events = [*told(who), *(decided(kind, one, other, day) for kind, one, other, day in what)]
    shuffled = data.draw(st.permutations(events))
    assert await lived(house, shuffled) == await lived(house, events)
    await checked(house)


@examples(5)
@given(who=identifiers, what=decisions, data=st.data())
async def test_merged_then_parted_is_never_merged(house: House, who: Any, what: Any, data: st.DataObject) -> None:
    events = [*told(who), *(decided(kind, one, other, day) for kind, one, other, day in what)]
    one, other = data.draw(st.permutations(TRAINEES))[:2]
    both = [decided("merged", one, other, 40), decided("parted", one, other, 41)]
    merged_before, _ = await lived(house, events)
    is_merged = (one, other) in _merged(what) or (other, one) in _merged(what)
    shuffled = data.draw(st.permutations([*events, *both]))
    after, _ = await lived(house, shuffled)
    if not is_merged:  # else the part takes back the merge that there was, too
        assert after == merged_before


def _merged(what: list[tuple[str, str, str, int]]) -> set[tuple[str, str]]:
    """The pairs that are merged at the end of these decisions."""
    state: dict[tuple[str, str], bool] = {}
    for kind, one, other, _ in sorted(what, key=lambda line: (line[3], line[0])):
        state[one, other] = state[other, one] = kind == "merged"
    return {pair for pair, merged in state.items() if merged}


@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        ("INSERT INTO apart VALUES ('a', 'b') RETURNING one", "decision"),
        ("DELETE FROM links WHERE starts_with(link, 'merged/') RETURNING link", "decision"),
        ("DELETE FROM forgotten RETURNING enrolment", "event"),
        (
            "INSERT INTO register_keys SELECT enrolment, 'x', 1 FROM forgotten RETURNING owner",
            "detail",
        ),
    ],
)
async def test_a_check_finds_what_is_not_as_it_was_said(house: House, spoilt: str, what: str) -> None:
    await house.post(*FOUR, decided("merged", "01", "other/01", 20), forgotten("02"))
    await checked(house)
    assert await house.rows(spoilt)
    async with house.database.transaction() as work:
        findings = Findings()
        await compare_states(work, findings, house.register)
    assert what in {line.what for line in findings.result().differences}
