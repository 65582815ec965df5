"""A process that is killed while it replaces a certificate: at every statement, two verifiers find one good certificate."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, text

from services.certification.rules import EDITIONS_LIMIT
from shared.database import Database
from tests.integration.chain.issuing import Chain
from tests.integration.chain.strangers import Found, found, judged_by_two
from tests.integration.chain.test_both_services import award
from tests.integration.chain.test_issuing import STORY
from tests.integration.enrolment.house import House

Work = Callable[[Chain], Awaitable[Any]]
MOST = 200
"""Statements of one replacement at most; the test says when there are more."""


def in_a_process(databases: dict[str, str], work: Work, kill_at: int | None = None) -> bool:
    """Work with both services in a process of its own, killed before this statement or commit; whether it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_with_chain(databases, work, kill_at))
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


async def _with_chain(databases: dict[str, str], work: Work, kill_at: int | None = None) -> Any:
    enrolment, own = (Database(databases[service], service) for service in ("enrolment", "certification"))
    chain = Chain(House(enrolment), own)
    chain.now = datetime.now(UTC)  # the others' verifier has no other clock
    if kill_at is not None:
        _kill(own, kill_at)
    try:
        return await work(chain)
    finally:
        await enrolment.close()
        await own.close()


def _kill(database: Database, at: int) -> None:
    count = 0

    def step(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit"):
        event.listen(database.engine.sync_engine, name, step)


async def begin(chain: Chain) -> None:
    await chain.begin()
    await chain.live(*STORY)
    await chain.issue()


def replaced(edition: int) -> Work:
    """The awarding body replaces the certificate by this edition."""
    day, number = 20 + edition, f"S-{90 + edition}"
    said = award("replaced", f"again-{edition}", day, "01", reason="name-changed", certificate_number=number)
    return lambda chain: chain.live(said)


async def issue(chain: Chain) -> None:
    await chain.issue()


async def nothing_is_left(chain: Chain) -> None:
    async with chain.own.transaction() as session:
        assert (await session.execute(text("SELECT count(*) FROM attestation_drafts"))).scalar_one() == 0
        assert (await session.execute(text("SELECT count(*) FROM certificates WHERE due"))).scalar_one() == 0


@pytest.mark.long  # minutes: seventy kills; test_issuing has the same steps in one process
@pytest.mark.timeout(400)
def test_a_process_killed_at_any_statement_leaves_one_good_certificate(databases: dict[str, str]) -> None:
    def run(work: Callable[[Chain], Awaitable[Any]]) -> Any:
        return asyncio.run(_with_chain(databases, work))

    run(begin)
    states: list[Found] = []
    switched: list[bool] = []
    edition = 1
    for kill_at in range(1, MOST):
        edition += 1
        if edition > EDITIONS_LIMIT:
            run(begin)
            edition = 2
        run(replaced(edition))
        finished = in_a_process(databases, issue, kill_at)
        killed = run(found)
        assert killed.editions in (edition - 1, edition), f"killed before statement {kill_at}"
        assert in_a_process(databases, issue)  # the restart
        restarted = run(found)
        assert restarted.editions == edition, f"restarted after it was killed before statement {kill_at}"
        run(nothing_is_left)
        states += [killed, restarted]
        switched.append(killed.editions == edition)
        if finished:
            break
    assert finished, f"a replacement takes more than {MOST} statements"
    assert switched == sorted(switched), "what became public at a statement was public at every later one"
    assert set(switched) == {False, True}
    judged_by_two(states)
