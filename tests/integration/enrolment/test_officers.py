"""Officers: tokens rotated without a gap, one officer revoked, new credentials; limits on what an office sends."""

import json
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.enrolment.app import create
from services.enrolment.settings import Settings
from shared.limits import FREE_FAILURES
from tests.integration.enrolment.house import BEARER, House
from tests.sheets import CSV, a_trainee, as_csv
from tests.unit.enrolment.story import SENDER, STRANGER, proposed

Client = httpx.AsyncClient
Bearer = dict[str, str]
NDJSON = {"Content-Type": "application/x-ndjson"}
OFFICERS = "/v1/offices/kh/ntti/officers"


def bearer(token: str) -> Bearer:
    return {"Authorization": f"Bearer {token}"}


async def add(client: Client, officer: str = "desk-1", office: str = SENDER, days: int = 365) -> str:
    body = {"office": office, "name": "NTTI", "roles": ["sending-office"], "officer": officer, "expires_days": days}
    token: str = (await client.post("/v1/offices", json=body)).json()["token"]
    return token


async def status(client: Client, token: str) -> int:
    return (await client.get("/v1/position", headers=bearer(token))).status_code


async def test_an_officer_rotates_their_own_token_without_a_gap(client: Client) -> None:
    old, other = await add(client), await add(client, "desk-2")
    answer = await client.post("/v1/tokens/rotate", headers=bearer(old))
    assert answer.status_code == 201
    given = answer.json()
    assert (given["office"], given["officer"]) == (SENDER, "desk-1")
    ends = datetime.fromisoformat(given["others_end"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ends <= timedelta(hours=24)
    assert [await status(client, token) for token in (old, given["token"], other)] == [200, 200, 200]
    told = {line["officer"]: [] for line in await tokens(client)}  # type: ignore[var-annotated]
    for line in await tokens(client):
        told[line["officer"]].append(datetime.fromisoformat(line["expires"]) - datetime.now(UTC) > timedelta(days=2))
    assert {name: sorted(long) for name, long in told.items()} == {"desk-1": [False, True], "desk-2": [True]}


async def tokens(client: Client) -> list[dict[str, str]]:
    offices = (await client.get("/v1/offices")).json()["items"]
    return next(line["tokens"] for line in offices if line["office"] == SENDER)


async def test_an_office_is_of_a_country_that_there_is(client: Client) -> None:
    body = {"office": "/offices/zz/aa", "name": "AA", "roles": ["reader"], "officer": "desk-1"}
    answer = await client.post("/v1/offices", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_office")
    assert answer.json()["message"] == "office: begins with no ISO 3166-1 alpha-2 country code, such as kh."
    assert not [line for line in (await client.get("/v1/offices")).json()["items"] if "zz" in line["office"]]


async def test_without_an_overlap_the_old_token_ends_at_once(client: Client) -> None:
    old = await add(client)
    new = (await client.post(f"{OFFICERS}/desk-1/rotate?overlap_hours=0")).json()["token"]
    assert [await status(client, token) for token in (old, new)] == [401, 200]


async def test_an_overlap_never_lengthens_a_token(client: Client) -> None:
    old = await add(client, days=1)
    await client.post("/v1/tokens/rotate?overlap_hours=168", headers=bearer(old))
    expires = sorted(datetime.fromisoformat(line["expires"]) for line in await tokens(client))
    assert expires[0] < datetime.now(UTC) + timedelta(days=1, hours=1)


async def test_rotating_has_an_end_and_needs_an_officer(client: Client) -> None:
    token = await add(client)
    answers = [(await client.post("/v1/tokens/rotate", headers=bearer(token))).status_code for _ in range(9)]
    assert answers == [201] * 7 + [409] * 2
    assert (await client.post(f"{OFFICERS}/nobody/rotate")).status_code == 404
    assert (await client.post("/v1/tokens/rotate")).status_code == 403, "the administrator's is no office's"
    assert (await client.post(f"{OFFICERS}/desk-1/rotate", headers=bearer(token))).status_code == 403


async def test_registering_an_officer_again_and_again_has_the_same_end(client: Client) -> None:
    body = {"office": SENDER, "name": "NTTI", "roles": ["sending-office"], "officer": "desk-1"}
    answers = [await client.post("/v1/offices", json=body) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {201}
    refused = await client.post("/v1/offices", json={**body, "name": "Renamed", "officer": "desk-1"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_tokens")
    assert len(await tokens(client)) == 8
    assert "Renamed" not in (await client.get("/v1/offices")).text
    await add(client, "desk-2")
    await client.delete(f"{OFFICERS}/desk-1")
    await add(client)


async def test_one_officer_is_revoked_and_the_others_stay(client: Client, house: House) -> None:
    first, second = await add(client), await add(client, "desk-2")
    assert (await client.delete(f"{OFFICERS}/desk-1")).status_code == 204
    assert [await status(client, token) for token in (first, second)] == [401, 200]
    users = await house.rows("SELECT officer, revoked IS NOT NULL AS revoked FROM broker_users ORDER BY officer")
    assert users == [{"officer": "desk-1", "revoked": True}, {"officer": "desk-2", "revoked": False}]
    fact = (await house.facts())["enrolment.office.kh.ntti"]
    assert [[line["officer"] for line in fact[name]] for name in ("tokens", "keys")] == [["desk-2"], ["desk-2"]]
    assert (await client.delete(f"{OFFICERS}/desk-1")).status_code == 404
    assert (await client.delete(f"{OFFICERS}/desk-2", headers=bearer(second))).status_code == 403


async def test_an_officer_gets_new_credentials(client: Client, house: House) -> None:
    token = await add(client)
    answer = await client.post(f"{OFFICERS}/desk-1/credentials")
    assert answer.status_code == 201
    nats = answer.json()["nats"]
    assert nats["credentials"].startswith("-----BEGIN NATS USER JWT-----")
    assert nats["durable"] == "kh_ntti"
    assert len((await house.facts())["enrolment.office.kh.ntti"]["keys"]) == 2
    assert (await client.post("/v1/offices/kh/nobody/officers/desk-1/credentials")).status_code == 404
    assert (await client.post(f"{OFFICERS}/desk-1/credentials", headers=bearer(token))).status_code == 403
    await client.delete("/v1/offices/kh/ntti")
    assert (await client.post(f"{OFFICERS}/desk-1/credentials")).status_code == 404


async def test_all_of_it_is_in_the_audit_trail(client: Client) -> None:
    await add(client)
    await client.post(f"{OFFICERS}/desk-1/rotate")
    await client.post(f"{OFFICERS}/desk-1/credentials")
    await client.delete(f"{OFFICERS}/desk-1")
    acts = [(line["action"], line["subject"]) for line in (await client.get("/v1/audit")).json()["items"]]
    names = ("office.registered", "token.rotated", "credentials.made", "officer.revoked")
    assert acts == [(name, f"{SENDER}:desk-1") for name in names]


async def test_every_answer_warns_of_a_token_that_ends_soon(client: Client) -> None:
    soon, later = await add(client, days=29), await add(client, "desk-2", days=31)
    for path in ("/v1/position", "/v1/cohorts/none", "/v1/events?limit=x"):
        answer = await client.get(path, headers=bearer(soon))
        ends = datetime.fromisoformat(answer.headers["sampan-token-expires"])
        assert timedelta(days=28) < ends - datetime.now(UTC) < timedelta(days=29)
        assert "sampan-token-expires" not in (await client.get(path, headers=bearer(later))).headers
    assert "sampan-token-expires" not in (await client.get("/v1/position")).headers


# --- limits


@pytest.fixture
def app(settings: Settings, database: object) -> FastAPI:
    """An enrolment that takes a hundred requests, a hundred events and a hundred kilobytes of an office at once."""
    rates = {"office_requests_per_second": 1, "office_events_per_second": 1, "office_bytes_per_second": 1000}
    return create(settings.model_copy(update=rates))


async def post(client: Client, who: Bearer, number: int, first: int = 1, **more: str) -> httpx.Response:
    events = [proposed(f"{n:04}", **more) for n in range(first, first + number)]
    return await client.post("/v1/events", content="\n".join(map(json.dumps, events)), headers={**NDJSON, **who})


async def test_an_office_that_sends_too_much_is_told_to_wait_and_others_are_not(client: Client) -> None:
    busy, other = bearer(await add(client)), bearer(await add(client, "desk-1", STRANGER))
    assert (await post(client, busy, 120)).status_code == 200
    refused = await post(client, busy, 1, first=500)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
    assert 0 < int(refused.headers["retry-after"]) <= 30
    assert f"{refused.headers['retry-after']} s" in refused.json()["message"]
    assert (await client.get(f"/v1/events?id={proposed('0500')['id']}", headers=busy)).json()["items"] == []
    assert (await client.get("/v1/position", headers=busy)).status_code == 200, "reading is another allowance"
    assert (await client.get("/v1/position", headers=other)).status_code == 200
    assert (await post(client, BEARER, 200, first=1000)).status_code == 200, "an administrator has no limit"
    assert (await post(client, BEARER, 200, first=2000)).status_code == 200


async def test_too_many_bytes_and_too_many_requests(client: Client) -> None:
    large, often = bearer(await add(client)), bearer(await add(client, "desk-1", STRANGER))
    assert (await post(client, large, 3, note="x" * 40_000)).status_code == 200
    assert (await post(client, large, 1, first=9)).status_code == 429
    statuses = [(await client.get("/v1/position", headers=often)).status_code for _ in range(200)]
    assert statuses[:100] == [200] * 100
    assert 429 in statuses[100:], "one more a second is allowed"


async def test_rosters_count_by_their_rows_and_bytes_also_when_only_looked_at(client: Client) -> None:
    busy, large = bearer(await add(client)), bearer(await add(client, "desk-1", STRANGER))

    async def send(who: Bearer, rows: int, path: str = "", note: str = "", **asked: Any) -> httpx.Response:
        content = as_csv([a_trainee(f"{n:04}", Notes=note) for n in range(1, rows + 1)])
        return await client.post(
            f"/v1/rosters{path}", content=content, params=asked, headers={"Content-Type": CSV, **who}
        )

    assert (await send(busy, 60, dry_run=True)).status_code in {200, 422}
    assert (await send(busy, 60)).status_code in {200, 422}
    for path in ("", "/annotated"):
        refused = await send(busy, 1, path)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert int(refused.headers["retry-after"]) > 0
    lines = {"Accept": "application/x-ndjson"}
    assert (await send({**busy, **lines}, 1)).status_code == 429
    assert (await post(client, busy, 1)).status_code == 429
    assert (await send(large, 1, note="x" * 120_000)).status_code in {200, 422}
    assert (await send(large, 1)).status_code == 429


async def test_bad_tokens_are_answered_later_and_later_and_a_good_one_at_once(client: Client) -> None:
    good = await add(client)
    wrong = good[:-4] + "aaaa"
    for _ in range(FREE_FAILURES):
        assert await status(client, wrong) == 401
    began = monotonic()
    assert [await status(client, wrong) for _ in range(3)] == [401] * 3
    assert monotonic() - began > 0.3, "from the same place, for the same office"
    began = monotonic()
    assert [await status(client, good) for _ in range(5)] == [200] * 5
    assert monotonic() - began < 5, "with the bad one it would take eight"


async def test_bad_tokens_at_the_desks_sign_in_are_slowed_like_those_of_programs(client: Client) -> None:
    good = await add(client)

    async def sign_in(token: str) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await client.post("/session", content=f"token={token}", headers=headers)

    for _ in range(FREE_FAILURES - 10):
        assert (await sign_in(good[:-4] + "aaaa")).status_code == 401
    for _ in range(10):
        assert await status(client, good[:-4] + "aaaa") == 401, "both doors count together"
    began = monotonic()
    assert [(await sign_in(good[:-4] + "aaaa")).status_code for _ in range(3)] == [401] * 3
    assert monotonic() - began > 0.3
    began = monotonic()
    assert (await sign_in(good)).status_code == 303
    assert monotonic() - began < 1.5, "the next bad one would take 1.6"
