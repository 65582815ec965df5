"""Looks at long rosters (dry runs): they say what taking would, and keep nobody waiting."""

import asyncio
import json

import pytest

from services.enrolment.rosters import desk
from services.enrolment.tables import Office, Token
from shared import rostering
from shared.offices import Doorkeeper
from shared.rosterdesk import Asked, Desk
from shared.rosters.answers import RosterAnswer
from shared.rosters.books import open_book
from shared.uploads import taken
from tests.integration.enrolment.house import ADMIN, CERTIFICATION, REGISTRATIONS, House, said
from tests.looking import SECONDS, held_in_the_middle
from tests.sheets import a_trainee, as_xlsx, was_there
from tests.unit.enrolment.story import HOST, PARTIES, SENDER, announced, cohort, forgotten, on, proposed

COHORTS = ("c-1", "c-2", "c-3", "c-4")


def desk_of(house: House) -> Desk:
    door = Doorkeeper(house.database, "", Office, Token)
    return desk(house.handlers, house.register, house.database, door, CERTIFICATION)


async def send(house: House, content: bytes, *, dry_run: bool = False) -> RosterAnswer:
    answer, _ = await taken(desk_of(house), open_book(content), Asked(SENDER, ADMIN, dry_run=dry_run))
    return answer


@pytest.fixture
async def house(house: House) -> House:
    """Cohorts that have started, whose sending office is their host too."""
    await house.post(*REGISTRATIONS)
    parties = [*PARTIES, {"office": SENDER, "role": "host-centre"}]
    for code in COHORTS:
        start = cohort("cohort.started", 30, HOST, cohort=code, date=on(30), id_=f"started-{code}")
        await house.post(announced(cohort=code, id_=f"announced-{code}", parties=parties), start)
    return house


async def test_nobody_waits_for_a_look(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a look that is held in its middle, when others post, of its cohorts and of others, and somebody is forgotten
    meanwhile, which is done alone, then all of that is done while it is held; and it says what it would have said."""
    monkeypatch.setattr(rostering, "PORTION", 1)
    await house.post(proposed("01", cohort="c-4"))
    content = as_xlsx(Trainees=[a_trainee("01", Cohort=code) for code in COHORTS[:3]])
    async with (
        asyncio.timeout(5 * SECONDS),
        held_in_the_middle(desk_of(house), content, Asked(SENDER, ADMIN)) as looking,
    ):
        for number, code in enumerate(("c-1", "c-2", "c-4"), 51):
            one = proposed(str(number), cohort=code)
            assert said(await asyncio.wait_for(house.post(one), SECONDS)) == ["accepted applied"], code
        gone = asyncio.wait_for(house.post(forgotten("01", cohort="c-4")), SECONDS)
        assert said(await gone) == ["accepted applied"]
        subject, event = "intake.enrolment.kh.ntti", proposed("61", cohort="c-1")
        await asyncio.wait_for(house.handlers.take_messages([(subject, json.dumps(event).encode())]), SECONDS)
        assert not looking.done()
    assert looking.result().counts == {"accepted": 3}
    assert await house.rows("SELECT 1 FROM roster_rows") == []


@pytest.mark.parametrize(("portion", "most"), [(1, 500), (5, 500), (1_000, 500)])
async def test_a_look_in_several_transactions_says_what_taking_says(
    house: House, monkeypatch: pytest.MonkeyPatch, portion: int, most: int
) -> None:
    """Given trainees and attendance of several cohorts in no order, when they are looked at in however small portions, then each
    session is answered by the trainees in the same file, as when it is taken."""
    monkeypatch.setattr(rostering, "PORTION", portion)
    monkeypatch.setattr(rostering, "TOGETHER", most, raising=False)
    where = [(code, number) for number in ("03", "01", "02") for code in ("c-2", "c-1", "c-3")]
    unknown = [was_there("77", 2, "absent", Cohort="c-2")]
    content = as_xlsx(
        Attendance=[was_there(number, 1, "absent", Cohort=code) for code, number in where]
        + unknown
        + [was_there("01", 3, "absent", Cohort="c-4")],
        Trainees=[a_trainee(number, Cohort=code) for code, number in where]
        + [a_trainee("04", Cohort="c-1", Sex="?"), a_trainee("03", Cohort="c-2")],
    )
    looked_at = await send(house, content, dry_run=True)
    assert await house.rows("SELECT 1 FROM roster_rows") == []
    done = await send(house, content)
    assert looked_at.rows == done.rows
    assert (looked_at.counts, looked_at.missing) == (done.counts, done.missing)
    assert done.counts == {"accepted": 18, "waiting": 2, "rejected": 1, "duplicate": 1}


async def test_a_large_cohort_is_looked_at_in_several(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a cohort with more rows than are looked at together, when it is looked at, then its trainees are answered as they
    would be taken, and its sessions as of those that came with them."""
    monkeypatch.setattr(rostering, "TOGETHER", 2, raising=False)
    numbers = [f"{number:02}" for number in range(1, 6)]
    content = as_xlsx(
        Trainees=[a_trainee(number, Cohort="c-1") for number in reversed(numbers)],
        Attendance=[was_there(number, 1, "absent", Cohort="c-1") for number in ("01", "05")],
    )
    looked_at = await send(house, content, dry_run=True)
    assert looked_at.counts == {"accepted": 5, "waiting": 2}
    assert (await send(house, content)).counts == {"accepted": 7}
