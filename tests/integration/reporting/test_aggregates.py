"""GET /v1/aggregates and its neighbours, asked over HTTP."""

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from services.reporting import coarse, projection
from services.reporting.domain import DIMENSIONS, EXCEPTIONS, MEASURES, Cell, Known
from services.reporting.rates import RATES
from shared.database import Database
from shared.events.enrolment import OfficeFact
from shared.events.facts import Version
from shared.offices import new_token, token_digest
from tests.integration.reporting.test_projection import hear, told
from tests.properties import examples
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, known


def a_history() -> list[Known]:
    """The first cohort: nine trainees, three of them women; and a second one, online, that nobody finished."""
    session = {"session": 1, "date": "2025-04-01", "hours": 6.5, "absent": ["02"]}
    facts: list[Any] = [
        a_cohort(sessions=[session]),
        a_cohort("vientiane", host_country="LA", mode="online", places=[{"country": "KH", "places": 5}]),
    ]
    for number in range(1, 10):
        report = {"months_after": 12 if number == 1 else 6, "on": "2025-10-13", "outcome": "teaching"}
        trainee = a_trainee(
            f"{number:02}",
            sex="F" if number <= 3 else "M",
            role="teacher" if number % 3 == 0 else "student",
            trade="cabling" if number > 5 else "electrical",
            status="completed",
            completed_on="2025-04-13",
            completion="in-force",
            outcomes=[{**report, "learners": {"women": number, "men": 2}}],
        )
        facts += [trainee, a_certificate(trainee, awarded_on="2025-04-13", level="senior" if number < 5 else "junior")]
    facts += [a_trainee("01", "vientiane", person="person-01", sending_centre=None, enrolled_on="2025-06-01")]
    return [known(fact) for fact in facts]


async def ask(client: httpx.AsyncClient, address: str, **headers: str) -> Any:
    answer = await client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_main_question(client: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history())
    answer = await ask(client, "/v1/aggregates?measure=enrolled,certified&measure=nominated&by=sex&cohort=wuxi")
    assert answer == {
        "measures": ["enrolled", "certified", "nominated"],
        "by": ["sex"],
        "basis": {"enrolled": "event", "certified": "event", "nominated": "event"},
        "distinct": [],
        "rows": [
            {"sex": "F", "enrolled": 3, "certified": 3, "nominated": 0},
            {"sex": "M", "enrolled": 6, "certified": 6, "nominated": 0},
        ],
        "totals": {"enrolled": 9, "certified": 9, "nominated": 0},
        "position": {"ENROLMENT": 0, "CERTIFICATION": 0},
        "as_of": None,
        "only": None,
    }
    assert list(answer["rows"][0]) == ["sex", "enrolled", "certified", "nominated"]


async def test_without_by_there_is_one_row_and_without_measure_there_are_all(
    client: httpx.AsyncClient, database: Database
) -> None:
    (row,) = (await ask(client, "/v1/aggregates"))["rows"]
    assert row == dict.fromkeys(MEASURES, 0)
    await hear(database, a_history())
    answer = await ask(client, "/v1/aggregates")
    assert answer["rows"] == [answer["totals"]]
    assert answer["totals"]["places"] == 14
    assert answer["totals"]["enrolled"] == 10
    assert answer["totals"]["people"] == 9
    assert answer["totals"]["training_hours"] == 52.0
    assert answer["totals"]["learners_reached"] == 63


async def test_with_by_and_nothing_to_count_there_is_no_row(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "/v1/aggregates?by=sex&measure=people")
    assert (answer["rows"], answer["totals"]) == ([], {"people": 0})


async def test_rows_are_in_the_order_of_their_values_and_months_after_in_that_of_numbers(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())
    answer = await ask(client, "/v1/aggregates?by=months_after,sex&measure=outcomes,enrolled")
    assert [(row["months_after"], row["sex"]) for row in answer["rows"]] == [
        ("_Z", "F"),
        ("_Z", "M"),
        ("6", "F"),
        ("6", "M"),
        ("12", "F"),
    ]


async def test_people_are_counted_anew_for_each_row_and_for_the_total(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())  # number 01 was in both cohorts
    for by, people in (
        ("cohort", {"vientiane": 1, "wuxi": 9}),
        ("programme", {"ilo-china": 9}),
        ("sex", {"F": 3, "M": 6}),
        ("month", {"2025-02": 9, "2025-06": 1}),
        ("host_country", {"CN": 9, "LA": 1}),
        ("scheme", {"_Z": 9}),
    ):
        answer = await ask(client, f"/v1/aggregates?by={by}&measure=people")
        assert {row[by]: row["people"] for row in answer["rows"]} == people
        assert answer["totals"] == {"people": 9}
        assert answer["distinct"] == ["people"]


PEOPLE = {
    "from=2025-06": 1,
    "from=2025-02&to=2025-12": 9,
    "to=2025-04&basis=cohort": 9,
    "from=2025-05&basis=cohort": 0,
    "cohort=wuxi,vientiane": 9,
    "cohort=vientiane&sex=F": 1,
    "cohort=vientiane&sex=M": 0,
    "country=KH&programme=ilo-china": 9,
    "cohort=vientiane": 1,
    "sending_centre=_U": 1,
    "trade=cabling": 4,
    "level=senior": 0,
}


async def test_people_are_distinct_whatever_is_asked(client: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history(), 30)
    await hear(database, [known(a_cohort(status="void"), revision=2)], 31)
    for query, people in PEOPLE.items():
        for when, number in (("&as_of=30.30", people), ("", None)):
            answer = await ask(client, f"/v1/aggregates?measure=people&{query}{when}")
            assert number is None or answer["totals"] == {"people": number}, query


questions = st.fixed_dictionaries(
    {
        "measure": st.lists(st.sampled_from([name for name in MEASURES if name != "people"]), unique=True, max_size=4),
        "by": st.lists(st.sampled_from(list(DIMENSIONS)), unique=True, max_size=4),
        "where": st.dictionaries(
            st.sampled_from(list(DIMENSIONS)), st.sets(st.integers(0, 3), min_size=1, max_size=2), max_size=2
        ),
        "from": st.sampled_from([None, None, "2025-03", "2025-04"]),
        "to": st.sampled_from([None, None, "2025-04", "2025-10"]),
    }
)


def counted_by_hand(cells: Counter[Cell], measures: list[str], by: list[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    rows: dict[tuple[str, ...], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(measures, 0))
    for cell, value in cells.items():
        place = tuple(getattr(cell, name) for name in by)
        rows[place][cell.measure] += value
    if "training_hours" in measures:
        for row in rows.values():
            row["training_hours"] /= 100
    return dict(rows) if by or rows else {(): dict.fromkeys(measures, 0)}


HISTORY = a_history()
CUBE = told(HISTORY)
HELD = {name: sorted({getattr(cell, name) for cell in CUBE if cell.measure != "people"}) for name in DIMENSIONS}


@pytest.fixture
async def after_history(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    await hear(database, HISTORY[:-4])
    async with database.transaction() as session:
        await coarse.roll(session)
    await hear(database, HISTORY)  # what is new in it stays in the tail
    return client


@examples(20)
@given(question=questions)
async def test_any_question_is_answered_as_if_counted_by_hand(
    after_history: httpx.AsyncClient, question: dict[str, Any]
) -> None:
    where = {
        name: {HELD[name][place % len(HELD[name])] for place in places} for name, places in question["where"].items()
    }
    parameters = [("measure", ",".join(question["measure"]))] if question["measure"] else []
    parameters += [("by", name) for name in question["by"]]
    parameters += [(name, value) for name, values in where.items() for value in values]
    parameters += [(name, question[name]) for name in ("from", "to") if question[name]]
    measures = question["measure"] or [name for name in MEASURES if name != "people"]
    parameters += [] if question["measure"] else [("measure", ",".join(measures))]
    wanted = Counter(
        {
            cell: value
            for cell, value in CUBE.items()
            if cell.measure in measures
            and all(getattr(cell, name) in values for name, values in where.items())
            and (question["from"] or "") <= cell.month <= (question["to"] or "9999")
        }
    )

    answer = await ask(after_history, f"/v1/aggregates?{urlencode(parameters)}")

    found = {
        tuple(row[name] for name in question["by"]): {name: row[name] for name in measures} for row in answer["rows"]
    }
    assert found == counted_by_hand(wanted, measures, question["by"])
    assert len(found) == len(answer["rows"])
    assert answer["totals"] == {name: sum(row[name] for row in answer["rows"]) for name in measures}


async def test_an_unchanged_answer_is_304_and_a_new_fact_makes_a_new_tag(
    client: httpx.AsyncClient, database: Database
) -> None:
    first = await client.get("/v1/aggregates?by=sex")
    tag = first.headers["etag"]
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await client.get("/v1/aggregates?by=sex", headers={"If-None-Match": held})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.get("/v1/aggregates?by=role", headers={"If-None-Match": tag})).status_code == 200

    async with database.transaction() as session:
        await session.execute(text("INSERT INTO heard VALUES ('CERTIFICATION', 7)"))

    changed = await client.get("/v1/aggregates?by=sex", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["position"] == {"ENROLMENT": 0, "CERTIFICATION": 7}
    assert (await ask(client, "/v1/position"))["position"] == {"ENROLMENT": 0, "CERTIFICATION": 7}


async def test_a_dead_letter_that_is_replayed_makes_a_new_tag(client: httpx.AsyncClient, database: Database) -> None:
    first = await client.get("/v1/aggregates?measure=enrolled")

    async with database.transaction() as session:  # as a replay does: the position stays
        await projection.apply(session, [known(a_cohort()), known(a_trainee())])

    again = await client.get("/v1/aggregates?measure=enrolled", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 200
    assert again.json()["position"] == first.json()["position"]
    assert again.json()["totals"]["enrolled"] == first.json()["totals"]["enrolled"] + 1


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("measure=enroled", "unknown_measure", "enrolled, started"),
        ("measure=", "unknown_measure", "enrolled"),
        ("by=gender", "unknown_dimension", "sex, role"),
        ("by=value", "unknown_dimension", "sex"),
        ("by=sex%3B+DROP+TABLE+cube", "unknown_dimension", "sex"),
        ("gender=F", "unknown_parameter", "sex"),
        ("limit=3", "unknown_parameter", "measure, by, from, to, basis, as_of"),
        ("from=2025", "invalid_month", "YYYY-MM"),
        ("from=2025-13", "invalid_month", "YYYY-MM"),
        ("to=2568-01", "invalid_month", "YYYY-MM"),
        ("month=april", "invalid_month", "YYYY-MM"),
        ("from=2025-01,2025-02", "invalid_month", "one month"),
        ("from=2025-05&to=2025-04", "invalid_month", "from lies after to"),
        ("as_of=yesterday", "invalid_moment", "YYYY-MM-DD"),
        ("as_of=2025-02-30", "invalid_moment", "such as 120.45"),
        ("as_of=2025-05-03T12:00:00", "invalid_moment", "with its offset"),
        ("as_of=9999-12-31", "invalid_moment", "YYYY-MM-DD"),
        ("as_of=1.2&as_of=3.4", "invalid_moment", "give one"),
        ("basis=people", "unknown_basis", "cohort, event"),
        ("measure=completion_rate&by=month", "not_by", "end_month"),
        ("measure=response_rate_6&outcome=employed", "not_by", "not by outcome"),
        ("cohort=%00", "invalid_value", "letters"),
        ("cohort=%FF", "invalid_value", "letters"),
        ("cohort=x%27+OR+1%3D1", "invalid_value", "letters"),
        ("sex=X", "unknown_value", "F, M, U"),
        ("role=students", "unknown_value", "student, teacher"),
        ("mode=remote", "unknown_value", "in-person, online, blended"),
        ("outcome=rich", "unknown_value", "employed"),
        ("age_band=young", "unknown_value", "Y15T24"),
        ("disability=maybe", "unknown_value", "not-stated"),
        ("months_after=half-a-year", "invalid_value", "number of months"),
    ],
)
async def test_what_cannot_be_asked_is_400_and_names_what_can(
    client: httpx.AsyncClient, query: str, code: str, named: str
) -> None:
    answer = await client.get(f"/v1/aggregates?{query}")
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert named in answer.json()["message"]


async def test_measures_are_told_with_their_dimensions(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "/v1/measures")
    assert list(answer["measures"]) == list(MEASURES)
    assert answer["rates"].keys() == RATES.keys()
    assert answer["exceptions"].keys() == EXCEPTIONS.keys()
    assert "outcome" in answer["measures"]["outcomes"]["dimensions"]
    assert answer["dimensions"] == dict(DIMENSIONS)


async def test_check_compares_the_cube_with_the_rows(database: Database) -> None:
    await hear(database, a_history())
    async with database.transaction() as session:
        assert (await projection.check(session)).same

    async with database.transaction() as session:
        await session.execute(text("UPDATE cube SET value = 4 WHERE measure = 'places' AND cohort = 'vientiane'"))

    async with database.transaction() as session:
        answer = await projection.check(session)
    assert answer.same is False
    (difference,) = answer.differences
    assert (difference.cell["measure"], difference.cell["cohort"]) == ("places", "vientiane")
    assert (difference.cube, difference.recount) == (4, 5)


async def test_who_has_no_good_token_is_told_nothing(client: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history())
    for path in ("aggregates", "position", "measures", "rebuild"):
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
            answer = await client.get(f"/v1/{path}", headers=headers)
            assert answer.status_code == 401, path
            assert answer.json().keys() == {"code", "message"}


async def test_a_reader_reads_until_the_office_is_revoked_and_may_not_rebuild(
    client: httpx.AsyncClient, database: Database
) -> None:
    token = new_token("/offices/kh/press")
    office = {
        "office": "/offices/kh/press",
        "name": "Press office",
        "roles": ["reader"],
        "status": "active",
        "tokens": [
            {"sha256": token_digest(token), "officer": "one", "expires": datetime.now(UTC) + timedelta(days=1)},
        ],
    }

    async def tell(revision: int, **changes: str) -> None:
        fact = Known("office", "/offices/kh/press", Version(1, revision), OfficeFact(**{**office, **changes}))
        await database.run(lambda session: projection.apply(session, [fact]))

    headers = {"Authorization": f"Bearer {token}"}
    await tell(1)
    assert (await client.get("/v1/aggregates", headers=headers)).status_code == 200
    assert (await client.get("/v1/rebuild", headers=headers)).status_code == 403
    await tell(2, status="revoked")
    assert (await client.get("/v1/aggregates", headers=headers)).status_code == 401


@pytest.mark.parametrize("as_of", ["", "&as_of=9.9"])
async def test_people_of_many_cohorts_are_counted_without_going_through_all_cohorts_for_each(
    client: httpx.AsyncClient, database: Database, as_of: str
) -> None:
    """The database knows nothing of what JSON holds: it took the few that it expected one by one, in ten million looks."""
    await hear(database, a_history(), 9)
    await invent(database, "cohorts", "cohort", a_cohort(), 1000, cohort="'many-' || n")
    trainee = {"cohort": "'many-' || 1 + n % 1000", "enrolment": "'e' || n", "person": "'p' || n"}
    await invent(database, "enrolments", "enrolment, cohort, person", a_trainee(), 10_000, **trainee)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, said: str, given: Any, *_: Any) -> None:
        asked.append((said, given))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    question = "measure=people&country=KH&sex=F&from=2025-01&to=2025-12&basis=cohort"
    assert (await ask(client, f"/v1/aggregates?{question}{as_of}"))["totals"]["people"] > 10_000
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.transaction() as session:
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        assert driver is not None
        for said, given in asked:
            if "enable_nestloop = off" in said:
                await session.execute(text(said))
            elif "count(DISTINCT" in said:
                plan = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {said}", *given)
                looks = [int(number) for number in re.findall(r"Rows Removed by Join Filter': (\d+)", str(plan))]
                assert sum(looks) < 100_000
                return
    raise AssertionError("nobody counted people")


async def invent(database: Database, table: str, columns: str, like: Any, number: int, **changed: str) -> None:
    """So many rows of a table, each but for what is changed like one."""
    data = ", ".join(f"'{name}', {value}" for name, value in changed.items())
    values = ", ".join(changed[name] for name in columns.split(", "))
    statement = f"""
        INSERT INTO {table} ({columns}, position, step, time, epoch, revision, data)
        SELECT {values}, 1, 1, now(), 1, 1, CAST(:data AS jsonb) || jsonb_build_object({data})
        FROM generate_series(1, {number}) AS n
    """  # noqa: S608 (names of this file)
    async with database.transaction() as session:
        await session.execute(text(statement), {"data": like.model_dump_json()})
    async with database.transaction() as session:
        await session.execute(text(f"ANALYZE {table}"))
