"""GET /v1/explain: the enrolments and facts behind a figure, and what came and went since."""

import asyncio
import hashlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.reporting import explain, history, projection, queries, questions
from services.reporting.domain import Known, Rows, newest
from services.reporting.explain import Explanation, Sight
from services.reporting.explain_api import COUNTED_AT_ONCE, EXPLAINED_AT_ONCE, Turns
from services.reporting.ledger import Asked
from services.reporting.questions import Question
from services.reporting.rates import RATES
from services.reporting.reckoning import Counted, Reckoner
from shared.database import Database
from shared.events.attendance import Given
from shared.events.certification import CertificateFact
from shared.events.enrolment import CohortFact, OfficeFact, TraineeFact
from shared.events.facts import Version
from shared.http import Problem
from shared.offices import new_token, token_digest
from tests.integration.bus.house import eventually
from tests.integration.reporting.conftest import KEY, empty
from tests.integration.reporting.test_aggregates import a_history, ask
from tests.integration.reporting.test_projection import hear, replay
from tests.servers import migrate
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, known
from tests.unit.reporting.histories import DAYS, NUMBERS, arrivals, histories, sessions, trainee_changes


async def test_a_figure_is_explained_by_its_enrolments_and_the_facts_that_put_each_there(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, [known(a_cohort())], 1)
    proposed = a_trainee("01", status="proposed", enrolled_on=None, proposed_on="2025-02-01")
    await hear(database, [known(proposed), known(a_trainee("02", sex="M"))], 2)
    await hear(database, [known(a_trainee("01"), 2)], 3)
    await hear(database, [known(a_trainee("01", trade="cabling"), 3)], 4)

    answer = await ask(client, "/v1/explain?measure=enrolled&sex=F&from=2025-02")

    assert answer["rule"]["says"].startswith("Trainees enrolled")
    assert (answer["value"], answer["explained"], answer["enrolments"], answer["withheld"]) == (1, 1, 1, 0)
    (line,) = answer["items"]
    assert (line["cohort"], line["enrolment"], line["person"]) == ("wuxi", a_trainee("01").enrolment, "person-01")
    (fact,) = line["facts"]  # the change of trade put nobody there
    assert (fact["stream"], fact["position"], fact["kind"], fact["revision"]) == ("ENROLMENT", 3, "trainee", 2)
    same = await ask(client, "/v1/explain?measure=enrolled&sex=F&from=2025-02&as_of=3.3")
    assert same["digest"] == answer["digest"]
    assert (await ask(client, "/v1/explain?measure=enrolled&sex=F&as_of=2.2"))["items"] == []


async def test_what_came_and_went_is_told_in_a_sentence(client: httpx.AsyncClient, database: Database) -> None:
    await hear(database, [known(a_cohort()), *(known(a_trainee(f"0{number}")) for number in (1, 2, 3))], 4)
    await hear(database, [known(a_trainee("01", status="void"), 2)], 5)
    await hear(database, [known(a_trainee(f"1{number}", sending_centre="kampot")) for number in range(5)], 10)

    answer = await ask(client, "/v1/explain?measure=enrolled&compare=4.4")

    compared = answer["compared"]
    assert (answer["value"], compared["value"], compared["difference"]) == (7, 3, 4)
    assert compared["sentence"] == (
        "7, not 3: 5 enrolments of kampot reached us after 4.4; 1 enrolment of ntti was changed after 4.4 and no longer counts."
    )
    assert [(line["before"], line["value"]) for line in answer["items"]].count((0, 1)) == 5
    (went,) = [line for line in answer["items"] if line["value"] == 0]
    assert [fact["position"] for fact in went["facts"]] == [5]
    assert (await ask(client, "/v1/explain?measure=enrolled&compare=10.10"))["compared"]["sentence"] == (
        "7, as it was known at 10.10."
    )


async def test_as_of_a_time_before_a_dead_letter_was_replayed_it_was_not_known(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, [known(a_cohort()), known(a_trainee("01"))], 100)
    await hear(database, [known(a_trainee("02"))], 110)
    await replay(database, [known(a_trainee("50"))], 50)
    await hear(database, [known(a_trainee("03"))], 120)

    then = await ask(client, "/v1/explain?measure=enrolled&as_of=100.100")
    assert (then["value"], then["explained"], len(then["items"])) == (1, 1, 1)
    people = await ask(client, "/v1/aggregates?measure=people&by=trade&as_of=100.100")
    assert people["totals"] == {"people": 1}
    since = await ask(client, "/v1/explain?measure=enrolled&compare=100.100")
    assert (since["compared"]["value"], since["compared"]["difference"]) == (1, 3)
    assert {fact["position"] for line in since["items"] for fact in line["facts"]} == {50, 110, 120}


async def test_an_update_gives_facts_of_before_the_step_of_their_position(
    client: httpx.AsyncClient, database: Database, migrated: str
) -> None:
    for position, facts in enumerate([[known(a_cohort())], [known(a_trainee("01")), known(a_trainee("02"))]], 1):
        await hear(database, facts, position)
    await hear(database, [known(a_certificate(a_trainee("01"), awarded_on="2025-04-13")), known(a_trainee("01"), 2)], 3)
    tables = ("cohorts", "enrolments", "certificates", "past_facts")

    async def steps() -> list[Any]:
        found = " UNION ALL ".join(f"SELECT '{table}', data ->> 'number', step FROM {table}" for table in tables)  # noqa: S608
        async with database.transaction() as session:
            return sorted(map(str, await session.execute(text(found))))

    as_they_were = await steps()
    async with database.transaction() as session:
        for table in tables:
            await session.execute(text(f"ALTER TABLE {table} DROP COLUMN step"))
        await session.execute(text("ALTER TABLE period_versions DROP COLUMN step"))
        await session.execute(text("UPDATE alembic_version SET version_num = '0035'"))
    await asyncio.to_thread(migrate, "reporting", migrated)
    await database.engine.dispose()
    assert await steps() == as_they_were


async def test_pages_go_through_all_lines_and_the_digest_is_of_the_set(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())
    found, after, digests = [], "", set()
    while after is not None:
        answer = await ask(client, f"/v1/explain?measure=training_hours&limit=4&after={after}")
        found += answer["items"]
        digests.add(answer["digest"])
        after = answer["next"]
    assert sum(line["value"] for line in found) == answer["value"] == answer["explained"] == 52.0
    assert (len(found), len(digests)) == (8, 1)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "not_a_cell"),
        ("measure=enrolled,certified", "not_a_cell"),
        ("measure=enrolled&by=sex", "not_a_cell"),
        ("measure=enrolled&limit=0", "invalid_limit"),
        ("measure=enrolled&compare=then", "invalid_moment"),
        ("measure=enrolled&as_of=1.1&compare=2026-01", "invalid_moment"),
        ("measure=enrolled&gender=F", "unknown_parameter"),
    ],
)
async def test_what_cannot_be_explained_is_400(
    client: httpx.AsyncClient, database: Database, query: str, code: str
) -> None:
    await hear(database, [known(a_cohort())], 1)
    await hear(database, [known(a_trainee())], 2)
    answer = await client.get(f"/v1/explain?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("office", "role", "seen"),
    [
        ("/offices/kh/ntti", "sending-office", 1),
        ("/offices/cn/wit", "host-centre", 2),
        ("/offices/mm/gti", "sending-office", 0),
        ("/offices/ch/ilo", "coordinator", 2),
        ("/offices/kh/press", "reader", 0),
    ],
)
async def test_an_office_sees_the_lines_of_its_own_country_and_how_many_there_are(
    client: httpx.AsyncClient, database: Database, office: str, role: str, seen: int
) -> None:
    token = new_token(office)
    fields: dict[str, Any] = {"office": office, "name": "An office", "roles": [role], "status": "active"}
    line = {"sha256": token_digest(token), "officer": "one", "expires": "2100-01-01T00:00:00Z"}
    of_office = OfficeFact.model_validate({**fields, "tokens": [line]})
    await hear(database, [known(a_cohort()), known(a_trainee("01")), known(a_trainee("02", country="LA"))])
    await database.run(
        lambda session: projection.apply(session, [Known("office", office, Version(1, 1), of_office)]),
    )
    answer = await ask(client, "/v1/explain?measure=enrolled", Authorization=f"Bearer {token}")
    assert (answer["value"], len(answer["items"]), answer["withheld"]) == (2, seen, 2 - seen)


async def test_nobody_finds_out_by_trying_whom_a_digest_is_of(client: httpx.AsyncClient, database: Database) -> None:
    one = a_trainee("01", withdrawn_on="2025-04-02", status="withdrawn")
    await hear(database, [known(a_cohort()), known(one), known(a_trainee("02"))])
    answer = await ask(client, "/v1/explain?measure=withdrawn")
    line = f"{one.cohort}.{one.enrolment} 1 0\n"
    assert answer["digest"] != hashlib.sha256(line.encode()).hexdigest()
    again = Question(("withdrawn",))
    async with database.transaction() as session:
        for key, same in ((KEY, True), (b"another", False)):
            told = await explain.explain(session, again, None, Sight(), key=key)
            assert (told.digest == answer["digest"]) is same
    # Two figures may be of the same one: that is not told either.
    alike = await ask(client, "/v1/explain?measure=withdrawn&sex=F")
    assert (alike["enrolments"], alike["digest"] == answer["digest"]) == (1, False)


measures = st.sampled_from([*questions.COUNTED, *queries.RATES])


async def explained(database: Database, question: Question, compare: str | None = None) -> Explanation:
    async with database.transaction() as session:
        asked = Asked.read(compare) if compare else None
        return await explain.explain(session, question, asked, Sight(everything=True), key=KEY, limit=1000)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_an_explanation_comes_to_the_figure_whenever_and_whatever_is_asked(
    database: Database, data: st.DataObject
) -> None:
    await empty(database)
    position = 0
    positions = [0]
    for batch in data.draw(arrivals(data.draw(histories()))):
        if late := data.draw(st.sampled_from([0, *positions])):
            await replay(database, batch, late)
            continue
        position += len(batch)
        await hear(database, batch, position)
        positions.append(position)
    then, now = sorted(data.draw(st.tuples(st.sampled_from(positions), st.sampled_from(positions))))
    for measure in data.draw(st.sets(measures, min_size=1, max_size=4)):
        where = data.draw(st.sampled_from([(), (("country", ("KH",)),), (("host_country", ("CN",)),)]))
        months = data.draw(st.sampled_from([(None, None), ("2025-04", None), (None, "2025-04")]))
        question = Question((measure,), (), where, *months, as_of=Asked.read(f"{now}.{now}"))
        answer = await explained(database, question, f"{then}.{then}")
        assert answer.explained == answer.value
        assert answer.compared is not None
        assert answer.compared.value + answer.compared.difference == answer.value
        assert sum(reason.difference for reason in answer.compared.reasons) == pytest.approx(answer.compared.difference)
        if measure in RATES:
            assert (answer.compared.of or 0) + (answer.compared.of_difference or 0) == answer.of
            reasons = answer.compared.reasons
            assert sum(reason.of_difference or 0 for reason in reasons) == answer.compared.of_difference
        whole = await explained(database, question)
        assert sum(line.value for line in whole.items) == pytest.approx(whole.value)
        assert measure == "people" or all(line.facts for line in whole.items), "a fact put each there"


_changes_of_a_cohort = st.fixed_dictionaries(
    {"sessions": st.lists(sessions, max_size=4)},
    optional={
        "starts_on": st.sampled_from(DAYS),
        "status": st.sampled_from(["closed", "void"]),
        "started_on": st.none(),
        "places": st.just([{"country": "KH", "places": 7}]),
    },
)


@st.composite
def _told(draw: st.DrawFn) -> list[Known]:
    """Facts of a cohort, mostly of its sessions alone, with some of its trainees and their certificates in between."""
    facts = []
    for revision in range(2, draw(st.integers(5, 12))):
        kind = draw(st.sampled_from(["cohort", "cohort", "cohort", "trainee", "certificate"]))
        number = draw(st.sampled_from(NUMBERS))
        if kind == "cohort":
            facts.append(known(a_cohort(**draw(_changes_of_a_cohort)), revision))
        elif kind == "trainee":
            facts.append(known(a_trainee(number, **draw(trainee_changes)), revision))
        else:
            facts.append(known(a_certificate(a_trainee(number), awarded_on=draw(st.sampled_from(DAYS))), revision))
    return [known(a_cohort(), 1), known(a_trainee("01"), 1), *draw(st.permutations(facts))]


async def _all_reckoned(database: Database, question: Question, cohort: str, enrolment: str) -> list[tuple[Any, ...]]:
    """What changed a line, by counting it anew after each of all facts that were ever heard of it."""
    models = {"cohort": CohortFact, "trainee": TraineeFact, "certificate": CertificateFact}
    fields = "epoch, revision, position, time, cause, CAST(data AS text) AS data, step"
    statement = f"""
        SELECT 'cohort' AS kind, cohort AS key, {fields} FROM cohorts
        UNION ALL SELECT 'trainee', enrolment, {fields} FROM enrolments
        UNION ALL SELECT 'certificate', certificate, {fields} FROM certificates
        UNION ALL SELECT kind, key, {fields} FROM past_facts
    """  # noqa: S608
    own = []
    async with database.transaction() as session:
        for row in await session.execute(text(statement)):
            data = models[row.kind].model_validate_json(row.data)
            whose = data.cohort if isinstance(data, CohortFact) else data.enrolment  # type: ignore[attr-defined]
            if whose in (cohort, enrolment):
                version = Version(row.epoch, row.revision)
                own.append(Known(row.kind, row.key, version, data, row.position, row.time, row.cause, row.step))
    rows, versions, last, found = Rows(), dict[tuple[str, str], Version](), (0, 0), []
    for fact in sorted(own, key=history.in_order):
        if newest([fact], versions):
            versions[fact.kind, fact.key] = fact.version
            rows.put(fact.data)
            for line in Reckoner(question).counted(rows):
                if last != (last := (line.value, line.of)):
                    shown = Reckoner(question).shown(line.value)
                    found.append((fact.kind, fact.key, fact.position, fact.version.revision, shown))
    return found


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_facts_that_cannot_move_a_line_are_left_out_and_no_other(database: Database, data: st.DataObject) -> None:
    await empty(database)
    for position, fact in enumerate(data.draw(_told()), 1):
        await (replay if data.draw(st.booleans()) else hear)(database, [fact], position)
    for measure in ("training_hours", data.draw(measures)):
        month = data.draw(st.sampled_from([None, "2025-04"]))
        question = Question((measure,), (), (), month)
        for line in (await explained(database, question)).items:
            told = [(one.kind, one.key, one.position, one.revision, one.value) for one in line.facts]
            assert told == await _all_reckoned(database, question, line.cohort, line.enrolment or "")


@pytest.mark.parametrize(("measure", "reckoned"), [("enrolled", 2), ("training_hours", 2), ("places", 1)])
async def test_sessions_are_reckoned_for_hours_alone_each_once_and_beside_the_loop(
    database: Database, monkeypatch: pytest.MonkeyPatch, measure: str, reckoned: int
) -> None:
    held = [{"session": number, "date": "2025-04-01", "hours": 2.0} for number in range(1, 31)]
    await hear(database, [known(a_cohort())], 1)
    await hear(database, [known(a_trainee("01"))], 2)
    for number in range(1, 31):
        await hear(database, [known(a_cohort(sessions=held[:number]), 1 + number)], 2 + number)
    threads, anew, moved = set(), [], []
    counted, moves = Reckoner.counted, Reckoner.moved

    def counting(self: Reckoner, rows: Rows) -> Iterable[Counted]:
        threads.add(threading.current_thread())
        anew.append(rows)
        return counted(self, rows)

    def moving(self: Reckoner, rows: Rows, gone: Sequence[Given], come: Sequence[Given]) -> int:
        threads.add(threading.current_thread())
        moved.append((len(gone), len(come)))
        return moves(self, rows, gone, come)

    monkeypatch.setattr(Reckoner, "counted", counting)
    monkeypatch.setattr(Reckoner, "moved", moving)

    (line,) = (await explained(database, Question((measure,)))).items

    assert len(anew) == 1 + reckoned  # what it counts now, and after each fact that may have moved it
    assert moved == ([(0, 1)] * 30 if measure == "training_hours" else [])
    assert len(line.facts) == (30 if measure == "training_hours" else 1)
    assert threading.main_thread() not in threads


async def test_a_certificate_that_is_the_cause_is_named(client: httpx.AsyncClient, database: Database) -> None:
    trainee = a_trainee("01")
    await hear(database, [known(a_cohort()), known(trainee)], 2)
    await hear(database, [known(a_certificate(trainee, awarded_on="2025-04-13"))], 3)
    answer = await ask(client, "/v1/explain?measure=certified&level=senior&compare=2.2")
    assert [(one["why"], one["sending_centre"]) for one in answer["compared"]["reasons"]] == [("certificate", "ntti")]
    assert [fact["kind"] for fact in answer["items"][0]["facts"]] == ["certificate"]


async def test_many_explanations_leave_room_for_everybody_else(client: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history())
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE enrolments IN ACCESS EXCLUSIVE MODE"))  # so that none of them ends
        asked = [asyncio.create_task(client.get("/v1/explain?measure=enrolled")) for _ in range(20)]
        asked += [asyncio.create_task(client.get("/v1/aggregates?measure=people&by=month")) for _ in range(20)]

        async def all_that_may() -> bool:
            waiting = await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            return (waiting or 0) >= EXPLAINED_AT_ONCE + COUNTED_AT_ONCE

        await eventually(all_that_may)
        answer = await client.get("/v1/codes")
        assert answer.status_code == 200, answer.text
    answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [200] * len(asked)


async def test_whoever_waits_too_long_is_told_to_come_again() -> None:
    turns = Turns(1, seconds=0.01)
    async with turns.one():
        with pytest.raises(Problem) as crowded:
            async with turns.one():
                pass
        assert (crowded.value.status, crowded.value.code) == (503, "unavailable")
        assert int(crowded.value.headers["Retry-After"]) > 0
    async with turns.one():  # what was given back
        pass


async def test_of_a_rate_both_numbers_are_compared(client: httpx.AsyncClient, database: Database) -> None:
    def enrolled(*numbers: int, **more: Any) -> list[Known]:
        return [known(a_trainee(f"{number:02}", **more), 1 + ("completed_on" in more)) for number in numbers]

    await hear(database, [known(a_cohort(started_on="2025-03-31")), *enrolled(*range(7))], 10)
    await hear(database, enrolled(*range(6), completed_on="2025-04-12", completion="in-force"), 20)
    asked = "/v1/explain?measure=completion_rate"
    assert (await ask(client, f"{asked}&compare=20.20"))["compared"]["sentence"] == (
        "6 of 7, as it was known at 20.20."
    )
    await hear(database, enrolled(11, 12, 13, sending_centre="kampot"), 30)

    answer = await ask(client, f"{asked}&compare=20.20")

    compared = answer["compared"]
    assert (answer["value"], answer["of"], compared["value"], compared["of"]) == (6, 10, 6, 7)
    assert compared["sentence"] == "6 of 10, not 6 of 7: 3 enrolments of kampot reached us after 20.20."
    (reason,) = compared["reasons"]
    assert (reason["direction"], reason["enrolments"]) == ("came", 3)
    assert (reason["difference"], reason["of_difference"]) == (0, 3)
    items = [(line["value"], line["of"], line["before"], line["before_of"]) for line in answer["items"]]
    assert items == [(0, 1, 0, 0)] * 3

    await hear(database, [known(a_trainee("00"), 3), known(a_trainee("01", status="void"), 3)], 40)
    compared = (await ask(client, f"{asked}&compare=30.30"))["compared"]
    assert (compared["difference"], compared["of_difference"]) == (-2, -1)
    assert compared["sentence"] == (
        "4 of 9, not 6 of 10: 1 enrolment of ntti was changed after 30.30 and no longer counts; "
        "1 enrolment of ntti was changed after 30.30 and no longer counts in the first number."
    )
    page = await client.get("/explain?lang=en&measure=completion_rate&compare=30.30")
    assert "4 / 9 now, 6 / 10 then" in page.text
