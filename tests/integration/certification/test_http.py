"""Certification over HTTP, with the broker away: who may ask what, and what bad input gets."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.certification.app import create
from services.certification.settings import Settings
from shared.database import Database
from shared.offices import new_token
from tests import nul
from tests.apps import SharedApp
from tests.contract.answers import as_documented
from tests.integration.certification.given import ROLES, a_cohort, a_trainee, an_office, fields, tell
from tests.integration.http.test_every_service import OPEN
from tests.servers import broker_files
from tests.unit.certification.given import (
    BODY,
    CENTRE,
    OTHER_BODY,
    SENDER,
    assessed,
    awarded,
    registered,
    trainee,
    voided,
)

ADMINISTRATOR = "an-administrators-token"
READER = "/offices/fr/donor"
OUTSIDER = "/offices/th/elsewhere"
LAO = "/offices/la/ministry"
ROLES_HERE = {**ROLES, READER: "reader", OUTSIDER: "host-centre", LAO: "sending-office"}
TOKENS = {office: new_token(office) for office in ROLES_HERE}
ONE, BATCH, NDJSON = "application/cloudevents+json", "application/cloudevents-batch+json", "application/x-ndjson"


def settings(database_url: str, folder: Path, public_url: str | None = None) -> Settings:
    (folder / "secret").write_text("ab" * 32)
    (folder / "admin").write_text(ADMINISTRATOR + "\n")
    return Settings(
        database_url=database_url,
        nats_url="nats://127.0.0.1:1",
        **broker_files(folder, "certification"),
        secret_file=folder / "secret",
        admin_token_file=folder / "admin",
        enrolment_url="http://enrolment.example",
        public_url=public_url,
    )


@pytest.fixture(scope="module")
def shared_app(migrated: str, tmp_path_factory: pytest.TempPathFactory) -> SharedApp:
    made = settings(migrated, tmp_path_factory.mktemp("certification"))
    return SharedApp(lambda: create(made))


@pytest.fixture
def app(shared_app: SharedApp) -> FastAPI:
    return shared_app.fresh()


@pytest.fixture
async def client(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """With offices, a Wuxi cohort of a Cambodian and a Lao trainee, and a scheme."""
    lao = a_trainee(trainee("002"), country="LA")
    parties = [{"office": office, "role": role} for office, role in ROLES.items()]
    parties += [{"office": LAO, "role": "sending-office"}, {"office": READER, "role": "reader"}]
    await tell(
        database,
        *(an_office(office, TOKENS[office], [role]) for office, role in ROLES_HERE.items()),
        a_cohort(parties=parties),
        a_trainee(trainee("001")),
        lao,
    )
    transport = httpx.ASGITransport(app=app)
    asking = httpx.AsyncClient(transport=transport, base_url="http://it", event_hooks=as_documented("certification"))
    async with app.router.lifespan_context(app), asking as made:
        yield made


def by(office: str | None, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[office] if office else ADMINISTRATOR}", **headers}


async def post(client: httpx.AsyncClient, office: str | None, *events: Mapping[str, Any]) -> httpx.Response:
    return await client.post("/v1/events", content=json.dumps(events), headers=by(office, **{"Content-Type": BATCH}))


async def certified(client: httpx.AsyncClient) -> None:
    answer = await post(
        client, BODY, *map(fields, (registered("scheme", 1), awarded("c", 14), awarded("d", 14, "002", printed="S-2")))
    )
    assert answer.status_code == 200


async def items(client: httpx.AsyncClient, path: str, office: str | None) -> list[dict[str, Any]]:
    answer = await client.get(path, headers=by(office))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_every_endpoint_but_health_asks_who_is_calling(client: httpx.AsyncClient, app: FastAPI) -> None:
    routers = [app, *(route.original_router for route in app.routes if hasattr(route, "original_router"))]
    paths = {
        (method, route.path)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        and (route.include_in_schema or route.path in ("/livez", "/readyz"))  # and no page
        for method in route.methods
    } - {(method, path) for path in OPEN for method in ("GET", "POST")}
    assert ("GET", "/v1/certificates") in paths
    for method, path in paths:
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}):
            answer = await client.request(method, path.replace("{", "").replace("}", ""), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised"), path


async def test_health_tells_the_truth_and_posts_need_no_broker(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert (await post(client, BODY, fields(registered("scheme", 1)))).status_code == 200


async def test_the_way_of_an_award(client: httpx.AsyncClient) -> None:
    await certified(client)
    body = "\n".join(json.dumps(fields(event)) for event in (assessed("a", 11), assessed("b", 12)))
    answer = await client.post("/v1/events", content=body, headers=by(CENTRE, **{"Content-Type": NDJSON}))
    assert [receipt["code"] for receipt in answer.json()["receipts"]] == ["applied", "attempt_already_reported"]
    position = answer.json()["position"]
    assert position == {"CERTIFICATION": 4}
    assert (await client.get("/v1/position", headers=by(READER))).json() == {"position": position, "heard": {}}
    (scheme,) = await items(client, "/v1/schemes", OUTSIDER)
    assert (scheme["scheme"], scheme["office"], scheme["status"]) == ("vslc", BODY, "registered")
    first, second = await items(client, "/v1/certificates", BODY)
    assert {first["trainee"], second["trainee"]} == {"001", "002"}
    again = await client.get(f"/v1/certificates/{first['certificate']}", headers=by(BODY))
    assert again.json() == first


async def test_what_a_credential_calls_a_scheme_leads_to_it_without_a_token(
    client: httpx.AsyncClient, migrated: str, tmp_path: Path
) -> None:
    await certified(client)
    nothing = await client.get("/v1/schemes/vslc")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "nothing_issued"), "no public address is set"

    app = create(settings(migrated, tmp_path, "https://sampan.example"))
    asking = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://it", event_hooks=as_documented("certification")
    )
    async with app.router.lifespan_context(app), asking as anybody:
        answer = await anybody.get("/v1/schemes/vslc")
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert answer.json() == (await items(client, "/v1/schemes", BODY))[0]
        for unknown, status, code in (("elsewhere", 404, "not_found"), ("NO", 400, "invalid_query")):
            answer = await anybody.get(f"/v1/schemes/{unknown}")
            assert (answer.status_code, answer.json()["code"]) == (status, code)


SEEN = {
    None: ["001", "002"],
    BODY: ["001", "002"],
    OTHER_BODY: ["001", "002"],
    CENTRE: ["001", "002"],
    SENDER: ["001"],
    LAO: ["002"],
    OUTSIDER: [],
}


async def test_who_sees_which_certificate(client: httpx.AsyncClient) -> None:
    await certified(client)
    everything = await items(client, "/v1/certificates", None)
    for office, seen in SEEN.items():
        assert sorted(one["trainee"] for one in await items(client, "/v1/certificates", office)) == seen, office
        for one in everything:
            answer = await client.get(f"/v1/certificates/{one['certificate']}", headers=by(office))
            assert answer.status_code == (200 if one["trainee"] in seen else 404), office


async def test_a_reader_sees_neither_schemes_nor_certificates(client: httpx.AsyncClient) -> None:
    await certified(client)
    for path in ("/v1/schemes", "/v1/certificates"):
        answer = await client.get(path, headers=by(READER))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
    answer = await post(client, READER, fields(awarded("x", 14, source=READER)))
    assert (answer.status_code, answer.json()["receipts"][0]["code"]) == (422, "role_not_allowed")


async def test_certificates_by_cohort_scheme_status_and_enrolment(client: httpx.AsyncClient) -> None:
    await certified(client)
    await post(client, BODY, fields(voided("v", 15, awarded("c", 14))))
    (live,) = await items(client, "/v1/certificates", BODY)
    (void,) = await items(client, "/v1/certificates?status=void", BODY)
    assert (live["trainee"], void["trainee"], void["awarded_on"]) == ("002", "001", None)
    for wanted, found in (
        ({"cohort": "wuxi"}, 1),
        ({"cohort": "else"}, 0),
        ({"scheme": "vslc"}, 1),
        ({"scheme": "x"}, 0),
    ):
        answer = await client.get("/v1/certificates", params=wanted, headers=by(BODY))
        assert len(answer.json()["items"]) == found
    assert await items(client, f"/v1/certificates?enrolment={live['enrolment']}", BODY) == [live]


async def test_an_office_sees_its_own_events_and_their_history(client: httpx.AsyncClient) -> None:
    await certified(client)
    assert [one["id"] for one in await items(client, "/v1/events", BODY)] == ["scheme", "c", "d"]
    assert await items(client, "/v1/events", CENTRE) == []
    assert len(await items(client, "/v1/events", None)) == 3
    assert await items(client, "/v1/events?status=waiting", BODY) == []
    event = (await client.get("/v1/events/cn/appraisal/d", headers=by(BODY))).json()
    assert event["event"]["data"]["certificate_number"] == "S-2"
    assert [(one["number"], one["code"]) for one in event["receipts"]] == [(1, "applied")]
    assert (await client.get("/v1/events/cn/appraisal/d", headers=by(CENTRE))).status_code == 404
    assert (await client.get("/v1/events/cn/appraisal/none", headers=by(BODY))).status_code == 404


async def test_pages(client: httpx.AsyncClient) -> None:
    await post(client, BODY, *(fields(registered(f"s{number}", 1, scheme=f"s{number}")) for number in range(5)))
    found: list[str] = []
    path = "/v1/schemes?limit=2"
    while path:
        page = (await client.get(path, headers=by(BODY))).json()
        found += [one["scheme"] for one in page["items"]]
        path = f"/v1/schemes?limit=2&after={page['next']}" if page["next"] else ""
    assert found == ["s0", "s1", "s2", "s3", "s4"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", ONE, 400, "invalid_json"),
        (b"\xff", ONE, 400, "invalid_utf8"),
        (b"{}", BATCH, 400, "not_a_batch"),
        (b"{}", "text/plain", 415, "content_type"),
        (b" " * (4 * 1024 * 1024 + 1), ONE, 413, "body_too_large"),
        (b"[" + b"{}," * 5000 + b"{}]", BATCH, 413, "too_many_events"),
    ],
)
async def test_a_body_that_cannot_be_read(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = await client.post("/v1/events", content=content, headers=by(BODY, **{"Content-Type": kind}))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_good_events_beside_bad_ones(client: httpx.AsyncClient) -> None:
    good = json.dumps(fields(registered("scheme", 1))).encode()
    lines = [b"{", good, b'{"id": "x", "id": "y"}', b'{"id": NaN}', b"[]", b"\xff", b'{"data": "\\u0000"}', good]
    answer = await client.post("/v1/events", content=b"\n".join(lines), headers=by(BODY, **{"Content-Type": NDJSON}))
    assert answer.status_code == 207
    assert [receipt["code"] for receipt in answer.json()["receipts"]] == [
        "invalid_json",
        "applied",
        "duplicate_key",
        "not_a_number",
        "not_an_object",
        "invalid_utf8",
        "invalid_text",
        "duplicate",
    ]
    assert (await post(client, BODY, {"id": "x"})).status_code == 422


SENSELESS = [
    "/v1/certificates?cohort=%00",
    "/v1/certificates?status=A%20B",
    "/v1/certificates?after=%00",
    "/v1/certificates?limit=0",
    "/v1/schemes?after=..%2F",
    "/v1/events?after=99999999999999999999",
    "/v1/events?after=-1",
    "/v1/events/cn/appraisal/%00",
    "/v1/certificates/%F0%9F%9A%A3",
]


async def test_a_question_that_makes_no_sense(client: httpx.AsyncClient) -> None:
    for path in SENSELESS:
        answer = await client.get(path, headers=by(BODY))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_query"), path


async def test_a_person_is_given_all_that_is_held_about_them(client: httpx.AsyncClient) -> None:
    await certified(client)
    for office, status in ((None, 200), (SENDER, 200), (BODY, 200), (CENTRE, 200), (LAO, 404), (OUTSIDER, 404)):
        assert (await client.get("/v1/persons/person-001/export", headers=by(office))).status_code == status, office
    assert (await client.get("/v1/persons/person-001/export", headers=by(READER))).status_code == 403
    held = (await client.get("/v1/persons/person-001/export", headers=by(SENDER))).json()
    assert [(fact["trainee"], fact["status"]) for fact in held["certificates"]] == [("001", "issued")]
    assert [(event["id"], event["receipts"][-1]["code"]) for event in held["events"]] == [("c", "applied")]
    acts = await items(client, "/v1/audit?action=details.exported", None)
    assert [(act["office"], act["subject"]) for act in acts] == [
        (office, "person-001") for office in (None, SENDER, BODY, CENTRE, SENDER)
    ]


async def test_what_is_rejected_is_kept_but_nothing_that_was_meant_for_enrolment(client: httpx.AsyncClient) -> None:
    bad = {**fields(awarded("c", 14)), "time": "yesterday"}
    lost = {**bad, "type": "trainee.enrolled.v1", "data": {"person": "Sok Dara"}}
    assert (await post(client, BODY, bad, lost)).status_code == 422
    assert (await client.post("/v1/events", content=b"{", headers=by(BODY, **{"Content-Type": ONE}))).status_code == 400
    first, second = await items(client, "/v1/rejected", None)
    assert (first["source"], first["codes"], second["codes"]) == (BODY, ["time_impossible"], ["invalid_json"])
    opened = (await client.get(f"/v1/rejected/{first['id']}", headers=by(None))).json()
    assert [event["event"] for event in opened["events"]] == [bad]
    [act] = await items(client, "/v1/audit?action=rejected.read", None)
    assert (act["officer"], act["subject"]) == ("administrator", str(first["id"]))
    unread = b'{"type": "trainee.enrolled.v1", "data": {"person": "Sok Dara", }}'
    for content in (unread, unread + b"\xff", b'{"type": "certificate.awarded.v1"}\n' + unread):
        headers = by(BODY, **{"Content-Type": NDJSON if b"\n" in content else ONE})
        assert (await client.post("/v1/events", content=content, headers=headers)).status_code in (400, 422)
    *_, third = listed = await items(client, "/v1/rejected", None)
    assert len(listed) == 3, "of what could not be read only what speaks of no type of enrolment's"
    opened = (await client.get(f"/v1/rejected/{third['id']}", headers=by(None))).json()
    assert [event["event"] for event in opened["events"]] == [{"type": "certificate.awarded.v1"}]
    assert (await client.get("/v1/rejected", headers=by(BODY))).status_code == 403


TO_ENROLMENT = json.dumps({"type": "trainee.enrolled.v1", "data": {"person": "Sok Dara"}}, indent=1)
MEANT_FOR_ENROLMENT = {
    "UTF-16": TO_ENROLMENT.encode("utf-16"),
    "UTF-16 without a mark": TO_ENROLMENT.encode("utf-16-le"),
    "UTF-16 the other way round": TO_ENROLMENT.encode("utf-16-be"),
    "an escape in its type": TO_ENROLMENT.replace("trainee.", "trainee\\u002e")[:-1].encode(),
    "JSON within JSON": json.dumps(TO_ENROLMENT.replace("trainee.", "trainee\\u002E")).encode(),
    "a line to a field": TO_ENROLMENT.encode(),
}


@pytest.mark.parametrize("kind", [ONE, NDJSON])
@pytest.mark.parametrize("body", MEANT_FOR_ENROLMENT.values(), ids=MEANT_FOR_ENROLMENT.keys())
async def test_nothing_is_kept_that_was_meant_for_enrolment_however_it_was_written(
    client: httpx.AsyncClient, body: bytes, kind: str
) -> None:
    answer = await client.post("/v1/events", content=body, headers=by(BODY, **{"Content-Type": kind}))
    assert answer.status_code in (400, 422)
    assert await items(client, "/v1/rejected", None) == []


async def test_no_address_breaks_on_a_nul(client: httpx.AsyncClient, app: FastAPI) -> None:
    client.event_hooks = {}  # forms and pages are in no document
    client.headers.update(by(None))
    assert await nul.answered(client, app) > 50
