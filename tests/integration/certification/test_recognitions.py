"""The register of recognitions on the real PostgreSQL: what comes in any order, who may ask, what a certificate is worth."""

import json
import random
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.certification import recognitions
from services.certification.app import create
from services.certification.settings import Settings
from shared.database import Database
from shared.events.certification import CertificateFact
from shared.offices import new_token
from tests.apps import SharedApp
from tests.contract.answers import as_documented
from tests.integration.certification.given import ROLES, an_office, caller, codes, fields, post, tell
from tests.servers import broker_files
from tests.unit.certification.given import AUTHORITY, BODY, day, recognised, registered, voided, withdrawn

LAO = "/offices/la/ministry"
TOKENS = {office: new_token(office) for office in (AUTHORITY, BODY, LAO)}
BATCH = "application/cloudevents-batch+json"


def a_certificate(level: str = "junior") -> CertificateFact:
    return CertificateFact(
        certificate="c",
        enrolment="e",
        cohort="wuxi",
        trainee="001",
        person="p",
        country="KH",
        scheme="vslc",
        occupation="electrician",
        level=level,
        edition=1,
        status="issued",
    )


async def worth(database: Database, country: str | None, on: date, level: str = "junior") -> list[tuple[str, str, str]]:
    async with database.transaction() as session:
        found = await recognitions.worth(session, a_certificate(level), country, on)
    return [(one.country, one.framework, one.framework_level) for one in found]


async def told(database: Database) -> list[dict[str, Any]]:
    """The facts that went out about recognitions, in order."""
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT subject, body FROM outbox WHERE subject LIKE 'certification.recognition.%' ORDER BY position")
        )
        return [{"on": row.subject, **json.loads(row.body)} for row in rows]


async def test_a_recognition_waits_for_its_scheme_and_is_told_on_its_countrys_subject(database: Database) -> None:
    assert codes(await post(database, recognised("r", 2, starts=1), by=caller(AUTHORITY))) == ["scheme_unknown"]
    assert await worth(database, "KH", day(5)) == []
    await post(database, registered("scheme", 1))
    assert await worth(database, "KH", day(5)) == [("KH", "cqf", "3")]
    (fact,) = await told(database)
    assert fact["on"].startswith("certification.recognition.kh.")
    assert (fact["revision"], fact["data"]["status"]) == (1, "granted")


async def test_what_was_recognised_on_a_day_can_be_asked_after_its_withdrawal(database: Database) -> None:
    await post(database, registered("scheme", 1), recognised("r", 2, starts=1), withdrawn("w", 9, ends=10))
    assert await worth(database, "KH", day(10)) == [("KH", "cqf", "3")]
    assert await worth(database, "KH", day(11)) == []
    assert await worth(database, "LA", day(10)) == []
    assert await worth(database, "KH", day(10), level="senior") == []


async def test_every_country_that_recognises_it(database: Database) -> None:
    lao = recognised("r", 2, starts=1, source=LAO, framework="lnqf", framework_level="2")
    await post(database, registered("scheme", 1), recognised("r", 2, starts=1), lao)
    assert await worth(database, None, day(5)) == [("KH", "cqf", "3"), ("LA", "lnqf", "2")]


async def test_a_void_takes_it_back_and_the_fact_says_so(database: Database) -> None:
    first = recognised("r", 2, starts=1)
    await post(database, registered("scheme", 1), first)
    assert codes(await post(database, voided("v", 3, first), by=caller(AUTHORITY))) == ["applied"]
    assert await worth(database, None, day(5)) == []
    assert [fact["data"]["status"] for fact in await told(database)] == ["granted", "void"]
    assert (await told(database))[-1]["cause"] == f"{AUTHORITY}/v"


async def test_a_scheme_that_changes_has_its_recognitions_decided_again(database: Database) -> None:
    scheme = registered("scheme", 1)
    await post(database, scheme, recognised("r", 2, starts=1), recognised("s", 2, starts=1, level="chief"))
    assert await worth(database, None, day(5), level="chief") == []
    levels = [{"level": "chief", "titles": {"en": "Chief"}}]
    await post(database, registered("scheme-2", 3, replaces="scheme", levels=levels))
    assert await worth(database, None, day(5), level="chief") == [("KH", "cqf", "3")]
    assert await worth(database, None, day(5)) == []


async def test_no_other_role_may_say_it(database: Database) -> None:
    (receipt,) = (await post(database, recognised("r", 2, starts=1, source=BODY), by=caller(BODY))).receipts
    assert (receipt.status, receipt.code) == ("rejected", "role_not_allowed")


@pytest.mark.parametrize("seed", range(6))
async def test_any_order(database: Database, seed: int) -> None:
    grant, other = recognised("r", 2, starts=1), recognised("s", 3, starts=20, framework_level="4")
    events = [
        registered("scheme", 1),
        grant,
        other,
        withdrawn("w", 4, ends=19),
        recognised("late", 5, starts=15, framework_level="5"),
        recognised("corrected", 6, starts=21, replaces="s", framework_level="4b"),
        (bad := recognised("bad", 7, starts=1, level="senior")),
        voided("v", 8, bad),
    ]
    chance = random.Random(seed)
    chance.shuffle(events)
    while events:
        await post(database, *[events.pop() for _ in range(min(len(events), chance.randint(1, 3)))])
    assert await worth(database, "KH", day(19)) == [("KH", "cqf", "3")]
    assert await worth(database, "KH", day(20)) == []
    assert await worth(database, "KH", day(21)) == [("KH", "cqf", "4b")]
    assert await worth(database, "KH", day(5), level="senior") == []
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT id, code FROM events WHERE type LIKE 'recognition.%' ORDER BY id"))
        assert {row.id: row.code for row in rows} == {
            "bad": "voided",
            "corrected": "applied",
            "late": "recognition_overlaps",
            "r": "applied",
            "s": "replaced",
            "w": "applied",
        }


# --- over HTTP


@pytest.fixture(scope="module")
def shared_app(migrated: str, tmp_path_factory: pytest.TempPathFactory) -> SharedApp:
    folder = tmp_path_factory.mktemp("certification")
    (folder / "secret").write_text("ab" * 32)
    (folder / "admin").write_text("an-administrators-token\n")
    settings = Settings(
        database_url=migrated,
        nats_url="nats://127.0.0.1:1",
        **broker_files(folder, "certification"),
        secret_file=folder / "secret",
        admin_token_file=folder / "admin",
    )
    return SharedApp(lambda: create(settings))


@pytest.fixture
async def client(shared_app: SharedApp, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = shared_app.fresh()
    roles = {**ROLES, LAO: "recognition-authority"}
    await tell(database, *(an_office(office, token, [roles[office]]) for office, token in TOKENS.items()))
    asking = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://it", event_hooks=as_documented("certification")
    )
    async with app.router.lifespan_context(app), asking as made:
        yield made


async def say(client: httpx.AsyncClient, office: str, *events: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKENS[office]}", "Content-Type": BATCH}
    answer = await client.post("/v1/events", content=json.dumps(events), headers=headers)
    receipts: list[dict[str, Any]] = answer.json()["receipts"]
    return receipts


async def listed(client: httpx.AsyncClient, **query: str) -> list[str]:
    answer = await client.get("/v1/recognitions", params=query)
    assert answer.status_code == 200, answer.text
    return sorted(f"{one['country']} {one['framework_level']}" for one in answer.json()["items"])


async def test_anybody_may_ask_what_is_and_was_recognised(client: httpx.AsyncClient) -> None:
    await say(client, BODY, fields(registered("scheme", 1)))
    await say(client, AUTHORITY, *map(fields, (recognised("r", 2, starts=1), withdrawn("w", 9, ends=10))))
    await say(client, LAO, fields(recognised("r", 2, starts=5, source=LAO, level="senior", framework_level="2")))
    assert await listed(client) == ["KH 3", "LA 2"]
    assert await listed(client, on="2025-04-04") == ["KH 3"]
    assert await listed(client, on="2025-04-11") == ["LA 2"]
    assert await listed(client, country="KH") == ["KH 3"]
    assert await listed(client, scheme="vslc", occupation="electrician", level="senior") == ["LA 2"]
    assert await listed(client, scheme="another") == []


async def test_an_office_speaks_for_its_own_country_only(client: httpx.AsyncClient) -> None:
    (receipt,) = await say(client, AUTHORITY, fields(recognised("r", 2, starts=1, source=LAO)))
    assert (receipt["status"], receipt["code"]) == ("rejected", "source_not_yours")


async def test_a_regional_framework_alone_is_refused_with_what_to_do(client: httpx.AsyncClient) -> None:
    event = fields(recognised("r", 2, starts=1))
    event["data"] = {**event["data"], "framework": "aqrf"}
    (receipt,) = await say(client, AUTHORITY, event)
    assert receipt["code"] == "invalid_data"
    assert "national framework" in receipt["sentence"]


@pytest.mark.parametrize("query", ["country=kh", "on=yesterday", "scheme=A%20B", "level=%00", "after=%27", "limit=0"])
async def test_bad_questions_are_answered_with_a_sentence(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/recognitions?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_query")
