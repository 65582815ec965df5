"""What the audit trail holds of enrolment's doors, and who may read it."""

import asyncio
import json
from typing import Any

import httpx

from services.enrolment.handlers import SERVICE
from tests.integration.enrolment.house import REGISTRATIONS, House
from tests.unit.enrolment.story import COORDINATOR, SENDER, proposed

Client = httpx.AsyncClient
NDJSON = {"Content-Type": "application/x-ndjson"}


async def registered(client: Client, office: str, role: str, officer: str = "sokha") -> dict[str, str]:
    body = {"office": office, "name": "Office", "roles": [role], "officer": officer}
    return {"Authorization": f"Bearer {(await client.post('/v1/offices', json=body)).json()['token']}"}


async def acts(client: Client, query: str = "") -> list[tuple[Any, ...]]:
    lines = (await client.get(f"/v1/audit{query}")).json()["items"]
    return [(line["office"], line["officer"], line["action"], line["subject"], line["number"]) for line in lines]


def lines(*events: dict[str, Any]) -> str:
    return "\n".join(json.dumps(event) for event in events)


async def test_offices_and_posts_are_recorded(client: Client) -> None:
    bearer = await registered(client, SENDER, "sending-office")
    await client.post("/v1/events", content=lines(proposed("01"), proposed("02")), headers={**NDJSON, **bearer})
    await client.post("/v1/events", content=lines(*REGISTRATIONS), headers=NDJSON)
    await client.delete("/v1/offices/kh/ntti")
    assert await acts(client) == [
        (None, "administrator", "office.registered", f"{SENDER}:sokha", 1),
        (SENDER, "sokha", "events.posted", None, 2),
        (None, "administrator", "events.posted", None, len(REGISTRATIONS)),
        (None, "administrator", "office.revoked", SENDER, 1),
    ]
    assert await acts(client, "?officer=sokha") == [(SENDER, "sokha", "events.posted", None, 2)]
    assert await acts(client, "?action=office.revoked") == [(None, "administrator", "office.revoked", SENDER, 1)]
    assert await acts(client, f"?subject={SENDER}") == [(None, "administrator", "office.revoked", SENDER, 1)]


async def test_what_fails_is_not_recorded(client: Client) -> None:
    await client.delete("/v1/offices/kh/nobody")
    await client.post("/v1/events", content="{}", headers={"Content-Type": "text/plain"})
    assert await acts(client) == []


async def test_the_trail_is_the_administrators_and_goes_page_by_page(client: Client) -> None:
    bearer = await registered(client, COORDINATOR, "coordinator")
    for path in ("/v1/audit", "/v1/audit/head"):
        assert (await client.get(path, headers=bearer)).status_code == 403
    for officer in ("dara", "bopha"):
        await registered(client, COORDINATOR, "coordinator", officer)
    first = (await client.get("/v1/audit?limit=2")).json()
    rest = (await client.get(f"/v1/audit?after={first['next']}")).json()
    assert [line["place"] for line in first["items"] + rest["items"]] == [1, 2, 3]
    assert rest["next"] is None
    head = (await client.get("/v1/audit/head")).json()
    assert head == {"place": 3, "digest": rest["items"][-1]["digest"]}
    for bad in ("after=x", "action=invented", "officer=Sok%20Dara", "limit=0"):
        assert (await client.get(f"/v1/audit?{bad}")).status_code == 400


async def test_who_signs_in_to_the_pages_is_recorded(client: Client) -> None:
    bearer = await registered(client, SENDER, "sending-office")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    token = bearer["Authorization"].removeprefix("Bearer ")
    assert (await client.post("/session?to=/docs", content=f"token={token}", headers=form)).status_code == 303
    assert (await client.post("/session?to=/docs", content="token=wrong", headers=form)).status_code == 401
    await client.post("/session/end")
    assert [act[:3] for act in (await acts(client))[1:]] == [
        (SENDER, "sokha", "session.started"),
        (SENDER, "sokha", "session.ended"),
    ]


async def test_a_message_of_an_office_is_recorded_as_posted_over_nats(house: House) -> None:
    subject = f"intake.{SERVICE}.kh.ntti"
    await house.rows(
        "INSERT INTO offices (office, name, roles, status, epoch, revision) "
        "VALUES ('/offices/kh/ntti', 'NTTI', '[\"sending-office\"]', 'active', 0, 0) RETURNING office"
    )
    bodies = [json.dumps([proposed("01"), proposed("02")]).encode(), json.dumps(proposed("03")).encode()]
    stranger = ("intake.enrolment.la.lak", json.dumps(proposed("04")).encode())
    await house.handlers.take_messages([*((subject, body) for body in bodies), stranger])
    rows = await house.rows("SELECT office, officer, action, number FROM audit")
    assert rows == [{"office": SENDER, "officer": "nats", "action": "events.posted", "number": 3}]


async def test_posts_at_one_time_leave_a_whole_trail(house: House) -> None:
    await asyncio.gather(*(house.post(proposed(f"{n:02}", cohort=f"cohort-{n % 4}")) for n in range(1, 21)))
    async with house.database.transaction() as session:
        assert [one async for one in house.audit.verify(session)] == []
        assert (await house.audit.head(session)).place == 20
