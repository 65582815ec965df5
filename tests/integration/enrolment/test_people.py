"""Who sees whose details, over HTTP: looks, exports, likely duplicates, crossings, keys."""

import json
from typing import Any

import httpx
import pytest

from services.enrolment.tables import Base
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, registered
from tests.integration.enrolment.test_persons import in_other
from tests.remembering import Place, once_told
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    HOURS,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    attended,
    completed,
    decided,
    forgotten,
    on,
    person,
    place,
    proposed,
    session,
    started,
    trainee,
    voided,
)

Client = httpx.AsyncClient
BODY, LAO = "/offices/cn/osta", "/offices/la/tvet"
ROLES = {
    COORDINATOR: "coordinator",
    SENDER: "sending-office",
    HOST: "host-centre",
    BODY: "awarding-body",
    LAO: "sending-office",
    STRANGER: "host-centre",
    "/offices/cn/press": "reader",
}
ALL = [*PARTIES, {"office": BODY, "role": "awarding-body"}, {"office": LAO, "role": "sending-office"}]
PASSPORT = {"kind": "passport", "number": "N123456", "country": "KH"}
DARA = person(
    names={"original": "សុខ ដារ៉ា", "language": "km", "romanised": "Sok Dara"},
    identifiers=[PASSPORT],
    contact={"phone": "+85512345678"},
    consent={"by": "self", "date": "2025-03-01", "notice": "n1", "purposes": ["training", "certification"]},
)
LAOS = person(names={"original": "ສົມສັກ", "romanised": "Somsak"}, birth_date="1999-09-09")
STORY = [
    *REGISTRATIONS,
    announced(parties=ALL),
    proposed("01", person=DARA, employer="Acme"),
    proposed("02", source=LAO, country="LA", person=LAOS),
    started(),
    session(1, 31, absent=["01"]),
    session(2, 32),
]


@pytest.fixture
async def offices(client: Client, house: House) -> dict[str, dict[str, str]]:
    """The tokens of the offices, once the story is told."""
    return await once_told("people's offices", lambda: _registered(client, house), Place(house.database, Base.metadata))


async def _registered(client: Client, house: House) -> dict[str, dict[str, str]]:
    await house.post(*STORY)
    tokens = await registered(client, ROLES)
    return {office: {"Authorization": f"Bearer {token}"} for office, token in tokens.items()}


async def person_of(house: House, number: str = "01", cohort: str = "wuxi-2025") -> str:
    [row] = await house.rows("SELECT person FROM enrolments WHERE enrolment = :key", key=place(number))
    return str(row["person"])


@pytest.mark.parametrize(
    ("office", "dara", "laos"),
    [
        (SENDER, 200, 404),
        (LAO, 404, 200),
        (HOST, 200, 200),
        (BODY, 200, 200),
        (STRANGER, 404, 404),
        (COORDINATOR, 403, 403),
        ("/offices/cn/press", 403, 403),
    ],
)
async def test_who_sees_whose_details(
    client: Client, house: House, offices: dict[str, dict[str, str]], office: str, dara: int, laos: int
) -> None:
    for number, status in (("01", dara), ("02", laos)):
        for path in ("", "/export"):
            answer = await client.get(f"/v1/persons/{await person_of(house, number)}{path}", headers=offices[office])
            assert answer.status_code == status, (number, path)
            assert ("Sok Dara" in answer.text) == (status == 200 and number == "01")
    listed = await client.get("/v1/cohorts/wuxi-2025/trainees", headers=offices[office])
    assert listed.status_code == (403 if dara == 403 else 200)
    if dara != 403:
        assert ["01"] * (dara == 200) + ["02"] * (laos == 200) == [line["number"] for line in listed.json()["items"]]


async def test_every_look_is_kept_and_borders_are_counted(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    dara = f"/v1/persons/{await person_of(house)}"
    for office in (SENDER, HOST, HOST, BODY, COORDINATOR, STRANGER, LAO):
        await client.get(dara, headers=offices[office])
    await client.get(f"{dara}/export", headers=offices[HOST])
    await client.get(dara)
    looks = await house.rows("SELECT office, officer, enrolment, why, sent_by, recipient FROM looks ORDER BY id")
    assert [(line["office"], line["why"], line["recipient"]) for line in looks] == [
        (SENDER, "shown", "KH"),
        (HOST, "shown", "CN"),
        (HOST, "shown", "CN"),
        (BODY, "shown", "CN"),
        (HOST, "exported", "CN"),
        (None, "shown", None),
    ]
    assert {line["enrolment"] for line in looks} == {place("01")}
    counted = (await client.get("/v1/crossings")).json()["items"]
    assert [
        (line["office"], line["recipient"], line["sent_by"], line["looks"], line["enrolments"]) for line in counted
    ] == [
        (BODY, "CN", "KH", 1, 1),
        (HOST, "CN", "KH", 3, 1),
    ]
    assert (await client.get("/v1/crossings", headers=offices[SENDER])).status_code == 403
    assert 'sampan_details_crossed_total{recipient="CN",sent_by="KH"}' in (await client.get("/metrics")).text


async def test_every_look_export_and_rotation_is_in_the_trail(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    person, both = await person_of(house), [await person_of(house, number) for number in ("01", "02")]
    dara = f"/v1/persons/{person}"
    assert len(set(both)) == 2
    for office in (HOST, STRANGER, COORDINATOR):
        await client.get(dara, headers=offices[office])
        await client.get(f"{dara}/export", headers=offices[office])
        await client.get("/v1/cohorts/wuxi-2025/trainees", headers=offices[office])
    assert (await client.post("/v1/keys/rotate")).status_code == 200
    await house.post(in_other(announced(parties=ALL)), in_other(proposed("09", person={**DARA, "identifiers": []})))
    assert (await client.get("/v1/persons/likely-duplicates", headers=offices[SENDER])).json()["items"]
    lines = (await client.get(f"/v1/audit?after={2 + len(ROLES) - 1}&limit=1000")).json()["items"]
    told = [(line["office"], line["officer"], line["action"], line["subject"], line["number"]) for line in lines]
    assert [act for act in told if act[2].startswith(("details.", "keys."))] == [
        (HOST, "sokha", "details.shown", person, 1),
        (HOST, "sokha", "details.exported", person, 1),
        (HOST, "sokha", "details.shown", "wuxi-2025", 2),
        (None, "administrator", "keys.rotated", "2", 1),
        (SENDER, "sokha", "details.compared", None, 2),
    ]


async def test_withdrawn_consent_closes_the_purpose_it_was_for(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    async def sees(office: str) -> bool:
        answer = await client.get(f"/v1/persons/{await person_of(house)}", headers=offices[office])
        exported = await client.get(f"/v1/persons/{await person_of(house)}/export", headers=offices[office])
        [line] = answer.json()["enrolments"]
        assert line["withheld"] == (line["details"] is None) == (exported.status_code == 404)
        return "Sok Dara" in answer.text

    before = await house.facts()
    withdrawn = {"by": "self", "date": on(40)}
    await house.post(trainee("consent.withdrawn", day=40, purposes=["training"], **withdrawn))
    assert [await sees(office) for office in (SENDER, HOST, BODY)] == [True, False, True]
    await house.post(trainee("consent.withdrawn", day=41, **withdrawn))
    assert [await sees(office) for office in (SENDER, HOST, BODY)] == [True, False, False]
    again = {"by": "guardian", "date": on(42), "notice": "n2", "purposes": ["training"]}
    await house.post(trainee("person.corrected", day=42, consent=again))
    assert [await sees(office) for office in (SENDER, HOST, BODY)] == [True, True, False]
    assert await house.facts() == before
    await checked(house)


async def test_details_are_as_they_were_last_said(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    await house.post(
        trainee("person.corrected", day=3, contact={"phone": "+85500000000"}),  # before the proposal
        trainee("person.corrected", day=20, names={"original": "ដារ៉ា", "romanised": "Dara"}),
    )
    answer = await client.get(f"/v1/persons/{await person_of(house)}", headers=offices[SENDER])
    assert answer.json()["enrolments"][0]["details"] == {
        "names": {"original": "ដារ៉ា", "romanised": "Dara"},
        "identifiers": [PASSPORT],
        "birth_date": "2005-04-01",
        "contact": {"phone": "+85500000000"},
        "employer": "Acme",
        "consent": DARA["consent"],
    }


async def test_names_are_shown_in_one_form_and_need_no_family_name(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    mononym = {"original": "Bé", "romanised": "Be\u0301"}
    await house.post(trainee("person.corrected", day=20, names=mononym))
    answer = await client.get(f"/v1/persons/{await person_of(house)}", headers=offices[SENDER])
    assert answer.json()["enrolments"][0]["details"]["names"] == {"original": "B\u00e9", "romanised": "B\u00e9"}


async def test_the_export_holds_all_that_is_held(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    await house.post(in_other(announced()), in_other(proposed("01", person=DARA)))
    await house.post(trainee("trainee.enrolled", "01"), completed("01"))
    await house.post(decided("merged", "01", "other/01", 20))
    await client.get(f"/v1/persons/{await person_of(house)}", headers=offices[SENDER])
    held = (await client.get(f"/v1/persons/{await person_of(house)}/export", headers=offices[SENDER])).json()
    assert [(line["cohort"], line["number"]) for line in held["enrolments"]] == [("other", "01"), ("wuxi-2025", "01")]
    assert {fact["cohort"] for fact in held["facts"]} == {"other", "wuxi-2025"}
    assert [(line["merged"], line["apart"]) for line in held["decisions"]] == [(True, False)]
    assert [(line["session"], line["hours"]) for line in held["sessions"]] == [(1, 0.0), (2, 6.0)]
    events = {event["id"]: event for event in held["events"]}
    assert set(events) == {
        "trainee-proposed-01-5",
        "o-trainee-proposed-01-5",
        "trainee-enrolled-01-10",
        "trainee-completed-01-43",
        "merged-01-other-01-20",
    }
    assert events["trainee-proposed-01-5"]["original"]["data"]["person"]["names"] == DARA["names"]
    assert events["trainee-proposed-01-5"]["receipts"][-1]["code"] == "applied"
    assert [line["why"] for line in held["looks"]] == ["shown", "shown", "exported", "exported"]


async def test_the_hours_of_an_export_are_those_that_reports_count(client: Client, house: House) -> None:
    """Given trainees who withdrew, declined, did not arrive or are listed twice, then what they are given of themselves counts no
    other hours than ``training_hours`` does."""
    await house.post(*REGISTRATIONS, *attended())
    given = {}
    for number in HOURS:
        held = (await client.get(f"/v1/persons/{await person_of(house, number)}/export")).json()
        given[number] = [(line["session"], line["hours"]) for line in held["sessions"]]
    assert given == {number: list(enumerate(hours, 1)) for number, hours in HOURS.items()}


async def test_who_was_forgotten_is_there_without_details(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    await house.post(forgotten("01"))
    for path in ("", "/export"):
        answer = await client.get(f"/v1/persons/{await person_of(house)}{path}", headers=offices[SENDER])
        assert answer.status_code == 200
        [line] = answer.json()["enrolments"]
        assert (line["details"], line["forgotten"]) == (None, True)
        assert "Sok" not in answer.text
        assert "N123456" not in answer.text


# --- likely duplicates


def named(number: str, romanised: str, born: str | None, original: str = "") -> dict[str, Any]:
    who = person(number, names={"original": original or f"{number}ក{number}", "romanised": romanised})
    return in_other(
        proposed(number, person={**who, "birth_date": born} if born else {"names": who["names"], "sex": "F"})
    )


async def duplicates(client: Client, **more: Any) -> list[tuple[str, str, str]]:
    answer = await client.get("/v1/persons/likely-duplicates", **more)
    assert answer.status_code == 200
    return sorted(
        (*sorted((pair["one"]["number"], pair["other"]["number"])), pair["birth_dates"])
        for pair in answer.json()["items"]
    )


async def test_likely_duplicates_are_close_in_either_script(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    await house.post(
        in_other(announced()),
        named("11", "Dara Sok", "2005-04-01"),  # like 01: the parts in another order
        named("12", "Sok Dara", "2005-01-04"),  # day and month exchanged
        named("13", "Soc Daraa", "2005-04-02"),
        named("14", "Someone", "2005-04-01", "សុខ ដារ៉ា"),  # alike in the original script
        named("15", "Sok Dara", "1971-11-30"),  # another birth date altogether
        named("16", "Bopha Chan", "2005-04-01"),  # another name altogether
        named("17", "Sok Dara", None),
    )
    found = await duplicates(client)
    assert ("01", "11", "same") in found
    assert ("01", "12", "day and month exchanged") in found
    assert ("01", "14", "same") in found
    assert ("01", "13", "one digit differs") in found
    assert ("01", "17", "unknown") in found
    assert not [pair for pair in found if "16" in pair]
    assert [pair for pair in found if "15" in pair] == [("15", "17", "unknown")]
    assert await duplicates(client, headers=offices[LAO]) == []
    assert await duplicates(client, headers=offices[SENDER]) == found
    assert {line["why"] for line in await house.rows("SELECT why FROM looks")} == {"compared"}


async def test_what_is_decided_is_listed_no_more(client: Client, house: House) -> None:
    twins = [named("11", "Sok Dara", "2005-04-01"), named("12", "Sok Dara", "2005-04-01")]
    await house.post(*STORY, in_other(announced()), *twins)
    assert len(await duplicates(client)) == 3
    await house.post(decided("merged", "01", "other/11", 50), decided("parted", "01", "other/12", 50))
    assert await duplicates(client) == [("11", "12", "same")]
    await house.post(decided("parted", "01", "other/11", 51))
    assert await duplicates(client) == [("01", "11", "same"), ("11", "12", "same")]


# --- keys


async def test_only_administrators_rotate_keys(client: Client, offices: dict[str, dict[str, str]]) -> None:
    assert (await client.post("/v1/keys/rotate", headers=offices[SENDER])).status_code == 403


# --- what was rejected


async def test_rejected_bodies_are_kept_for_administrators(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    bad = {**proposed("05", person=DARA), "time": "yesterday"}
    headers = {"Content-Type": "application/cloudevents+json", **offices[SENDER]}
    assert (await client.post("/v1/events", content=json.dumps(bad), headers=headers)).status_code == 422
    [line] = (await client.get("/v1/rejected")).json()["items"]
    assert (line["source"], line["postedby"], line["codes"]) == (SENDER, f"{SENDER}#sokha", ["time_impossible"])
    read = (await client.get(f"/v1/rejected/{line['id']}")).json()
    assert read["events"] == [{"place": 1, "code": "time_impossible", "event": bad}]
    assert "Sok Dara" not in str(await house.rows("SELECT * FROM rejected"))
    [act] = (await client.get("/v1/audit?action=rejected.read")).json()["items"]
    assert (act["officer"], act["subject"]) == ("administrator", str(line["id"]))
    for path in ("/v1/rejected", f"/v1/rejected/{line['id']}"):
        assert (await client.get(path, headers=offices[SENDER])).status_code == 403
    assert (await client.get("/v1/rejected/99")).status_code == 404
    await house.rows("UPDATE rejected SET expires = now() RETURNING id")
    assert (await client.get(f"/v1/rejected/{line['id']}")).status_code == 404
    async with house.database.transaction() as work:
        await house.archive.rejected.forget_expired(work)
    assert await house.rows("SELECT id FROM rejected") == []


@pytest.mark.parametrize(
    ("kind", "body", "code", "kept"),
    [
        ("application/json-seq", b"Sok Dara", "content_type", {"written": "Sok Dara"}),
        ("application/x-ndjson", b"Sok Dara", "invalid_json", {"written": "Sok Dara"}),
        ("application/x-ndjson", b"\xff", "invalid_utf8", {"written": "/w==", "encoding": "base64"}),
        ("application/cloudevents+json", b'{"a": "\\ud800"}', "invalid_text", {"written": '{"a": "\\ud800"}'}),
        ("application/cloudevents+json", b'{"id": 1', "invalid_json", {"written": '{"id": 1'}),
    ],
)
async def test_what_could_not_be_read_is_kept_as_it_came(
    client: Client, kind: str, body: bytes, code: str, kept: dict[str, str], house: House
) -> None:
    assert (await client.post("/v1/events", content=body, headers={"Content-Type": kind})).status_code >= 400
    [line] = (await client.get("/v1/rejected")).json()["items"]
    [event] = (await client.get(f"/v1/rejected/{line['id']}")).json()["events"]
    assert (event["code"], event["event"]) == (code, kept)


async def test_what_could_not_be_read_of_a_message_is_kept(house: House) -> None:
    await house.handlers.take_messages([("intake.enrolment.kh.ntti", b"not JSON")])
    [line] = await house.rows("SELECT source, codes FROM rejected")
    assert (line["source"], line["codes"]) == (SENDER, ["invalid_json"])


DAVY = person(
    "9",
    names={"original": "ដាវី", "romanised": "Chan Davy"},
    identifiers=[{"kind": "passport", "number": "D777", "country": "KH"}],
)


async def test_an_export_gives_no_original_of_somebody_else(
    client: Client, house: House, offices: dict[str, dict[str, str]]
) -> None:
    slip, again = (
        proposed("03", 5, person=DAVY),
        {**proposed("03", 7, person=DARA | {"identifiers": []}), "id": "again"},
    )
    await house.post(slip, voided(slip), again, proposed("04", 8, person=DAVY))
    await house.post({**proposed("03", 9, person=DAVY), "id": "taken"})
    await house.post(early := proposed("04", 6, person=DAVY, trade="cabling", id_="slip"), voided(early, 61))
    assert (await house.standings())["slip"] == "accepted voided"
    answer = await client.get(f"/v1/persons/{await person_of(house, '03')}/export", headers=offices[SENDER])
    assert "Sok Dara" in answer.text
    assert "Davy" not in answer.text
    assert "D777" not in answer.text
    listed = {event["id"]: event["original"] for event in answer.json()["events"]}
    assert (listed[slip["id"]], listed["taken"]) == (None, None)
    # What did not apply is theirs, too, if it says so by an identifier.
    answer = await client.get(f"/v1/persons/{await person_of(house, '04')}/export", headers=offices[SENDER])
    assert [event["id"] for event in answer.json()["events"] if event["original"]] == ["trainee-proposed-04-8", "slip"]
