"""Public figures over HTTP: off at first, released in versions, and nothing hidden can be worked out of them."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import projection, queries, releasing
from services.reporting.disclosure import MEASURES, Place, Shown
from services.reporting.domain import Known
from services.reporting.queries import Aggregates
from services.reporting.questions import Question
from services.reporting.releasing import Terms, TooSoon
from shared.database import Database
from shared.events.enrolment import OfficeFact
from shared.events.facts import Version
from shared.offices import new_token, token_digest
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, known
from tests.unit.reporting.reader import Reader, places

DAY = date(2025, 5, 1)
WOMEN = {
    "programme": "ilo-china",
    "table": "sexes",
    "row": "F",
    "measure": "enrolled",
    "value": 3,
    "reason": "The press release of 13 April 2025",
}
STRANGER = {"Authorization": ""}


def trainees(*numbers: int, **more: Any) -> list[Any]:
    """Three women first; everybody is enrolled, started, and did what else is said."""
    made = []
    for number in numbers:
        own = {name: value(number) if callable(value) else value for name, value in more.items()}
        made.append(known(a_trainee(f"{number:03}", **{"sex": "F" if number <= 3 else "M", **own})))
    return made


async def release(database: Database, day: date = DAY) -> releasing.Version:
    return await database.run(lambda session: releasing.release(session, day))


async def turn_on(database: Database) -> None:
    await database.run(lambda session: releasing.set_terms(session, Terms(on=True)))


async def public(client: httpx.AsyncClient, table: str, **asked: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/public/{table}", params=asked, headers=STRANGER)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


async def test_nothing_is_public_until_it_is_turned_on_and_released(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, [known(a_cohort()), *trainees(*range(1, 10))])
    assert (await client.get("/v1/public", headers=STRANGER)).status_code == 404
    assert (await client.post("/v1/publication/release")).json()["code"] == "publication_off"
    assert (await client.put("/v1/publication", json={"on": True})).json() == {"on": True, "threshold": 5}
    assert (await client.get("/v1/public/sexes", headers=STRANGER)).status_code == 404

    assert (await client.post("/v1/publication/release")).status_code == 201
    assert (await client.post("/v1/publication/release")).json()["code"] == "released_today"

    told = (await client.get("/v1/public", headers=STRANGER)).json()
    assert [line["table"] for line in told["tables"]] == [
        "programmes",
        "countries",
        "sexes",
        "roles",
        "trades",
        "starts",
    ]
    assert [one["version"] for one in told["versions"]] == [1]
    assert await public(client, "programmes") == [
        {
            "programme": "ilo-china",
            **dict.fromkeys(("enrolled", "started"), 9),
            **dict.fromkeys(("completed", "assessed", "passed", "certified"), 0),
            "completion_rate": 0.0,
            "pass_rate": None,
            "certification_rate": None,
        }
    ]
    assert [row["enrolled"] for row in await public(client, "sexes")] == [None, None]
    await client.put("/v1/publication", json={"on": False})
    assert (await client.get("/v1/public/sexes", headers=STRANGER)).status_code == 404


async def test_live_figures_and_the_rules_need_a_token(client: httpx.AsyncClient, database: Database) -> None:
    await turn_on(database)
    for address in ("/v1/aggregates", "/v1/codes", "/v1/indicators", "/v1/publication"):
        assert (await client.get(address, headers=STRANGER)).status_code == 401
    token = new_token("/offices/kh/ntti")
    office = OfficeFact.model_validate(
        {
            "office": "/offices/kh/ntti",
            "name": "NTTI",
            "roles": ["coordinator"],
            "status": "active",
            "tokens": [
                {
                    "sha256": token_digest(token),
                    "officer": "desk",
                    "expires": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
                }
            ],
        }
    )
    fact = Known("office", office.office, Version(1, 1), office)
    await database.run(lambda session: projection.apply(session, [fact]))
    coordinator = {"Authorization": f"Bearer {token}"}
    for method, address, body in (
        ("GET", "/v1/publication", None),
        ("PUT", "/v1/publication", {"on": True}),
        ("POST", "/v1/publication/release", None),
        ("POST", "/v1/publication/exceptions", WOMEN),
    ):
        answer = await client.request(method, address, json=body, headers=coordinator)
        assert answer.json()["code"] == "administrators_only", address


async def test_an_exception_shows_the_figure_that_is_public_already_and_no_other(
    client: httpx.AsyncClient, database: Database
) -> None:
    await turn_on(database)
    await hear(database, [known(a_cohort()), *trainees(*range(1, 10))])
    for measure in ("enrolled", "started"):
        made = await client.post("/v1/publication/exceptions", json={**WOMEN, "measure": measure})
        assert made.status_code == 201, made.text
    state = (await client.get("/v1/publication")).json()
    assert [one["shown"] for one in state["exceptions"]] == [False, False]
    await release(database)
    assert [row["enrolled"] for row in await public(client, "sexes")] == [3, 6]
    state = (await client.get("/v1/publication")).json()
    assert [(one["made_by"], one["reason"]) for one in state["exceptions"]] == [("administrator", WOMEN["reason"])] * 2
    assert [one["shown"] for one in state["exceptions"]] == [True, True]

    await hear(database, [known(a_trainee("010", sex="F"))])
    await release(database, DAY + timedelta(days=1))
    assert [row["enrolled"] for row in await public(client, "sexes")] != [4, 6]
    assert [row["enrolled"] for row in await public(client, "sexes", version="1")] == [3, 6]

    assert (await client.delete(f"/v1/publication/exceptions/{state['exceptions'][0]['id']}")).status_code == 204
    assert (await client.delete("/v1/publication/exceptions/77")).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "code", "hint"),
    [
        ({"table": "names"}, "no_such_figure", "sexes"),
        ({"measure": "women"}, "no_such_figure", "enrolled"),
        ({"row": None}, "no_such_figure", "A figure of sexes has a row: say its sex."),
        ({"table": "programmes"}, "no_such_figure", "leave the row out"),
        ({"programme": "ilo-chinna"}, "unknown_value", "There are: ilo-china"),
        ({"row": "female"}, "unknown_value", "There are: F, M, U."),
        ({"table": "starts", "row": "spring"}, "invalid_month", "YYYY-MM"),
    ],
)
async def test_an_exception_for_what_there_is_not_is_refused_with_what_there_is(
    client: httpx.AsyncClient, database: Database, wrong: dict[str, Any], code: str, hint: str
) -> None:
    await hear(database, [known(a_cohort()), *trainees(1)])
    refused = await client.post("/v1/publication/exceptions", json={**WOMEN, **wrong})
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert hint in refused.json()["message"]
    assert (await client.get("/v1/publication")).json()["exceptions"] == []


async def test_what_is_not_there_yet_is_called_that(client: httpx.AsyncClient, database: Database) -> None:
    await turn_on(database)
    before = await client.get("/v1/public/sexes", headers=STRANGER)
    assert (before.status_code, before.json()["code"]) == (404, "nothing_released")
    await release(database)
    narrowed = await client.get("/v1/public/sexes?sex=F", headers=STRANGER)  # would be answered with all rows
    assert (narrowed.status_code, narrowed.json()["code"]) == (400, "unknown_parameter")
    for address, code, hint in (
        ("/v1/public/sexes?version=2", "no_such_version", "newest is 1"),
        ("/v1/public/names", "no_such_table", "sexes"),
    ):
        answer = await client.get(address, headers=STRANGER)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
        assert hint in answer.json()["message"]


async def test_as_a_file(client: httpx.AsyncClient, database: Database) -> None:
    await turn_on(database)
    await hear(database, [known(a_cohort()), *trainees(*range(1, 10))])
    await release(database)
    answer = await client.get("/v1/public/sexes?format=csv", headers=STRANGER)
    assert answer.text.splitlines()[1].startswith("ilo-china,F,,,")
    assert (await client.get("/v1/public/sexes?format=xlsx", headers=STRANGER)).content[:2] == b"PK"
    assert (await client.get("/v1/public/sexes?format=iati", headers=STRANGER)).json()["code"] == "unknown_format"


async def test_a_version_is_never_made_twice_and_never_for_a_day_that_was(database: Database) -> None:
    await turn_on(database)
    await release(database)
    for day in (DAY, DAY - timedelta(days=3)):
        with pytest.raises(TooSoon):
            await release(database, day)


async def test_a_version_is_of_one_moment_also_while_facts_come(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await turn_on(database)
    await hear(database, [known(a_cohort()), *trainees(*range(1, 21), sex="M")])
    asked, coming = queries.aggregates, iter(range(21, 40))

    async def while_more_come(session: AsyncSession, question: Question, position: dict[str, int]) -> Aggregates:
        answer = await asked(session, question, position)
        await hear(database, trainees(next(coming)))
        return answer

    monkeypatch.setattr(queries, "aggregates", while_more_come)
    await release(database)
    (programme,) = await public(client, "programmes")
    (cohorts,) = await public(client, "starts")
    assert (programme["enrolled"], cohorts["enrolled"]) == (20, 20)
    assert sum(row["enrolled"] for row in await public(client, "sexes")) == 20


async def test_a_programme_of_which_everything_was_voided_is_told_as_it_is_now(
    client: httpx.AsyncClient, database: Database
) -> None:
    await turn_on(database)
    await hear(database, [known(a_cohort()), *trainees(*range(1, 31))])
    await release(database)
    assert [row["enrolled"] for row in await public(client, "programmes")] == [30]
    await hear(database, [known(a_cohort(status="void"), 2)])

    later = await release(database, DAY + timedelta(days=1))

    (programme,) = await public(client, "programmes")
    assert {programme[measure] for measure in MEASURES} == {0}
    assert (await public(client, "sexes"), later.kept_back) == ([], [])
    assert [row["enrolled"] for row in await public(client, "programmes", version="1")] == [30]
    assert (await release(database, DAY + timedelta(days=2))).kept_back == []
    await hear(database, [known(a_cohort(), 3)])
    await release(database, DAY + timedelta(days=3))
    assert [row["enrolled"] for row in await public(client, "programmes")] == [30]


async def test_another_threshold_holds_from_the_next_version_on(client: httpx.AsyncClient, database: Database) -> None:
    await client.put("/v1/publication", json={"on": True, "threshold": 3})
    await hear(database, [known(a_cohort()), *trainees(*range(2, 5))])
    await release(database)
    assert [row["enrolled"] for row in await public(client, "sexes")] == [None, None]
    await client.put("/v1/publication", json={"on": True, "threshold": 10})
    await hear(database, [known(a_trainee(f"{number:03}", sex="FM"[number % 2])) for number in range(10, 50)])
    assert (await release(database, DAY + timedelta(days=1))).kept_back == []
    assert [row["enrolled"] for row in await public(client, "sexes")] == [22, 21]


async def test_of_two_releases_at_once_one_is_made_and_the_other_came_too_soon(database: Database) -> None:
    await turn_on(database)
    for day in range(5):
        made = await asyncio.gather(
            *(release(database, DAY + timedelta(days=day)) for _ in range(3)), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in made) == ["TooSoon", "TooSoon", "Version"]


async def test_nothing_hidden_can_be_worked_out_of_all_tables_and_versions_together(
    client: httpx.AsyncClient, database: Database
) -> None:
    await turn_on(database)
    random = Random(20250331)
    await hear(database, [known(a_cohort()), known(a_cohort("vientiane", host_country="LA", starts_on="2025-06-02"))])
    number, lacking, shown = 0, 0, 0
    for day in range(4):
        facts = []
        for _ in range((12, 3, 14, 40)[day]):
            number += 1
            trainee = a_trainee(
                f"{number:03}",
                random.choice(("wuxi", "vientiane")),
                person=f"person-{number}",
                sex=random.choice("FMMM"),
                country=random.choice(("KH",) * 7 + ("LA",) * 2 + ("MM",)),
                role=random.choice(("student", "teacher")),
                trade=random.choice(("electrical", "electrical", "cabling")),
            )
            facts += [trainee]
            passed = {"passed_on": "2025-07-01", "awarded_on": "2025-07-02"} if random.random() < 0.7 else {}
            facts.append(a_certificate(trainee, assessed_on="2025-07-01", **passed))
        await hear(database, map(known, facts))
        await release(database, DAY + timedelta(days=day))
    versions = []
    for version in range(1, 5):
        (programme,) = await public(client, "programmes", version=str(version))
        tables = {
            table: {row[by]: row for row in await public(client, table, version=str(version))}
            for table, by in (("countries", "country"), ("sexes", "sex"), ("roles", "role"), ("trades", "trade"))
        }
        hidden = {Place(measure) for measure in MEASURES if programme[measure] is None}
        hidden |= {
            Place(measure, table, key)
            for table, rows in tables.items()
            for key, row in rows.items()
            for measure in MEASURES
            if row[measure] is None
        }
        versions.append(Shown(programme, tables, frozenset(hidden)))
    reader = Reader(versions)
    for version, one in enumerate(versions):
        for place in places(one):
            if place in one.hidden:
                least, most = reader.knows(version, place)
                assert most - least >= 1, (version, place)
                lacking += 1
            else:
                shown += 1
    assert lacking > 50
    assert shown > 50
