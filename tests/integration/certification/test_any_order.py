"""Any order, duplication and split of a set of events and facts, through the real handlers, gives the same."""

import asyncio
import json
import random

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from services.certification import queries
from services.certification.awards import Cohort, Trainee, World
from services.certification.domain import fold, fold_schemes
from services.certification.handlers import Told
from shared.database import Database
from shared.events.certification import CertificateFact
from shared.events.envelope import Event
from shared.lists import Paging
from tests.integration.certification.conftest import empty
from tests.integration.certification.given import ADMINISTRATOR, a_cohort, a_trainee, post, tell
from tests.properties import examples
from tests.unit.certification.given import PARTIES
from tests.unit.certification.strategies import NUMBERS, event_sets, trainees


@st.composite
def tellings(draw: st.DrawFn) -> dict[str, list[tuple[Trainee, bool]]]:
    """What enrolment tells of each trainee, one fact after the other, and whether it is void; of some never anything."""
    least = st.sampled_from((1, 1, 1, 0))
    void = st.sampled_from((False, False, False, True))
    return {
        number: draw(st.lists(st.tuples(trainees(number), void), min_size=draw(least), max_size=3))
        for number in NUMBERS
    }


@examples(10)
@given(
    event_sets(most=10, schemes=True),
    tellings(),
    st.sampled_from((["started"],) * 5 + (["started", "void"], ["void", "started"], [])),
    st.randoms(use_true_random=False),
)
def test_any_order(
    migrated: str,
    events: list[Event],
    told: dict[str, list[tuple[Trainee, bool]]],
    cohort: list[str],
    chance: random.Random,
) -> None:
    steps: list[Event | Told] = [*events, *chance.sample(events, len(events) // 3)]
    for facts in told.values():
        steps += [
            a_trainee(fact, revision, **({"status": "void"} if void else {}))
            for revision, (fact, void) in enumerate(facts, start=1)
        ]
    steps += [a_cohort(revision=revision, status=status) for revision, status in enumerate(cohort, start=1)]
    chance.shuffle(steps)
    latest = {facts[-1][0].enrolment: facts[-1][0] for facts in told.values() if facts and not facts[-1][1]}
    schemes = fold_schemes(events)
    cohorts = {"wuxi": Cohort("wuxi", "Asia/Shanghai", PARTIES)} if cohort[-1:] == ["started"] else {}
    expected = fold(events, World(latest, cohorts, schemes.schemes))
    outcomes, certificates, journal = asyncio.run(_live_through(migrated, steps, chance))
    assert outcomes == {ref: tuple(one) for ref, one in (expected.outcomes | schemes.outcomes).items()}
    assert certificates == {key: fact.model_dump(mode="json") for key, fact in expected.certificates.items()}
    # What went out says the same as what is held, and its revisions count from 1 without a gap.
    assert {key: body["data"] for key, body in journal.items() if body["data"]["status"] != "void"} == certificates


async def _live_through(
    url: str, steps: list[Event | Told], chance: random.Random
) -> tuple[dict[tuple[str, str], tuple[str, str]], dict[str, object], dict[str, dict[str, dict[str, object]]]]:
    database = Database(url, "certification")
    try:
        await empty(database)
        while steps:
            several = [steps.pop() for _ in range(min(len(steps), chance.randint(1, 6)))]
            if posts := [one for one in several if isinstance(one, Event)]:
                await post(database, *posts)
            if facts := [one for one in several if isinstance(one, Told)]:
                await tell(database, *facts)
        async with database.transaction() as session:
            listed = await queries.events(session, ADMINISTRATOR, Paging(limit=1000), None)
            held = await queries.certificates(session, ADMINISTRATOR, Paging(limit=1000), NO_FILTERS)
            rows = await session.execute(
                text("SELECT body FROM outbox WHERE subject LIKE '%.certificate.%' ORDER BY position")
            )
            said: dict[str, dict[str, dict[str, object]]] = {}
            for row in rows:
                body = json.loads(row.body)
                before = said.get(body["subject"], {"revision": 0})["revision"]
                assert body["revision"] == before + 1  # type: ignore[operator]
                said[body["subject"]] = body
        outcomes = {(one.source, one.id): (one.current.status, one.current.code) for one in listed.items}
        return (
            outcomes,
            {
                fact.certificate: fact.model_dump(mode="json", include=set(CertificateFact.model_fields))
                for fact in held.items
            },
            said,
        )
    finally:
        await database.close()


NO_FILTERS = dict.fromkeys(("cohort", "scheme", "status", "enrolment"))
