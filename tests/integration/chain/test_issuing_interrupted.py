"""The issuer ends in the middle, or takes long: what is public is whole all the same."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import text

from services.certification import attestations, issuer
from services.certification.holders import Holders
from services.certification.sources import Sources, sources
from shared import database
from shared.database import Database
from tests.integration.chain.issuing import Chain
from tests.integration.chain.strangers import found, judged_by_two
from tests.integration.chain.test_both_services import award
from tests.integration.chain.test_issuing import REPLACED, STORY, Crash
from tests.integration.enrolment.house import House
from tests.unit.certification.given import registered


@pytest.fixture
async def chain(both: tuple[House, Database]) -> Chain:
    """The story, and nothing of it issued."""
    made = Chain(*both)
    return await made.begin_after("the story of issuing", lambda: made.live(*STORY))


@pytest.mark.parametrize("steps", [(2, 4), pytest.param(range(6), marks=pytest.mark.long)])
async def test_a_crash_at_any_step_ends_in_one_of_the_two_good_states(
    both: tuple[House, Database], steps: Sequence[int]
) -> None:
    states = []
    for crashes_at in steps:
        chain = await Chain(*both).begin()
        chain.now = datetime.now(UTC)  # the others' verifier has no other clock
        await chain.live(*STORY)
        await chain.issue()
        await chain.live(REPLACED)
        crashed = await _crashed(chain, crashes_at)
        states.append(await found(chain))
        assert states[-1].editions == (1 if crashed else 2), "nothing is public before the last step"
        await chain.issue()
        states.append(await found(chain))
        assert states[-1].editions == 2, "after the restart"
        assert await chain.rows("SELECT 1 FROM attestation_drafts") == []
    judged_by_two(states)


STEPS = ["settle", "sign", "store", "confirm", "publish"]


async def _crashed(chain: Chain, at: int) -> bool:
    """Let the issuer look and end at a step; whether it came so far."""
    steps: list[str] = []

    async def step(name: str) -> None:
        if len(steps) == at:
            raise Crash
        steps.append(name)

    try:
        await chain.an_issuer(step).look()
    except Crash:
        assert steps == STEPS[:at]
        return True
    assert steps == STEPS
    return False


@pytest.mark.long
async def test_what_was_not_stored_well_is_signed_anew(chain: Chain) -> None:
    async def crash(name: str) -> None:
        if name == "confirm":
            raise Crash

    with pytest.raises(Crash):
        await chain.an_issuer(crash).look()
    async with chain.own.transaction() as session:
        await session.execute(text("UPDATE attestation_drafts SET sealed = overlay(sealed placing 'x'::bytea from 40)"))
    await chain.issue()
    assert await chain.standings() == {}
    await chain.issue()
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}


async def test_an_issuer_keeps_its_place_however_long_a_look_takes(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_HOLDER_SECONDS", 1)
    began = asyncio.Event()

    async def slow(_: str) -> None:
        began.set()
        await asyncio.Event().wait()

    await chain.issue()
    await chain.live(award("suspended", "stop", 17, "01", reason="review"))
    async with chain.an_issuer(slow).running():
        await began.wait()
        until = monotonic() + 2.5
        while monotonic() < until:
            async with chain.own.alone("issuing") as other:
                assert other is None
            await asyncio.sleep(0.1)


async def test_a_copy_that_does_not_issue_says_so_and_nothing_of_when_it_did(chain: Chain) -> None:
    looking = chain.an_issuer()
    looking.progress.problem = "enrolment was away when this copy issued"

    async def says(problem: str | None) -> None:
        until = monotonic() + 10
        while looking.progress.problem != problem:
            assert monotonic() < until, looking.progress
            await asyncio.sleep(0.05)

    async with chain.own.alone("issuing") as other:
        assert other is not None
        async with looking.running():
            await says(issuer.ELSEWHERE)
    async with looking.running():
        await says(None)


async def test_what_a_document_says_and_changes_while_it_is_settled_is_said_by_the_next(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is heard after the issuer has read what to say is not taken for said."""
    await chain.issue()
    heard: list[asyncio.Task[None]] = []

    async def read_and_then_overtaken(*asked: Any) -> Sources:
        told = await sources(*asked)
        if not heard:
            renamed = registered("renamed", 16, replaces="scheme", titles={"en": "Skills Certification"})
            heard.append(asyncio.create_task(chain.live(renamed)))
            await asyncio.wait(heard, timeout=1)  # it ends at once, or waits for what is being settled
        return told

    monkeypatch.setattr(issuer, "sources", read_and_then_overtaken)
    async with chain.own.transaction() as session:  # as after any event of which documents say nothing
        await session.execute(text("UPDATE certificates SET due = true"))

    await chain.issue()
    await heard[0]
    await chain.issue()

    assert "Skills Certification" in (await chain.documents.for_holder(await chain.public_id("01"))).document.json


async def test_what_is_signed_with_a_key_while_it_is_given_up_is_signed_anew(chain: Chain) -> None:
    given_up = asyncio.Event()

    async with chain.own.transaction() as session:

        async def step(name: str) -> None:
            if name == "store":  # it is signed, and the key is given up before anybody can see that
                await chain.keys.compromise(session, 1, chain.now)
                given_up.set()

        look = asyncio.create_task(chain.an_issuer(step).look())
        await given_up.wait()
        await asyncio.wait([look], timeout=1)  # it ends at once, or waits for what is being given up
    await look
    await chain.issue()

    assert await chain.rows("SELECT DISTINCT key FROM attestations") == [{"key": 2}]
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}


async def test_names_are_compared_a_few_at_a_look_and_go_on_where_enrolment_was_away(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chain.issue()
    asked: list[str] = []

    async def ask(body: bytes) -> bytes:
        asked.extend(json.loads(body)["enrolments"])
        return await chain.ask(body)

    monkeypatch.setattr(issuer, "BATCH", 1)
    chain.holders = Holders(ask)
    looking = chain.an_issuer()
    one, two = await chain.rows("SELECT certificate, enrolment FROM certificates ORDER BY certificate")
    for answers, enrolments in ((True, [one]), (False, [one, two]), (True, [one, two, two]), (True, [one, two, two])):
        chain.enrolment_answers = answers
        await looking.look()
        assert asked == [row["enrolment"] for row in enrolments]
    chain.now += issuer.ASK_ANEW
    await looking.look()
    assert asked[3:] == [one["enrolment"]], "an hour later"


async def test_what_is_wanted_anew_while_it_is_settled_waits_for_that(chain: Chain) -> None:
    """Each has first what the other needs next: one of the two would be ended."""
    await chain.issue()
    (first,) = await chain.rows("SELECT certificate, enrolment FROM certificates WHERE data ->> 'trainee' = '01'")

    async def wanted() -> None:
        async with chain.own.transaction() as session:
            await attestations.sign_anew(session, [first["certificate"]])

    async with chain.own.transaction() as settling:
        await attestations.hold(settling, [first["enrolment"]])
        wanting = asyncio.create_task(wanted())
        done, _ = await asyncio.wait({wanting}, timeout=1)
        assert not done
        await settling.execute(text("UPDATE attestations SET changed = now() WHERE certificate = :certificate"), first)
    await wanting

    assert await chain.rows("SELECT certificate FROM certificates WHERE due") == [{"certificate": first["certificate"]}]


async def test_an_edition_that_is_made_while_the_one_before_is_waited_for_is_settled_with_it(chain: Chain) -> None:
    """Alone, the one before would be superseded by nothing in public."""
    (first,) = await chain.rows("SELECT certificate, enrolment FROM certificates WHERE data ->> 'trainee' = '01'")

    async def held() -> list[str]:
        async with chain.own.transaction() as session:
            return await attestations.hold(session, [first["enrolment"]])

    async with chain.own.transaction() as making:
        await making.execute(
            text("UPDATE certificates SET status = 'superseded' WHERE certificate = :certificate"), first
        )
        copy = """
            INSERT INTO certificates
            SELECT (jsonb_populate_record(certificates, '{"certificate": "second", "status": "void"}')).*
            FROM certificates WHERE certificate = :certificate
        """
        await making.execute(text(copy), first)
        holding = asyncio.create_task(held())
        done, _ = await asyncio.wait({holding}, timeout=1)
        assert not done

    assert sorted(await holding) == sorted([first["certificate"], "second"])
