"""Periods: targets against what was reached, versions that nobody changes, and restatements with their causes."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import explain, periods, projection, queries
from services.reporting.domain import Known
from services.reporting.explain_api import EXPLAINED_AT_ONCE
from services.reporting.questions import Question
from shared.database import Database
from shared.events.enrolment import OfficeFact, ProgrammeFact
from shared.events.envelope import canonical
from shared.events.facts import Version
from shared.offices import new_token, token_digest
from tests.integration.bus.house import eventually
from tests.integration.reporting.test_aggregates import ask
from tests.integration.reporting.test_projection import hear, replay
from tests.unit.reporting.facts import a_cohort, a_trainee, known

ID = "ilo-china.2025-h1"
COORDINATOR = "/offices/ch/ilo"
PROGRAMME = ProgrammeFact.model_validate(
    {
        "programme": "ilo-china",
        "status": "registered",
        "titles": {"en": "Partnership"},
        "countries": ["KH", "CN"],
        "periods": [
            {"period": "2025-h1", "starts_on": "2025-01-01", "ends_on": "2025-06-30"},
            {"period": "2025-h2", "starts_on": "2025-07-01", "ends_on": "2025-12-31"},
        ],
        "targets": [
            {"indicator": "enrolled", "period": "2025-h1", "value": 9},
            {"indicator": "womens_share", "period": "2025-h1", "value": 1},
            {"indicator": "happiness", "period": "2025-h1", "value": 10},
            {"indicator": "people", "value": 100},
        ],
    }
)


@pytest.fixture
async def reported(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    programme = Known("programme", "ilo-china", Version(1, 1), PROGRAMME)
    await database.run(lambda session: projection.apply(session, [programme]))
    course = a_cohort(parties=[{"office": COORDINATOR, "role": "coordinator"}])
    await hear(database, [known(course), known(a_trainee("01")), known(a_trainee("02", sex="M"))], 3)
    return client


async def test_what_was_meant_to_be_reached_stands_beside_what_was(reported: httpx.AsyncClient) -> None:
    answer = await ask(reported, "/v1/periods")
    first, second = answer["items"]
    assert (first["id"], first["months"], first["versions"], first["closed"]) == (ID, ["2025-01", "2025-06"], 0, None)
    assert [(line["indicator"], line["target"], line["actual"]) for line in first["targets"]] == [
        ("enrolled", 9, 2),
        ("womens_share", 1, 0.5),
        ("happiness", 10, None),
    ]
    assert second["targets"] == []
    whole = {"indicator": "people", "period": None, "target": 100, "actual": 2}
    assert answer["targets"] == {"ilo-china": [whole]}


async def test_of_one_period_its_own_targets_alone_are_counted(
    reported: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Question] = []

    async def noted(session: AsyncSession, question: Question, position: dict[str, int]) -> queries.Aggregates:
        asked.append(question)
        return await counted(session, question, position)

    counted = queries.counted
    monkeypatch.setattr(queries, "counted", noted)
    found = await ask(reported, f"/v1/periods/{ID}")
    assert [line["actual"] for line in found["period"]["targets"]] == [2, 0.5, None]
    assert [question.measures for question in asked] == [("enrolled", "womens_share")]
    asked.clear()
    assert (await ask(reported, "/v1/periods/ilo-china.2025-h2"))["period"]["targets"] == []
    assert asked == []


async def test_a_closed_period_is_restated_with_the_difference_and_why_and_never_edited(
    reported: httpx.AsyncClient, database: Database
) -> None:
    made = await reported.post(f"/v1/periods/{ID}/close", json={"reason": "Half-year report"})
    assert made.status_code == 201, made.text
    first = made.json()
    assert (first["version"], first["by"], first["figures"]["totals"]["enrolled"]) == (1, "administrator", 2)
    content = {name: first[name] for name in ("id", "version", "position", "rules", "figures")}
    assert hashlib.sha256(canonical(content)).hexdigest() == first["digest"]
    again = await reported.post(f"/v1/periods/{ID}/close")
    assert (again.status_code, again.json()["code"]) == (409, "unchanged")

    await hear(database, [known(a_trainee(f"1{number}", sending_centre="kampot")) for number in range(3)], 6)

    state = await ask(reported, f"/v1/periods/{ID}")
    assert state["digests"] == [first["digest"]]
    assert state["since"]["totals"]["enrolled"] == {"was": 2, "now": 5}
    sentence = "5, not 2: 3 enrolments reached us after 3.3."
    assert state["since"]["causes"]["enrolled"]["sentence"] == sentence
    (reason,) = state["since"]["causes"]["enrolled"]["reasons"]  # what everybody reads names no centre and no cohort
    assert (reason["sending_centre"], reason["cohort"], reason["enrolments"]) == (None, None, 3)

    second = (await reported.post(f"/v1/periods/{ID}/close")).json()
    assert (second["version"], second["restated"]["causes"]["enrolled"]["sentence"]) == (2, sentence)
    assert "kampot" not in str(second["restated"])
    assert await ask(reported, f"/v1/periods/{ID}/versions/1") == first
    assert (await ask(reported, f"/v1/periods/{ID}"))["since"]["totals"] == {}
    async with database.transaction() as session:
        assert await periods.unlike(session) == []
        await session.execute(text("ALTER TABLE period_versions DISABLE TRIGGER stays"))
        await session.execute(
            text("UPDATE period_versions SET figures = figures || '{\"totals\": {}}' WHERE version = 1")
        )
        assert await periods.unlike(session) == [f"{ID} 1"]
        await session.rollback()
    for change in ("UPDATE period_versions SET figures = '{}'", "UPDATE period_versions SET digest = ''"):
        with pytest.raises(DBAPIError, match="never changed"):
            async with database.transaction() as session:
                await session.execute(text(change))


@pytest.mark.parametrize("heard_since", [False, True])
async def test_a_dead_letter_that_is_replayed_after_the_close_is_told_with_its_cause(
    reported: httpx.AsyncClient, database: Database, heard_since: bool
) -> None:
    await hear(database, [known(a_trainee("03"))], 100)
    assert (await reported.post(f"/v1/periods/{ID}/close")).status_code == 201
    if heard_since:
        await hear(database, [known(a_trainee("99", enrolled_on="2026-01-05"))], 150)
    await replay(database, [known(a_trainee("50"))], 50)

    since = (await ask(reported, f"/v1/periods/{ID}"))["since"]

    assert since["totals"]["enrolled"] == {"was": 3, "now": 4}
    for measure in ("enrolled", "people"):
        cause = since["causes"][measure]
        assert (cause["value"], cause["difference"]) == (3, 1)
        assert cause["sentence"] == "4, not 3: 1 enrolment reached us after 100.100."
    second = (await reported.post(f"/v1/periods/{ID}/close")).json()
    assert second["restated"]["causes"]["enrolled"]["difference"] == 1
    assert (await ask(reported, f"/v1/periods/{ID}"))["since"]["totals"] == {}


async def a_token(database: Database, office: str, role: str) -> str:
    token = new_token(office)
    fields: dict[str, Any] = {"office": office, "name": "An office", "roles": [role], "status": "active"}
    line = {"sha256": token_digest(token), "officer": "one", "expires": "2100-01-01T00:00:00Z"}
    fact = OfficeFact.model_validate({**fields, "tokens": [line]})
    await database.run(
        lambda session: projection.apply(session, [Known("office", office, Version(1, 1), fact)]),
    )
    return token


@pytest.mark.parametrize(
    ("office", "role", "status"),
    [
        (COORDINATOR, "coordinator", 201),
        ("/offices/kh/other", "coordinator", 403),
        (COORDINATOR, "reader", 403),
        ("/offices/cn/wit", "host-centre", 403),
    ],
)
async def test_only_the_programmes_coordinator_closes_its_periods(
    reported: httpx.AsyncClient, database: Database, office: str, role: str, status: int
) -> None:
    token = await a_token(database, office, role)
    headers = {"Authorization": f"Bearer {token}"}
    closed = await reported.post(f"/v1/periods/{ID}/close", headers=headers)
    assert closed.status_code == status
    assert (await ask(reported, f"/v1/periods/{ID}", **headers))["period"]["versions"] == (status == 201)


async def test_who_may_not_close_a_period_has_nothing_counted(
    reported: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await a_token(database, "/offices/kh/other", "coordinator")

    async def close(*_: object) -> None:
        raise AssertionError("counted for who may not")

    monkeypatch.setattr(periods, "close", close)
    closed = await reported.post(f"/v1/periods/{ID}/close", headers={"Authorization": f"Bearer {token}"})
    assert (closed.status_code, closed.json()["code"]) == (403, "coordinators_only")


@pytest.mark.parametrize("more", ["changes", "enrolments"])
async def test_a_count_of_which_too_much_came_and_went_is_told_by_its_totals_alone(
    reported: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    assert (await reported.post(f"/v1/periods/{ID}/close")).status_code == 201
    trainees = [known(a_trainee(f"1{number}")) for number in range(3)]
    await hear(database, trainees, 6)
    if more == "changes":
        monkeypatch.setattr(explain, "MOST_CHANGED", 2)
    else:
        monkeypatch.setitem(explain.explain.__kwdefaults__, "most", 4)

    since = (await ask(reported, f"/v1/periods/{ID}"))["since"]

    assert since["totals"]["enrolled"] == {"was": 2, "now": 5}
    assert since["causes"] == {}
    second = await reported.post(f"/v1/periods/{ID}/close")
    assert (second.status_code, second.json()["restated"]["causes"]) == (201, {})


async def test_periods_that_are_compared_leave_room_for_everybody_else(
    reported: httpx.AsyncClient, database: Database
) -> None:
    assert (await reported.post(f"/v1/periods/{ID}/close")).status_code == 201
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE period_versions IN ACCESS EXCLUSIVE MODE"))  # so that none of them ends
        asked = [asyncio.create_task(reported.get(f"/v1/periods/{ID}")) for _ in range(20)]
        asked += [asyncio.create_task(reported.post(f"/v1/periods/{ID}/close")) for _ in range(20)]

        async def all_that_may() -> bool:
            waiting = await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            return (waiting or 0) >= EXPLAINED_AT_ONCE

        await eventually(all_that_may)
        answer = await reported.get("/v1/codes")
        assert answer.status_code == 200, answer.text
    statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
    assert {200} <= set(statuses[:20]) <= {200, 503}  # 503 for who waited too long for a turn
    assert set(statuses[20:]) <= {409, 503}


@pytest.mark.parametrize("path", ["ilo-china.2030", "nothing", f"{ID}/versions/1"])
async def test_an_unknown_period_or_version_is_404(reported: httpx.AsyncClient, path: str) -> None:
    answer = await reported.get(f"/v1/periods/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_period")
