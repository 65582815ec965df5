"""A process that is killed while it replaces a certificate: at every statement, two verifiers find one good certificate."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event, text

from services.certification.issuer_keys import published
from services.certification.signing import did_document
from services.certification.status_lists import signed_list
from shared.database import Database
from shared.evidence import proved
from shared.vc.trust import Trust
from shared.vc.verdict import judge
from tests.integration.chain.issuing import OPERATOR, Chain
from tests.integration.chain.test_issuing import REPLACED, STORY
from tests.integration.enrolment.house import House
from tests.outsiders import accepted

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
    await chain.live(REPLACED)


async def replace(chain: Chain) -> None:
    await chain.issue()


async def found(chain: Chain) -> tuple[list[str], list[str], list[bool]]:
    """The editions that are public, what our own verifier says of each, and whether the other one accepts it.

    Each is opened as its holder would; the log must prove what the verifiers say.
    """
    rows = await chain.rows(
        """
        SELECT public_id, list, attestations.status FROM attestations JOIN certificates USING (certificate)
        WHERE data ->> 'trainee' = '01' AND attestations.status <> 'prepared' ORDER BY (data ->> 'edition')::int
        """
    )
    documents = [(await chain.documents.for_holder(row["public_id"])).document.json for row in rows]
    async with chain.own.transaction() as session:
        keys = did_document(OPERATOR, {row.id: row.public for row in await published(session)})
        logged = [
            proved(await chain.log.evidence(session, row["public_id"]), await chain.log.key(session))[1][-1]
            for row in rows
        ]
        assert [problem async for problem in chain.log.verify(session)] == []
    assert [one.status for one in logged] == [row["status"] for row in rows]
    told: dict[str, str] = {}
    for number in {row["list"] for row in rows}:
        signed = await signed_list(chain.own, chain.keys, OPERATOR, number, chain.now)
        assert signed is not None
        told |= {json.loads(one.json)["id"]: one.json for one in (signed.bits, signed.reasons)}
    trust = Trust().with_issuer(keys.encode()).with_lists(one.encode() for one in told.values())
    own = [judge(one.encode(), trust, chain.now + timedelta(minutes=1)).word for one in documents]
    others = accepted(
        [json.loads(one) for one in documents],
        {OPERATOR.did: json.loads(keys), **{address: json.loads(one) for address, one in told.items()}},
    )
    return [row["status"] for row in rows], [str(word) for word in own], others


GOOD = {
    "before": (["valid"], ["valid"], [True]),
    "after": (["superseded", "valid"], ["superseded", "valid"], [False, True]),
}


def test_a_process_killed_at_any_statement_leaves_one_good_certificate(databases: dict[str, str]) -> None:
    def run(work: Callable[[Chain], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(_with_chain(databases, work))

    ends: list[str] = []
    for kill_at in range(1, MOST):
        run(begin)
        finished = in_a_process(databases, replace, kill_at)
        state = run(found)
        assert state in GOOD.values(), f"killed before statement {kill_at}"
        ends.append(next(name for name, good in GOOD.items() if good == state))
        assert in_a_process(databases, replace)  # the restart
        assert run(found) == GOOD["after"], f"restarted after it was killed before statement {kill_at}"
        run(nothing_is_left)
        if finished:
            break
    assert finished, f"a replacement takes more than {MOST} statements"
    assert ends == sorted(ends, reverse=True), "what was public was taken back"
    assert set(ends) == set(GOOD)


async def nothing_is_left(chain: Chain) -> None:
    async with chain.own.transaction() as session:
        assert (await session.execute(text("SELECT count(*) FROM attestation_drafts"))).scalar_one() == 0
        assert (await session.execute(text("SELECT count(*) FROM certificates WHERE due"))).scalar_one() == 0
