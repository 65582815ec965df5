"""What an office wrote beside the fields that its events have: it is kept as it came, and counts for nothing."""

from typing import Any

import pytest

from services.enrolment.journal import Journal
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, said
from tests.unit.enrolment.story import COORDINATOR, announced, cohort, entry, forgotten, person, proposed, trainee

UNKNOWN = ["Sok Dara", ["1999-12-31"], 19991231, {"birth_date": "1999-12-31"}, {"birth_date": "31/12/1999"}, True, None]
"""One of each kind that JSON has."""
PLACES = ["person", "birth_date", "identifiers", "names", "contact", "sex", "consent", "employer", "note"]
"""Names that some other type has, or that a type has elsewhere."""
SHARED = person(birth_date="2001-02-03", identifiers=[{"kind": "passport", "number": "N1", "country": "KH"}])
SAID = [
    proposed("01", person=SHARED),
    proposed("01", person={**SHARED, "birth_date": None}),
    proposed("01", person=None),
    {**proposed("01", person=SHARED), "type": "trainee.enrolled.v1"},
    {**trainee("trainee.enrolled", "01")},
    trainee("person.corrected", "01"),
    trainee("person.corrected", "01", birth_date="2001-02-04", sex="M"),
    trainee("person.corrected", "01", identifiers=[], contact={"phone": "+85512345678"}),
]
"""Each type with personal details, with much and with little."""


def with_unknown() -> list[dict[str, Any]]:
    """Each of these events with each unknown value wherever its model has no field of that name."""
    found = []
    for event in SAID:
        known = {"names", "birth_date", "identifiers", "sex", "contact", "disability", "consent"}
        corrects = event["type"] == "person.corrected.v1"
        for place in PLACES:
            for value in UNKNOWN:
                if place not in (known if corrects else {"person", "employer"}):
                    found.append({**event, "data": {**event["data"], place: value}})
                if event["data"].get("person") and place not in known:
                    more = {**event["data"]["person"], place: value}
                    found.append({**event, "data": {**event["data"], "person": more}})
    return [{**event, "id": f"said-{number}"} for number, event in enumerate(found)]


async def test_an_event_is_read_again_as_it_arrived(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), *(events := with_unknown()))
    async with house.database.transaction() as session:
        kept = (await Journal(session, house.register).journal(["cohort/wuxi-2025"]))["cohort/wuxi-2025"]
    read = {one.entry.id: one.entry for one in kept}
    for event in events:
        assert read[event["id"]] == entry(event), event
    await checked(house)


@pytest.mark.parametrize("unknown", UNKNOWN, ids=repr)
async def test_a_cohort_is_folded_whatever_stands_beside_a_correction(house: House, unknown: Any) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed("01", person=SHARED))
    assert said(await house.post(trainee("person.corrected", "01", person=unknown))) == ["accepted applied"]
    moved = cohort("cohort.changed", 2, COORDINATOR, mode="online")  # comes late, so that all is folded again
    assert said(await house.post(moved)) == ["accepted applied"]
    assert (await house.facts())["enrolment.trainee.kh.wuxi-2025.01"]["age_band"] == "Y15T24"
    await checked(house)


@pytest.mark.parametrize("unknown", UNKNOWN, ids=repr)
async def test_they_are_forgotten_whatever_stands_beside_their_details(house: House, unknown: Any) -> None:
    contact = {"phone": None, "email": None, "telegram": unknown}
    names = {**SHARED["names"], "nickname": unknown}
    await house.post(*REGISTRATIONS, announced(), proposed("01", person={**SHARED, "contact": contact, "names": names}))
    await house.post(trainee("person.corrected", "01", names=None, contact=contact, identifiers=None, person=unknown))
    assert said(await house.post(forgotten("01"))) == ["accepted applied"]
    await checked(house)
