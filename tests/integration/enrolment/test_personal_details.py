"""Personal details are in sealed columns and nowhere else."""

import logging
from typing import Any

import pytest

from services.enrolment.tables import Base
from tests.integration.enrolment.house import REGISTRATIONS, House, said
from tests.unit.enrolment.story import announced, entry, proposed, started, trainee

PLANTED = [
    "Chanthavong",
    "ចាន់ថាវង្ស",
    "KH-99887766",
    "99887766",
    "1999-12-31",
    "+85512345678",
    "who@example.org",
    "Acme Ltd",
    "Smuggled",
]
PERSON = {
    "identifiers": [{"kind": "national-id", "number": "KH-99887766", "country": "KH"}],
    "names": {"original": "ចាន់ថាវង្ស", "romanised": "Chanthavong"},
    "sex": "F",
    "birth_date": "1999-12-31",
    "contact": {"phone": "+85512345678", "email": "who@example.org"},
    "consent": {"by": "self", "date": "2025-03-01", "notice": "n1"},
}
CORRECTION = {key: PERSON[key] for key in ("names", "identifiers", "birth_date", "contact")}


async def test_no_table_holds_them(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    enrolled = {
        **proposed("02", person=PERSON, employer="Acme Ltd"),
        "type": "trainee.enrolled.v1",
        "subject": "Chanthavong",
    }
    unknown_fields = {**started(), "who": "Smuggled"}
    unknown_fields["data"] = {**unknown_fields["data"], "note": "Chanthavong"}
    story = [*REGISTRATIONS, announced(), proposed("01", person=PERSON, note="Smuggled"), enrolled, unknown_fields,
             trainee("person.corrected", "01", 9, **CORRECTION),
             {**proposed("03", person=PERSON), "id": proposed("01")["id"]}]  # fmt: skip
    assert said(await house.post(*story)) == ["accepted applied"] * 8 + ["rejected id_reused"]
    for table in Base.metadata.sorted_tables:
        for row in await house.rows(f"SELECT * FROM {table.name}"):  # noqa: S608
            for column, value in row.items():
                for planted in PLANTED:
                    assert planted not in repr(value), (table.name, column, planted)
                    assert not isinstance(value, bytes) or planted.encode() not in value, (table.name, column)
    for planted in PLANTED:
        assert planted not in caplog.text


async def test_what_is_sealed_opens_with_the_secret(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed("01", person=PERSON))
    [row] = await house.rows("SELECT e.*, k.sealed AS key FROM register_entries e JOIN register_keys k USING (owner)")
    opened = house.register.unseal(row["key"], row["owner"], row["sealed"], f"{row['source']}/{row['id']}")
    assert "Chanthavong" in opened.decode()


async def test_the_age_band_survives_every_way_of_folding(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed("01", person=PERSON))
    subject = "enrolment.trainee.kh.wuxi-2025.01"
    assert (await house.facts())[subject]["age_band"] == "Y25T34"
    changed: dict[str, Any] = {**announced(day=6), "type": "cohort.changed.v1", "data": {"cohort": "wuxi-2025"}}
    changed["data"] |= {"starts_on": "2024-12-30"}
    await house.post(changed)  # the short way, from the stored state
    assert (await house.facts())[subject]["age_band"] == "Y15T24"
    await house.post(
        {
            **changed,
            "id": "back",
            "time": "2025-03-02T00:00:00+00:00",
            "data": {"cohort": "wuxi-2025", "mode": "online"},
        }
    )
    assert (await house.facts())[subject]["age_band"] == "Y15T24"


def test_nothing_personal_in_a_representation() -> None:
    shown = repr(entry(proposed("01", person=PERSON)))
    assert not [planted for planted in PLANTED if planted in shown]
