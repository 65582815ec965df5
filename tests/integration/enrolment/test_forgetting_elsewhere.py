"""What tells of somebody under another number: an office's slip, taken back. It is forgotten with them, and nobody else is."""

import pytest

from services.enrolment.tables import Base
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, said
from tests.integration.enrolment.test_forgetting import PASSPORT, SECRET, WHO, sealed
from tests.integration.enrolment.test_persons import in_other
from tests.unit.enrolment.story import (
    COORDINATOR,
    PARTIES,
    STRANGER,
    announced,
    cohort,
    forgotten,
    person,
    place,
    proposed,
    trainee,
    voided,
)

OTHER = person("dara", identifiers=[{**PASSPORT, "number": "D777"}])
SLIP = proposed("03", person=WHO)
ANNOUNCED = [*REGISTRATIONS, announced()]


async def hashes(house: House) -> list[str]:
    """Of the identifiers of the one who is forgotten."""
    said = (await house.rows("SELECT person FROM events WHERE id = :id", id=SLIP["id"]))[0]["person"]
    return [hash_ for _, _, hash_ in said["identifiers"]]


async def nothing_is_left(house: House, hashes: list[str]) -> None:
    opened = await sealed(house)
    assert [detail for detail in SECRET if detail in opened] == []
    for table in Base.metadata.sorted_tables:
        rows = await house.rows(f"SELECT * FROM {table.name}")  # noqa: S608
        assert not [hash_ for hash_ in hashes if hash_ in repr(rows)], table.name
    await checked(house)


async def test_a_slip_that_was_taken_back_is_forgotten_and_whose_number_it_is_stays(house: House) -> None:
    await house.post(*ANNOUNCED, SLIP, voided(SLIP), {**proposed("03", 7, person=OTHER), "id": "right"})
    await house.post(proposed("04", 8, person=WHO))
    known, before = await hashes(house), await house.facts()
    assert said(await house.post(forgotten("04"))) == ["accepted applied"]
    await nothing_is_left(house, known)
    assert "Sokha dara" in await sealed(house)
    assert await house.facts() == before
    standings = await house.standings()
    assert (standings[SLIP["id"]], standings["right"]) == ("accepted voided", "accepted applied")
    correction = trainee("person.corrected", "03", 96, sex="M")
    assert said(await house.post(correction)) == ["accepted applied"]
    assert (await house.facts())["enrolment.trainee.kh.wuxi-2025.03"]["sex"] == "M"
    await checked(house)


async def test_a_number_that_nobody_has_any_more_may_be_given_to_somebody_else(house: House) -> None:
    await house.post(*ANNOUNCED, SLIP, proposed("04", 8, person=WHO), voided(SLIP))
    known = await hashes(house)
    await house.post(forgotten("04"))
    await nothing_is_left(house, known)
    assert not await house.rows("SELECT owner FROM register_keys WHERE owner = :owner", owner=place("03"))
    assert said(await house.post({**proposed("03", 7, person=OTHER), "id": "right"})) == ["accepted applied"]
    assert "Sokha dara" in await sealed(house)
    await checked(house)


@pytest.mark.parametrize("late", [True, False])
async def test_what_never_applied_is_forgotten_in_every_cohort(house: House, late: bool) -> None:
    await house.post(*ANNOUNCED, proposed("03", 4, person=OTHER), proposed("04", 5, person=WHO))
    slip = {**SLIP, "id": SLIP["id"], "time": proposed("03", 9)["time"]}
    waiting = in_other(proposed("01", person=WHO))
    assert said(await house.post(slip, waiting)) == ["conflict number_taken", "waiting cohort_unknown"]
    known = await hashes(house)
    await house.post(forgotten("04"))
    await nothing_is_left(house, known)
    if late:
        await house.post(cohort("cohort.changed", 2, COORDINATOR, mode="online"))
    assert said(await house.post(in_other(announced()))) == ["accepted applied"]
    await nothing_is_left(house, known)


async def test_what_another_country_said_is_its_own_to_forget(house: House) -> None:
    parties = [*PARTIES, {"office": STRANGER, "role": "sending-office"}]
    theirs = proposed("07", source=STRANGER, country="LA", person=WHO)
    await house.post(*REGISTRATIONS, announced(parties=parties), theirs, voided(theirs), proposed("04", 8, person=WHO))
    await house.post(forgotten("04"))
    assert "Sokha Forgotten" in await sealed(house)
    await checked(house)


async def test_an_id_that_was_used_again_is_searched_under_every_number(house: House) -> None:
    await house.post(*ANNOUNCED, proposed("03", 4, person=OTHER), proposed("04", 5, person=WHO))
    again = {**proposed("03", 9, person=WHO), "id": proposed("03", 4)["id"]}
    kept = {**proposed("03", 9, person=OTHER), "id": proposed("03", 4)["id"]}
    assert said(await house.post(again, kept)) == ["rejected id_reused"] * 2
    await house.post(forgotten("04"))
    await nothing_is_left(house, [])
    assert len(await house.rows("TABLE reused_ids")) == 1


async def test_what_is_kept_about_somebody_else_stays_when_whose_number_it_is_are_forgotten(house: House) -> None:
    await house.post(*ANNOUNCED, SLIP, voided(SLIP), {**proposed("03", 7, person=OTHER), "id": "right"})
    await house.post(proposed("04", 8, person=WHO))
    await house.post({**proposed("04", 9, person=WHO), "id": "bad", "time": "2025-03-05"})
    await house.post({**proposed("05", 9, person=OTHER), "id": "bad", "time": "2025-03-05"})
    await house.post(forgotten("03"))
    opened = await sealed(house)
    assert "'id': 'bad'" in opened
    assert "Sokha Forgotten" in opened
    assert "Sokha dara" not in opened
    await checked(house)
