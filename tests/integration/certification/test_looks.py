"""Looks at long rosters (dry runs): they say what taking would, and keep nobody waiting."""

import asyncio
import json
from typing import Any

import pytest

from services.certification.handlers import Handlers
from services.certification.rosters import desk
from services.certification.tables import Office, Token
from shared import rostering
from shared.database import Database
from shared.offices import Doorkeeper
from shared.rosterdesk import Asked, Desk
from tests.integration.certification.given import (
    ADMINISTRATOR,
    SECRET,
    a_cohort,
    a_trainee,
    an_office,
    caller,
    codes,
    fields,
    post,
    tell,
)
from tests.integration.certification.test_rosters import assessed, awarded, became, certificates, number_of, send
from tests.looking import SECONDS, held_in_the_middle
from tests.sheets import as_xlsx
from tests.unit.certification.given import BODY, CENTRE, OTHER_BODY, day, registered, trainee
from tests.unit.certification.given import assessed as said_by_hand


def desk_of(database: Database) -> Desk:
    handlers = Handlers(database, SECRET, "http://enrolment.example")
    return desk(handlers, SECRET, database, Doorkeeper(database, "", Office, Token), "http://enrolment.example")


def of(cohort: str, number: str, line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "Cohort": cohort, "Trainee number": number}


@pytest.fixture
async def told(database: Database) -> Database:
    """Three cohorts of three who completed them, and the scheme."""
    for cohort in ("c-1", "c-2", "c-3"):
        done = {"completion": "in-force", "completed_on": day(13)}
        trainees = (
            trainee(f"{number:03}", person=f"p-{cohort}-{number}", cohort=cohort, **done) for number in (1, 2, 3)
        )
        await tell(database, a_cohort(cohort), *(a_trainee(one) for one in trainees))
    await post(database, registered("scheme", 1), by=ADMINISTRATOR)
    return database


async def test_nobody_waits_for_a_look(told: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a look that is held in its middle, when others post, by HTTP and over NATS, and enrolment tells, of the same
    trainees and of others, then all of them are done while it is held; and it says what it would have said."""
    monkeypatch.setattr(rostering, "PORTION", 1)
    await tell(told, an_office(CENTRE, "a token"))
    sheets = {"Assessments": [of(cohort, "001", assessed()) for cohort in ("c-1", "c-2", "c-3")]}
    async with (
        asyncio.timeout(4 * SECONDS),
        held_in_the_middle(desk_of(told), as_xlsx(**sheets), Asked(BODY, caller(BODY))) as looking,
    ):
        scheme = registered("another", 2, source=OTHER_BODY, scheme="other")
        assert codes(await asyncio.wait_for(post(told, scheme, by=caller(OTHER_BODY)), SECONDS)) == ["applied"]
        changed = a_cohort("c-1", 2, titles={"en": "Another title"}), a_trainee(trainee("001", cohort="c-1"), 2)
        await asyncio.wait_for(tell(told, *changed), SECONDS)
        by_hand = fields(said_by_hand("by-hand", 11, source=CENTRE))
        message = f"intake.certification.{CENTRE.removeprefix('/offices/').replace('/', '.')}", json.dumps(by_hand)
        handlers = Handlers(told, SECRET, "")
        await asyncio.wait_for(handlers.take_messages([(message[0], message[1].encode())]), SECONDS)
        assert not looking.done()
        events = await number_of(told, "events")
    assert became(looking.result()) == [("accepted", "applied")] * 3
    assert await number_of(told, "events") == events == 3


@pytest.mark.parametrize(("portion", "most"), [(1, 500), (4, 500), (1, 2), (1_000, 500)])
async def test_a_look_in_several_transactions_says_what_taking_says(
    told: Database, monkeypatch: pytest.MonkeyPatch, portion: int, most: int
) -> None:
    """Given assessments and awards of several cohorts in no order, when they are looked at in however small portions, then each
    award is answered by the assessments in the same file, as when it is taken."""
    monkeypatch.setattr(rostering, "PORTION", portion)
    monkeypatch.setattr(rostering, "TOGETHER", most, raising=False)
    where = [(cohort, f"{number:03}") for number in (3, 1, 2) for cohort in ("c-2", "c-1", "c-3")]
    failed = {"Theory passed": "yes", "Practice passed": "no"}
    content = as_xlsx(
        Awards=[of(*one, awarded(f"S-{at}")) for at, one in enumerate(where)] + [{"Cohort": "c-9"}],
        Assessments=[
            of(*one, assessed("fail", **failed) if at % 3 == 0 else assessed())
            for at, one in enumerate(reversed(where))
        ],
    )
    looked_at = await send(told, content, dry_run=True)
    assert await certificates(told) == {}
    assert await number_of(told, "roster_rows") == 0
    done = await send(told, content)
    assert looked_at.rows == done.rows
    assert (looked_at.counts, looked_at.missing) == (done.counts, done.missing)
    assert done.counts == {"accepted": 15, "conflict": 3, "rejected": 1}
