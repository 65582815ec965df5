"""Enrolment over HTTP, with the broker away."""

import json
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.enrolment.tables import Base
from shared.database import Database
from tests import nul
from tests.integration.enrolment.house import BEARER, REGISTRATIONS, registered
from tests.remembering import Place, once_told
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    cohort,
    place,
    programme,
    proposed,
    voided,
    whole,
)

NDJSON = "application/x-ndjson"
BATCH = "application/cloudevents-batch+json"
ONE = "application/cloudevents+json"
OFFICES = {COORDINATOR: "coordinator", SENDER: "sending-office", HOST: "host-centre", STRANGER: "sending-office"}
Client = httpx.AsyncClient
Bearer = dict[str, str]


@pytest.fixture
async def offices(client: Client, database: Database) -> dict[str, Bearer]:
    """The tokens of the story's offices, and of one that only reads."""
    return await once_told("offices, one of which reads", lambda: _registered(client), Place(database, Base.metadata))


async def _registered(client: Client) -> dict[str, Bearer]:
    tokens = await registered(client, {**OFFICES, "/offices/cn/press": "reader"})
    return {office: {"Authorization": f"Bearer {token}"} for office, token in tokens.items()}


async def post(client: Client, *events: dict[str, Any], **kwargs: Any) -> httpx.Response:
    content = "\n".join(json.dumps(event) for event in events)
    headers = {"Content-Type": NDJSON, **kwargs.pop("headers", {})}
    return await client.post("/v1/events", content=content, headers=headers, **kwargs)


async def send(client: Client, body: bytes, kind: str = NDJSON, **headers: str) -> httpx.Response:
    return await client.post("/v1/events", content=body, headers={"Content-Type": kind, **headers})


# --- events


async def test_one_a_batch_or_lines(client: Client) -> None:
    one = await send(client, json.dumps(programme()).encode(), ONE)
    batch = await send(client, json.dumps([programme(), announced()]).encode(), BATCH)
    lines = await post(client, announced(), proposed())
    assert [answer.status_code for answer in (one, batch, lines)] == [200, 200, 200]
    assert [line["status"] for line in batch.json()["receipts"]] == ["duplicate", "waiting"]
    assert batch.json()["receipts"][0]["current"]["number"] == 1
    assert one.json()["position"] == {"ENROLMENT": 1}


async def test_some_rejected_is_207_and_all_rejected_422(client: Client) -> None:
    bad = {**proposed(), "type": "trainee.invented.v1"}
    assert (await post(client, bad, announced())).status_code == 207
    assert (await post(client, bad)).status_code == 422
    assert (await send(client, b"[]", BATCH)).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "code"),
    [
        (b"{", ONE, {}, 400, "invalid_json"),
        (b"\xff\xfe", ONE, {}, 400, "invalid_utf8"),
        (b"{}", "text/plain", {}, 415, "content_type"),
        (b"{}", ONE, {"Content-Encoding": "gzip"}, 415, "content_encoding"),
        (b" " * (4 * 1024 * 1024 + 1), NDJSON, {}, 413, "body_too_large"),
        (b"{}\n" * 5001, NDJSON, {}, 413, "too_many_events"),
        (b"{}", BATCH, {}, 400, "not_a_batch"),
        (b"[" * 100_000, BATCH, {}, 400, "too_deep"),
    ],
)
async def test_a_body_that_cannot_be_read(
    client: Client, body: bytes, kind: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await send(client, body, kind, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def changed(path: str, value: Any) -> bytes:
    event: dict[str, Any] = json.loads(json.dumps(proposed()))
    *parents, last = path.split(".")
    inner = event
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return json.dumps(event).encode()


BAD: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{nonsense}", "invalid_json"),
    "bad UTF-8": (b'{"id": "\xff"}', "invalid_utf8"),
    "NaN": (b'{"id": NaN}', "not_a_number"),
    "duplicate key": (b'{"id": "a", "id": "b"}', "duplicate_key"),
    "a list": (b"[]", "not_an_object"),
    "NUL": (b'{"id": "\\u0000"}', "invalid_text"),
    "too deep": (b'{"a":' * 30 + b"1" + b"}" * 30, "too_deep"),
    "no envelope": (b"{}", "invalid_envelope"),
    "unknown type": (changed("type", "trainee.invented.v1"), "unknown_type"),
    "unknown version": (changed("type", "trainee.proposed.v9"), "unknown_version"),
    "the other service's type": (changed("type", "trainee.assessed.v1"), "wrong_service"),
    "no offset": (changed("time", "2025-03-06T08:00:00"), "missing_offset"),
    "a year of the Buddha": (changed("time", "2568-03-06T08:00:00+07:00"), "date_impossible"),
    "no such day": (changed("data.person.birth_date", "2001-02-30"), "date_impossible"),
    "a time to come": (changed("time", "2099-03-06T08:00:00+07:00"), "time_in_future"),
    "a day after its time": (changed("data.date", "2025-03-20"), "date_after_time"),
    "a code with a dot": (changed("data.cohort", "wuxi.2025"), "invalid_code"),
    "a code in capitals": (changed("id", "ABC"), "invalid_code"),
    "a code too long": (changed("data.number", "1" * 64), "invalid_code"),
    "a wildcard": (changed("data.number", "*"), "invalid_code"),
    "a number for a text": (changed("data.trade", 5), "invalid_data"),
    "no such country": (changed("data.country", "XX"), "unknown_country"),
    "an override in a name": (changed("data.person.names.original", "a\u202eb"), "invalid_text"),
    "too large for one event": (changed("data.note", "x" * 70_000), "event_too_large"),
    "a void of what certification takes": (
        json.dumps(voided(voided(proposed()), about="certificate.awarded.v1")).encode(),
        "wrong_service",
    ),
    "an announcer who is no party": (json.dumps(announced(source=STRANGER)).encode(), "announcer_not_party"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_event_between_good_ones(client: Client, name: str) -> None:
    bad, code = BAD[name]
    good = [json.dumps(event).encode() for event in REGISTRATIONS]
    answer = await send(client, b"\n".join([good[0], bad, good[1]]))
    assert answer.status_code == 207
    assert [line["status"] for line in answer.json()["receipts"]] == ["accepted", "rejected", "accepted"]
    assert answer.json()["receipts"][1]["code"] == code


async def test_a_title_that_grows_when_it_is_composed_stops_nobody(client: Client, offices: dict[str, Bearer]) -> None:
    await post(client, *REGISTRATIONS, announced())
    grows = cohort("cohort.changed", 2, STRANGER, titles={"en": "\u0958" * 300})

    answers = [await post(client, grows, proposed()), await post(client, voided(announced()))]

    receipts = [receipt for answer in answers for receipt in answer.json()["receipts"]]
    assert [(one["status"], one["code"]) for one in receipts] == [
        ("rejected", "invalid_data"),
        ("accepted", "applied"),
        ("accepted", "applied"),
    ]


async def test_posting_for_another_office_or_without_the_role(client: Client, offices: dict[str, Bearer]) -> None:
    answer = await post(client, programme(), headers=offices[SENDER])
    assert (answer.status_code, answer.json()["receipts"][0]["code"]) == (422, "source_not_yours")
    answer = await post(client, {**programme(), "source": SENDER}, headers=offices[SENDER])
    assert answer.json()["receipts"][0]["code"] == "role_not_allowed"
    answer = await post(client, proposed(), headers=offices[SENDER])
    assert answer.json()["receipts"][0]["code"] == "cohort_unknown"


async def test_an_event_with_every_change_of_its_receipt(client: Client, offices: dict[str, Bearer]) -> None:
    await post(client, proposed(), headers=offices[SENDER])
    await post(client, *REGISTRATIONS, announced())
    address = f"/v1/events/kh/ntti/{proposed()['id']}"
    answer = (await client.get(address, headers=offices[SENDER])).json()
    assert [(line["number"], line["code"]) for line in answer["receipts"]] == [(1, "cohort_unknown"), (2, "applied")]
    assert answer["current"]["number"] == 2
    assert "person" not in answer["event"]["data"]
    assert (await client.get(address, headers=offices[STRANGER])).status_code == 404


async def test_ones_own_events_with_filters_and_pages(client: Client, offices: dict[str, Bearer]) -> None:
    await post(client, *REGISTRATIONS, *whole(), proposed("09", cohort="other"))
    mine = offices[SENDER]
    first = (await client.get("/v1/events?limit=2", headers=mine)).json()
    rest = (await client.get(f"/v1/events?after={first['next']}", headers=mine)).json()
    assert len(first["items"]) == 2
    assert rest["next"] is None
    everything = first["items"] + rest["items"]
    assert {item["source"] for item in everything} == {SENDER}
    waiting = (await client.get("/v1/events?status=waiting", headers=mine)).json()["items"]
    assert [item["current"]["code"] for item in waiting] == ["cohort_unknown"]
    assert len((await client.get("/v1/events?cohort=other", headers=mine)).json()["items"]) == 1
    assert len((await client.get(f"/v1/events?id={proposed()['id']}", headers=mine)).json()["items"]) == 1
    assert (await client.get(f"/v1/events?source={HOST}", headers=mine)).json()["items"] == []
    for bad in ("limit=0", "limit=x", "after=%00", "source=x", "status=%27"):
        assert (await client.get(f"/v1/events?{bad}", headers=mine)).status_code == 400


# --- what is true


async def test_programmes_and_centres(client: Client, offices: dict[str, Bearer]) -> None:
    await post(client, *REGISTRATIONS)
    answer = (await client.get("/v1/programmes", headers=offices[STRANGER])).json()
    assert [line["programme"] for line in answer["items"]] == ["partnership"]
    first = (await client.get("/v1/centres?limit=1", headers=offices[STRANGER])).json()
    second = (await client.get(f"/v1/centres?limit=1&after={first['next']}", headers=offices[STRANGER])).json()
    assert [line["centre"] for line in first["items"] + second["items"]] == ["ntti", "wuxi-institute"]
    assert (await client.get("/v1/programmes", headers=offices["/offices/cn/press"])).status_code == 403


async def test_a_cohort_is_for_its_parties(client: Client, offices: dict[str, Bearer]) -> None:
    parties = [*PARTIES, {"office": STRANGER, "role": "sending-office"}]
    lao = proposed("08", source=STRANGER, country="LA")
    await post(client, *REGISTRATIONS, announced(parties=parties), *whole()[1:], lao)
    await post(client, {**announced(cohort="other"), "id": "other"})
    seen = {
        office: (await client.get("/v1/cohorts/wuxi-2025", headers=offices[office])).json()
        for office in (COORDINATOR, SENDER, HOST, STRANGER)
    }
    numbers = {office: [line["number"] for line in answer["enrolments"]] for office, answer in seen.items()}
    assert numbers == {
        COORDINATOR: ["01", "02", "08"],
        HOST: ["01", "02", "08"],
        SENDER: ["01", "02"],
        STRANGER: ["08"],
    }
    assert seen[SENDER]["counts"] == {"completed": 1, "withdrawn": 1}
    assert len(seen[SENDER]["cohort"]["sessions"]) == 2
    listed = (await client.get("/v1/cohorts", headers=offices[STRANGER])).json()["items"]
    assert [line["cohort"] for line in listed] == ["wuxi-2025"]
    assert (await client.get("/v1/cohorts/other", headers=offices[STRANGER])).status_code == 404
    assert (await client.get("/v1/cohorts/none", headers=offices[STRANGER])).status_code == 404
    assert (await client.get("/v1/cohorts/wuxi-2025", headers=offices["/offices/cn/press"])).status_code == 403


async def test_an_enrolment_is_for_those_whom_it_concerns(client: Client, offices: dict[str, Bearer]) -> None:
    parties = [*PARTIES, {"office": STRANGER, "role": "sending-office"}]
    await post(client, *REGISTRATIONS, announced(parties=parties), proposed())
    address = f"/v1/enrolments/{place()}"
    for office, status in ((SENDER, 200), (HOST, 200), (COORDINATOR, 200), (STRANGER, 404)):
        assert (await client.get(address, headers=offices[office])).status_code == status
    answer = (await client.get(address)).json()
    assert (answer["number"], answer["status"], answer["sex"]) == ("01", "proposed", "F")
    assert not {"names", "identifiers", "birth_date"} & answer.keys()


async def test_the_position_is_that_of_the_last_post(client: Client) -> None:
    posted = (await post(client, *REGISTRATIONS)).json()["position"]
    assert (await client.get("/v1/position")).json() == {"position": posted, "heard": {}}


# --- who is calling


async def test_every_address_asks_who_is_calling(client: Client, app: FastAPI) -> None:
    asked = set()
    for route in [*app.routes, *(route for router in app.routes for route in _included(router))]:
        path, methods = getattr(route, "path", None), getattr(route, "methods", None)
        if path in (None, "/livez", "/readyz", "/session", "/session/end"):
            continue
        concrete = re.sub(r"{\w+}", "a1", path)
        for method in methods or ():
            for headers in ({"Authorization": ""}, {"Authorization": "Bearer sampan_kh_a_wrong"}):
                answer = await client.request(method, concrete, headers=headers)
                assert answer.status_code == 401, (method, path)
            asked.add((method, path))
    assert {("POST", "/v1/events"), ("GET", "/v1/cohorts/{cohort}"), ("POST", "/v1/offices")} < asked


def _included(router: Any) -> list[Any]:
    included = getattr(router, "original_router", None)
    return included.routes if included else []


async def test_offices_are_the_administrators(client: Client, offices: dict[str, Bearer]) -> None:
    for method, path in (("POST", "/v1/offices"), ("GET", "/v1/offices"), ("DELETE", "/v1/offices/kh/ntti")):
        assert (await client.request(method, path, headers=offices[COORDINATOR], json={})).status_code == 403


async def test_an_officer_more_a_revoked_office_and_what_is_told_of_it(
    client: Client, offices: dict[str, Bearer]
) -> None:
    body = {"office": SENDER, "name": "NTTI", "roles": ["sending-office", "host-centre"], "officer": "dara"}
    second = {"Authorization": f"Bearer {(await client.post('/v1/offices', json=body)).json()['token']}"}
    for bearer in (offices[SENDER], second):
        assert (await client.get("/v1/position", headers=bearer)).status_code == 200
    listed = {line["office"]: line for line in (await client.get("/v1/offices")).json()["items"]}
    assert [token["officer"] for token in listed[SENDER]["tokens"]] == ["dara", "sokha"]
    assert listed[SENDER]["name"] == "NTTI"
    assert (await client.delete("/v1/offices/kh/ntti")).status_code == 204
    assert (await client.delete("/v1/offices/kh/nobody")).status_code == 404
    for bearer in (offices[SENDER], second):
        assert (await client.get("/v1/position", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"office": "/offices/KH/x"},
        {"roles": []},
        {"roles": ["king"]},
        {"expires_days": 0},
        {"officer": ""},
        {"name": 5},
    ],
)
async def test_an_office_that_cannot_be_registered(client: Client, wrong: dict[str, Any]) -> None:
    body = {"office": SENDER, "name": "NTTI", "roles": ["sending-office"], "officer": "dara", **wrong}
    assert (await client.post("/v1/offices", json=body)).status_code == 400
    assert (await client.post("/v1/offices", content=b"{")).status_code == 400


async def test_alive_but_not_ready_while_the_broker_is_away(client: Client) -> None:
    assert (await client.get("/livez")).status_code == 200
    answer = await client.get("/readyz", headers=BEARER)
    assert answer.status_code == 503
    assert answer.json()["problems"]


async def test_addresses_with_anything_in_them_are_answered(client: Client) -> None:
    for odd in ("%00", "..", "%2e%2e", "a'b", "é", "*", ">"):
        assert (await client.get(f"/v1/cohorts/{odd}")).status_code in (400, 404)
        assert (await client.get(f"/v1/enrolments/{odd}")).status_code in (400, 404)


async def test_no_address_breaks_on_a_nul(client: Client, app: FastAPI) -> None:
    client.event_hooks = {}  # forms and pages are in no document
    assert await nul.answered(client, app) > 50
