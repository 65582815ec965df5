"""Forgetting somebody: every detail is gone for good, and every figure stands."""

import asyncio
import json
import math
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from services.enrolment.tables import Base
from shared.delivery import Delivery
from shared.events.identity import enrolment_id
from shared.rejected import Said
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, empty, said
from tests.integration.enrolment.test_persons import in_other, together
from tests.properties import examples, times
from tests.unit.enrolment.story import (
    COORDINATOR,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    cohort,
    decided,
    forgotten,
    person,
    place,
    proposed,
    session,
    trainee,
    voided,
    whole,
)

PASSPORT = {"kind": "passport", "number": "N123456", "country": "KH"}
NOW = datetime.now(UTC)
SECRET = ["Sokha Forgotten", "សុខាភ្លេច", "N123456", "2001-02-03", "+85512345678"]
WHO = person(
    identifiers=[PASSPORT],
    names={"original": "សុខាភ្លេច", "romanised": "Sokha Forgotten"},
    birth_date="2001-02-03",
    contact={"phone": "+85512345678"},
    consent={"by": "self", "date": "2025-03-01", "notice": "n1", "purposes": ["training"]},
)
STORY = [
    *REGISTRATIONS,
    *whole(),
    in_other(announced()),
    proposed("03", person=WHO),
    in_other(proposed("01", person=WHO)),
    in_other(trainee("person.corrected", "01", 12, birth_date="2001-02-04")),
]


async def sealed(house: House) -> str:
    """Everything that can be opened with the service's secret."""
    await house.rows(
        "UPDATE rejected SET expires = now() + interval '1 day' RETURNING id"
    )  # the house's clock stands still
    opened = []
    for table in ("register_entries", "reused_ids"):
        rows = await house.rows(
            f"SELECT e.*, k.sealed AS key FROM {table} AS e LEFT JOIN register_keys AS k USING (owner)"  # noqa: S608
        )
        for row in rows:
            if row["key"]:
                where = f"{row['source']}/{row['id']}"
                opened.append(house.register.unseal(row["key"], row["owner"], row["sealed"], where).decode())
    async with house.database.transaction() as session:
        rejected, letters = house.archive.rejected, house.archive.dead_letters
        opened += [str(await rejected.events(session, line.id)) for line in await rejected.entries(session)]
        bodies = [await letters.body(session, letter.id) for letter in await letters.entries(session)]
        opened += [body.decode() for body in bodies if body]
    return "\n".join(opened)


async def test_nothing_of_them_opens_any_more_and_the_record_stands(house: House) -> None:
    await house.post(*STORY)
    await house.post({**proposed("03", person=WHO), "type": "trainee.enrolled.v1", "id": proposed("03")["id"]})
    await house.post({**proposed("03", person=WHO), "id": "bad", "time": "2025-03-05"})
    letter = json.dumps([proposed("03", person=WHO), proposed("01")], ensure_ascii=False).encode()
    async with house.database.transaction() as session:
        delivery = Delivery("intake.enrolment.kh.ntti", letter, "INTAKE", 7, deliveries=1, headers={})
        await house.archive.dead_letters.bury(session, delivery, ValueError())
        torn = Delivery("intake.enrolment.kh.ntti", letter[:-9], "INTAKE", 8, deliveries=1, headers={})
        await house.archive.dead_letters.bury(session, torn, ValueError())
        await house.archive.rejected.keep(session, None, "x", [Said.unread(0, "invalid_json", letter[:-9])], NOW)
    before, opened = await house.facts(), await sealed(house)
    assert [detail for detail in SECRET if detail not in opened] == []
    assert said(await house.post(forgotten("03"))) == ["accepted applied"]
    assert await house.facts() == before
    opened = await sealed(house)
    assert [detail for detail in SECRET if detail in opened] == []
    assert "Sokha 01" in opened
    standings = await house.standings()
    assert [
        standings[id_] for id_ in ("trainee-proposed-03-5", "o-trainee-proposed-01-5", "o-person-corrected-01-12")
    ] == ["accepted details_forgotten"] * 3
    assert standings["trainee-proposed-01-5"] == "accepted applied"
    assert await together(house) == [["other/01", "wuxi-2025/03"]]
    await checked(house)


async def test_no_hash_of_theirs_is_left_to_match(house: House) -> None:
    await house.post(*STORY)
    [known] = [
        hash_ for _, _, hash_ in (await house.rows("SELECT person FROM events WHERE id = 'trainee-proposed-03-5'"))[0][
            "person"
        ]["identifiers"]
    ]  # fmt: skip
    await house.post(forgotten("03"))
    for table in Base.metadata.sorted_tables:
        rows = await house.rows(f"SELECT * FROM {table.name}")  # noqa: S608
        assert known not in repr(rows), table.name
    await house.post(proposed("04", person=WHO))
    assert await together(house) == [["other/01", "wuxi-2025/03"]]
    await checked(house)


async def test_the_age_band_stays_also_when_the_cohort_moves(house: House) -> None:
    await house.post(*STORY, forgotten("03"))
    subject = "enrolment.trainee.kh.wuxi-2025.03"
    assert (await house.facts())[subject]["age_band"] == "Y15T24"
    await house.post(cohort("cohort.changed", 96, COORDINATOR, starts_on="2045-01-01", ends_on="2045-02-01"))
    assert (await house.facts())[subject]["age_band"] == "Y15T24"
    assert (await house.facts())["enrolment.trainee.kh.wuxi-2025.01"]["age_band"] == "Y35T44"
    await checked(house)


async def test_what_comes_later_brings_nothing_back(house: House) -> None:
    await house.post(*STORY, forgotten("03"))
    late = [
        {**proposed("03", 8, person=WHO), "type": "trainee.enrolled.v1", "id": "late"},
        trainee("person.corrected", "03", 99, names=WHO["names"], sex="M"),
    ]
    assert said(await house.post(*late)) == ["accepted details_forgotten"] * 2
    assert said(await house.post(*late)) == ["duplicate duplicate"] * 2
    again = {**late[0], "data": {**late[0]["data"], "trade": "cabling"}}
    assert said(await house.post(again)) == ["rejected id_reused"]
    await house.post({**proposed("03", person=WHO), "id": "bad", "time": "2025-03-05"})
    opened = await sealed(house)
    assert [detail for detail in SECRET if detail in opened] == []
    fact = (await house.facts())["enrolment.trainee.kh.wuxi-2025.03"]
    assert (fact["status"], fact["sex"], fact["age_band"]) == ("enrolled", "M", "Y15T24")
    assert not await house.rows("SELECT owner FROM register_keys WHERE owner = :owner", owner=place("03"))
    await checked(house)


async def test_who_is_named_only_later_is_forgotten_then(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), forgotten("03"))
    assert (await house.standings())[forgotten("03")["id"]] == "waiting trainee_unknown"
    assert said(await house.post(proposed("03", person=WHO))) == ["accepted details_forgotten"]
    assert (await house.standings())[forgotten("03")["id"]] == "accepted applied"
    assert "Sokha" not in await sealed(house)
    await checked(house)


async def test_it_is_said_by_the_country_that_sends_them_and_for_good(house: House) -> None:
    parties = [*PARTIES, {"office": STRANGER, "role": "sending-office"}]
    await house.post(*REGISTRATIONS, announced(parties=parties), proposed("03", person=WHO))
    assert said(await house.post(forgotten("03", source=STRANGER))) == ["conflict not_your_trainee"]
    assert said(await house.post(voided(forgotten("03")))) == ["rejected forgotten_stays"]
    assert said(await house.post({**forgotten("03"), "replaces": "other"})) == ["rejected forgotten_stays"]


@pytest.mark.parametrize("late", [False, True])
async def test_who_went_to_another_country_since_is_forgotten_as_was_asked_before(house: House, late: bool) -> None:
    neighbour = "/offices/kh/provincial"
    parties = [*PARTIES, *({"office": office, "role": "sending-office"} for office in (neighbour, STRANGER))]
    asked, moved = forgotten("03", 8, neighbour), trainee("trainee.enrolled", "03", country="LA", person=WHO)
    other = in_other(proposed("07", source=STRANGER, country="LA", person=WHO))
    await house.post(*REGISTRATIONS, announced(parties=parties), in_other(announced(parties=parties)), other)
    await house.post(proposed("03", person=WHO))
    for event in (moved, asked) if late else (asked, moved):
        await house.post(event)
    standings = await house.standings()
    assert [standings[event["id"]] for event in (asked, moved)] == ["accepted applied", "accepted details_forgotten"]
    rows = await house.rows("SELECT enrolment FROM forgotten")
    assert [row["enrolment"] for row in rows] == [place("03")], "what the other country sent is its own to forget"
    assert not await house.rows("SELECT owner FROM register_keys WHERE owner = :owner", owner=place("03"))
    await checked(house)


async def test_what_another_country_sent_is_its_own_to_forget(house: House) -> None:
    parties = [*PARTIES, {"office": STRANGER, "role": "sending-office"}]
    sent = in_other(proposed("07", source=STRANGER, country="LA", person=WHO))
    await house.post(*REGISTRATIONS, *whole(), in_other(announced(parties=parties)), proposed("03", person=WHO), sent)
    await house.post(in_other(proposed("01", person=WHO)))
    one = [["other/01", "other/07", "wuxi-2025/03"]]
    assert await together(house) == one
    before = await house.facts()
    await house.post(forgotten("03"))
    assert await house.facts() == before
    standings = await house.standings()
    assert [standings[event["id"]] for event in (proposed("03"), in_other(proposed("01")), sent)] == [
        "accepted details_forgotten",
        "accepted details_forgotten",
        "accepted applied",
    ]
    assert "Sokha Forgotten" in await sealed(house)
    await checked(house)
    await house.post(in_other(trainee("person.corrected", "07", 99, STRANGER, sex="F")))
    assert await together(house) == one
    await house.post(in_other(forgotten("07", source=STRANGER)))
    assert await house.facts() == before
    assert "Sokha Forgotten" not in await sealed(house)
    await house.post(proposed("04", person=WHO))
    assert await together(house) == one
    await checked(house)


async def test_what_is_void_is_forgotten_with_them(house: House) -> None:
    await house.post(*STORY)
    void = voided(in_other(proposed("01", person=WHO)), 50)
    await house.post(decided("merged", "03", "other/01", 20), void)
    await house.post({**proposed("03", 5, person=WHO), "id": "again"}, forgotten("03"))
    await checked(house)


LATER: list[dict[str, Any]] = [
    {**proposed("03", 8, person=WHO), "type": "trainee.enrolled.v1", "id": "late"},
    trainee("person.corrected", "03", 50, birth_date="1990-01-01"),
    voided(trainee("person.corrected", "03", 50, birth_date="1990-01-01"), 60),
    cohort("cohort.changed", 2, COORDINATOR, mode="online"),
    voided(proposed("03"), 61),
    {**proposed("03", 6, person=WHO), "id": "new", "replaces": proposed("03")["id"]},
    trainee("competitor.nominated", "03", 90, competition="asean", skill="18"),
]


@examples(4, phases=(Phase.explicit, Phase.generate))
@given(data=st.data())
async def test_the_short_way_and_the_whole_fold_agree_afterwards(house: House, data: st.DataObject) -> None:
    await empty(house.database)
    for event in data.draw(st.permutations([*STORY, *LATER, forgotten("03"), forgotten("01")])):
        await house.post(event)
    await checked(house)
    opened = await sealed(house)
    assert "Sokha 01" not in opened
    if (await house.standings())[forgotten("03")["id"]] == "accepted applied":
        assert not await house.rows("SELECT owner FROM register_entries WHERE owner = :owner", owner=place("03"))


async def test_no_table_holds_a_detail_in_clear(house: House) -> None:
    await house.post(*STORY, forgotten("03"), decided("merged", "01", "02", 50))
    for table in Base.metadata.sorted_tables:
        for row in await house.rows(f"SELECT * FROM {table.name}"):  # noqa: S608
            for column, value in row.items():
                assert not [detail for detail in SECRET if detail in repr(value)], (table.name, column)


@pytest.mark.property
async def test_many_at_one_time_come_to_one_end(house: House) -> None:
    others = [House(house.database) for _ in range(6)]
    for round_ in range(math.ceil(times())):
        await empty(house.database)
        events = [*STORY, *LATER, forgotten("03"), decided("merged", "01", "02", 50), decided("parted", "01", "02", 51)]
        events += [decided("merged", "02", "other/01", 52), forgotten("01")]
        random.Random(round_).shuffle(events)
        await asyncio.gather(*(others[n % len(others)].post(event) for n, event in enumerate(events)))
        await checked(house)
        standings = await house.standings()
        assert len(standings) == len(events)
        assert standings[forgotten("03")["id"]] == "accepted applied"
        assert not await house.rows("SELECT owner FROM register_entries WHERE owner = :owner", owner=place("03"))
        # What came after the forgetting is of somebody new (decision 21), who is forgotten in their turn.
        if not await house.rows(
            "SELECT enrolment FROM forgotten WHERE enrolment = :other", other=enrolment_id("other", "01")
        ):
            assert said(await house.post(in_other(forgotten("01")))) == ["accepted applied"]
            await checked(house)
        opened = await sealed(house)
        assert [detail for detail in ("Sokha 01", *SECRET) if detail in opened] == []


async def test_what_was_rejected_is_found_by_a_number_that_was_written_as_one(house: House) -> None:
    contact = {"phone": "+85512345678", "mobile": [85598765432], "way": 1}
    await house.post(*REGISTRATIONS, announced(), proposed("03", person={**WHO, "contact": contact}))
    bad = [proposed("04", contact={"phone": 85598765432}), proposed("05", lines=1)]
    async with house.database.transaction() as session:
        kept = [Said(place, "invalid_data", event) for place, event in enumerate(bad)]
        await house.archive.rejected.keep(session, SENDER, "x", kept, NOW)
    assert "Sokha 04" in await sealed(house)
    await house.post(forgotten("03"))
    opened = await sealed(house)
    assert "Sokha 04" not in opened
    assert "Sokha 05" in opened  # of a short number too much would be found


CONTACT = {"phone": None, "app": "in-person", "language": "km", "since": 2025, "floor": "12"}


@pytest.mark.parametrize("number", ["12", "A-12", "01", "2025", "2025-03", "2025-03-31", "202503", "wuxi-2025"])
async def test_what_is_kept_of_others_stays_whatever_is_short_in_somebodys_numbers(house: House, number: str) -> None:
    identifiers = [{"kind": "centre-number", "number": number}, PASSPORT]
    who = {**WHO, "identifiers": identifiers, "contact": CONTACT}
    await house.post(*REGISTRATIONS, announced(), proposed("03", person=who), proposed("01"))
    others = [
        session(12, 30, id_="sheet-202503-12"),
        trainee("outcome.reported", "01", 90, months_after=12, status="employed"),
        proposed("02"),
        cohort("cohort.changed", 12, mode="in-person"),
    ]
    again = {**proposed("01", person=person("again")), "id": proposed("01")["id"]}
    assert said(await house.post(again)) == ["rejected id_reused"]
    async with house.database.transaction() as opened:
        for sequence, event in enumerate([*others, others, [*others, proposed("04", person=WHO)]]):
            delivery = Delivery("intake.enrolment.kh.ntti", json.dumps(event).encode(), "INTAKE", sequence, 1, {})
            await house.archive.dead_letters.bury(opened, delivery, ValueError())
        kept = [Said(place, "invalid_data", event) for place, event in enumerate(others)]
        await house.archive.rejected.keep(opened, SENDER, "x", kept, NOW)
    assert said(await house.post(forgotten("03"))) == ["accepted applied"]
    async with house.database.transaction() as opened:
        letters, rejected = house.archive.dead_letters, house.archive.rejected
        bodies = [await letters.body(opened, letter.id) for letter in await letters.entries(opened)]
        [line] = await rejected.entries(opened)
        assert [event["event"] for event in await rejected.events(opened, line.id) or ()] == others
    assert [json.loads(body or b"") for body in bodies] == [*others, others, others]
    assert len(await house.rows("TABLE reused_ids")) == 1


@pytest.mark.parametrize("number", ["N123456", "0312456789", "1-2345-67890-12-3", "၁၂/သဘက(နိုင်)၁၂၃၄၅၆"])
async def test_a_long_number_is_found_in_what_is_written_about_somebody_else(house: House, number: str) -> None:
    who = {**WHO, "identifiers": [{"kind": "national-id", "number": number}]}
    await house.post(*REGISTRATIONS, announced(), proposed("03", person=who), proposed("01"))
    bad = [trainee("trainee.withdrawn", "01", note=f"not {number}, but her sister"), proposed("01", id_number=number)]
    torn = f'[{{"data": {{"identifiers": [{{"number": "{number}"'.encode()
    async with house.database.transaction() as opened:
        for sequence, body in enumerate([json.dumps(bad).encode(), torn]):
            delivery = Delivery("intake.enrolment.kh.ntti", body, "INTAKE", sequence, 1, {})
            await house.archive.dead_letters.bury(opened, delivery, ValueError())
        kept = [Said(place, "invalid_data", event) for place, event in enumerate(bad)]
        await house.archive.rejected.keep(opened, SENDER, "x", [*kept, Said.unread(0, "invalid_json", torn)], NOW)
    await house.post(forgotten("03"))
    assert not await house.rows("TABLE dead_letters")
    assert number not in await sealed(house)


async def test_who_is_linked_to_somebody_forgotten_before_is_forgotten_too(house: House) -> None:
    await house.post(*STORY, decided("merged", "03", "04", 20), forgotten("03"))
    assert said(await house.post(proposed("04", 6, person=WHO))) == ["accepted applied"]
    assert await together(house) == [["other/01", "wuxi-2025/03", "wuxi-2025/04"]]
    before = await house.rows("SELECT id, person FROM events WHERE enrolment = :key", key=place("03"))
    assert said(await house.post(forgotten("04"))) == ["accepted applied"]
    opened = await sealed(house)
    assert [detail for detail in SECRET if detail in opened] == []
    assert await house.rows("SELECT id, person FROM events WHERE enrolment = :key", key=place("03")) == before
    causes = {row["enrolment"]: row["event"] for row in await house.rows("SELECT enrolment, event FROM forgotten")}
    assert causes == {
        place("03"): forgotten("03")["id"],
        enrolment_id("other", "01"): forgotten("03")["id"],
        place("04"): forgotten("04")["id"],
    }
    assert await together(house) == [["other/01", "wuxi-2025/03", "wuxi-2025/04"]]
    await checked(house)
