"""Certificates of somebody who is forgotten: nothing names them any more, and what was decided still stands."""

import pytest

from services.certification.holders import Holders
from services.enrolment.holders import Holders as Register
from shared.database import Database
from shared.events.envelope import Event
from shared.http import Problem
from tests.integration.certification import given as at_certification
from tests.integration.chain.issuing import ADMINISTRATOR, Chain
from tests.integration.chain.test_both_services import ALL, award
from tests.integration.chain.test_issuing import REPLACED, STORY, Crash
from tests.integration.enrolment.house import House
from tests.unit.certification.given import voided
from tests.unit.enrolment.story import cohort, forgotten


@pytest.fixture
async def chain(both: tuple[House, Database]) -> Chain:
    made = Chain(*both)
    return await made.begin_after("the story of issuing", lambda: made.live(*STORY))


async def test_a_forgotten_persons_documents_cannot_be_opened_and_every_edition_stands_as_it_was_decided(
    chain: Chain,
) -> None:
    await chain.issue()
    await chain.live(REPLACED)
    await chain.issue()
    old, new = await chain.public_id("01", 1), await chain.public_id("01", 2)
    kept = [(await chain.documents.for_holder(one)).document.json for one in (old, new)]
    before = [await chain.in_log(one) for one in (old, new)]
    await chain.live(forgotten("01"))
    for one in (old, new):
        with pytest.raises(Problem, match="destroyed") as gone:
            await chain.documents.for_caller(one, ADMINISTRATOR)
        assert gone.value.status == 410
    assert await chain.standings() == {("01", 1): "superseded", ("01", 2): "valid", ("02", 1): "valid"}
    assert [await chain.in_log(one) for one in (old, new)] == before
    assert [await chain.verdict(one) for one in kept] == ["superseded", "valid"], "whoever kept a copy can check it"
    await chain.live(award("revoked", "end", 26, "01", reason="error"))
    await chain.issue()
    assert [await chain.verdict(one) for one in kept] == ["superseded", "revoked"]
    assert await chain.in_log(new) == [*before[1], "revoked"]
    assert await chain.differences() == []


@pytest.mark.long
@pytest.mark.parametrize("forgotten_first", [True, False])
async def test_what_is_replaced_when_nothing_can_be_signed_any_more_is_superseded(
    chain: Chain, *, forgotten_first: bool
) -> None:
    await chain.issue()
    old = await chain.public_id("01")
    await chain.live(*((forgotten("01"), REPLACED) if forgotten_first else (REPLACED, forgotten("01"))))
    await chain.issue()
    assert await chain.standings() == {("01", 1): "superseded", ("02", 1): "valid"}, "its holder has no other here"
    assert await chain.in_log(old) == ["valid", "superseded"]
    assert await chain.set_bits() == {old}
    assert await chain.rows("SELECT 1 FROM certificates WHERE due") == []
    assert await chain.rows("SELECT 1 FROM attestations WHERE status = 'prepared'") == []
    await chain.live(voided("no", 30, REPLACED))
    await chain.issue()
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}, "as its body says again"
    assert await chain.differences() == []


async def test_what_is_decided_while_a_holder_is_asked_for_who_is_forgotten_is_public_soon(chain: Chain) -> None:
    await chain.issue()
    await chain.live(forgotten("01"))
    await _is_decided_while_they_are_asked_for_and_the_process_ends(
        chain, award("revoked", "end", 26, "01", reason="error")
    )
    await chain.an_issuer().follow()
    assert await chain.standings() == {("01", 1): "revoked", ("02", 1): "valid"}
    assert await chain.differences() == []


async def test_what_is_replaced_while_its_holder_is_asked_for_who_is_forgotten_is_superseded(chain: Chain) -> None:
    await chain.issue()
    await chain.live(forgotten("01"))
    await _is_decided_while_they_are_asked_for_and_the_process_ends(chain, REPLACED)
    await chain.issue()
    assert await chain.standings() == {("01", 1): "superseded", ("02", 1): "valid"}
    assert await chain.rows("SELECT 1 FROM certificates WHERE due") == []
    assert await chain.differences() == []


async def _is_decided_while_they_are_asked_for_and_the_process_ends(chain: Chain, decided: Event) -> None:
    """Something of the holder is public and is to be signed anew; the process ends before what was decided is public."""
    await chain.live(cohort("cohort.changed", 60, source=ALL[0]["office"], titles={"en": "Another"}))

    async def ask(body: bytes) -> bytes:
        await at_certification.post(chain.own, decided)
        return await Register(chain.house.database, chain.house.register).answer(body)

    async def crash(step: str) -> None:
        if step == "publish":
            raise Crash

    chain.holders = Holders(ask)
    with pytest.raises(Crash):
        await chain.an_issuer(crash).look()


async def test_of_a_person_who_is_forgotten_before_there_is_anything_public_nothing_ever_is(chain: Chain) -> None:
    await chain.live(forgotten("01"))
    await chain.issue()
    await chain.issue()
    assert await chain.standings() == {("02", 1): "valid"}
    assert await chain.rows("SELECT 1 FROM certificates WHERE due") == []
    assert await chain.rows("SELECT 1 FROM attestations WHERE status = 'prepared'") == []
