"""Who may take an event back, and what a void of a void leads to in the tables."""

from shared.offices import Caller
from tests.integration.enrolment.house import REGISTRATIONS, House, said
from tests.unit.enrolment.story import HOST, SENDER, announced, completed, place, proposed, voided, whole

SENDING = Caller(SENDER, frozenset({"sending-office"}), "sokha")
HOSTING = Caller(HOST, frozenset({"host-centre"}), "li")


async def test_an_office_takes_back_its_own_and_nobody_elses(house: House) -> None:
    await house.post(*REGISTRATIONS, *whole())
    assert said(await house.post(voided(proposed()), caller=HOSTING)) == ["rejected source_not_yours"]
    # Posted as its own it names an event that it never said.
    stolen = {**voided(proposed()), "source": HOST}
    assert said(await house.post(stolen, caller=HOSTING)) == ["waiting event_unknown"]
    assert (await house.standings())[proposed()["id"]] == "accepted applied"
    assert said(await house.post(voided(completed()), caller=HOSTING)) == ["accepted applied"]


async def test_an_administrator_takes_back_for_any_office_and_is_recorded(house: House) -> None:
    await house.post(*REGISTRATIONS, announced())
    await house.post(proposed(), caller=SENDING)
    void = voided(proposed())
    assert said(await house.post(void)) == ["accepted applied"]
    by = await house.rows("SELECT id, postedby FROM events WHERE source = :source ORDER BY place", source=SENDER)
    assert by == [
        {"id": proposed()["id"], "postedby": f"{SENDER}#sokha"},
        {"id": void["id"], "postedby": "administrator"},
    ]
    # The office that it was said for may take that back in turn, and is told of every change.
    back = voided(void, 61)
    assert said(await house.post(back, caller=SENDING)) == ["accepted applied"]
    assert (await house.standings())[proposed()["id"]] == "accepted applied"
    changes = {(receipt["id"], receipt["number"], receipt["code"]) for _, receipt in await house.notices()}
    assert changes == {(proposed()["id"], 2, "voided"), (proposed()["id"], 3, "applied"), (void["id"], 2, "voided")}


async def test_voids_of_voids_that_come_first(house: House) -> None:
    void = voided(announced())
    back = voided(void, 61)
    assert said(await house.post(back)) == ["waiting event_unknown"]
    assert said(await house.post(void)) == ["accepted voided"]
    assert (await house.standings())[back["id"]] == "accepted applied"
    assert said(await house.post(*REGISTRATIONS, proposed(), announced()))[-1] == "accepted applied"
    assert set((await house.standings()).values()) == {"accepted applied", "accepted voided"}
    facts = await house.facts()
    assert facts["enrolment.cohort.cn.wuxi-2025"]["status"] == "announced"
    assert any(body.get("enrolment") == place() for body in facts.values())


async def test_a_cohort_that_was_voided_and_brought_back_is_told_as_before(house: House) -> None:
    await house.post(*REGISTRATIONS, *whole())
    before = await house.facts()
    void = voided(announced())
    await house.post(void)
    assert {body["status"] for subject, body in (await house.facts()).items() if ".trainee." in subject} == {"void"}
    await house.post(voided(void, 61))
    assert await house.facts() == before
