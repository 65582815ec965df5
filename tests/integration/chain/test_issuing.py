"""What is public follows what was decided, through crashes, absences and changes of mind."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.certification import showing
from services.certification.handlers import Told
from services.certification.holders import Holders
from services.enrolment.holders import Holders as Register
from shared.database import Database
from shared.events.enrolment import CentreFact
from shared.events.envelope import Event
from shared.http import Problem
from shared.offices import Caller
from tests.integration.certification.given import tell
from tests.integration.chain.issuing import ADMINISTRATOR, Chain
from tests.integration.chain.test_both_services import ALL, award
from tests.integration.enrolment.house import REGISTRATIONS, House
from tests.unit.certification.given import registered, voided
from tests.unit.enrolment.story import (
    SENDER,
    announced,
    completed,
    fields,
    person,
    proposed,
    started,
    trainee,
)

CONSENT = {"by": "self", "date": "2025-03-01", "notice": "n-1", "purposes": ["training", "certification"]}
AWARDED = award("awarded", "first", 14, "01", certificate_number="S-1")
STORY: list[dict[str, Any] | Event] = [
    *REGISTRATIONS,
    announced(parties=ALL),
    proposed("01", person=person("1", consent=CONSENT)),
    proposed("02", person=person("2")),
    trainee("trainee.enrolled", "01"),
    trainee("trainee.enrolled", "02"),
    started(),
    completed("01"),
    completed("02"),
    registered("scheme", 1),
    award("assessed", "pass", 11, "01", result="pass"),
    AWARDED,
    award("awarded", "second", 15, "02"),
]
WUXI = {"en": "Wuxi Institute of Technicians", "zh-Hans": "无锡技师学院"}
REPLACED = award("replaced", "again", 20, "01", reason="name-changed", certificate_number="S-9")


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
async def chain(both: tuple[House, Database]) -> Chain:
    made = Chain(*both)
    return await made.begin_after("the story of issuing", lambda: made.live(*STORY))


async def test_certificates_are_issued_and_follow_what_is_decided(chain: Chain) -> None:
    await chain.issue()
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}
    assert await chain.set_bits() == set()

    await chain.live(
        award("suspended", "stop", 17, "01", reason="review"), award("revoked", "end", 17, "02", reason="error")
    )
    await chain.issuer.follow()
    assert await chain.standings() == {("01", 1): "suspended", ("02", 1): "revoked"}
    assert await chain.set_bits() == {await chain.public_id("01"), await chain.public_id("02")}

    await chain.live(award("reinstated", "go-on", 25, "01", reason="review-closed"))
    await chain.issuer.follow()
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "revoked"}
    assert await chain.set_bits() == {await chain.public_id("02")}
    async with chain.own.transaction() as session:
        assert [problem async for problem in chain.log.verify(session)] == []
        assert await chain.log.size(session) == 5


async def test_one_document_that_nobody_can_sign_holds_up_no_other(chain: Chain) -> None:
    """Given a name with a code that is no character, kept from before that was refused, then the others are issued."""

    async def ask(body: bytes) -> bytes:
        answer = await Register(chain.house.database, chain.house.register).answer(body)
        return answer.replace(b"Sokha 1", "Sokha 1\uffff".encode())

    chain.holders = Holders(ask)
    chain.issuer = chain.an_issuer()
    await chain.issue()
    assert await chain.standings() == {("02", 1): "valid"}
    (left,) = await chain.rows("SELECT certificate FROM certificates WHERE due")
    assert str(left["certificate"]) in (chain.issuer.progress.problem or "")
    assert await chain.set_bits() == set(), "lists are signed all the same"


async def test_nothing_is_done_twice(chain: Chain) -> None:
    await chain.issue()
    before = await chain.rows("SELECT * FROM attestations ORDER BY certificate")
    await chain.issue()
    await chain.live(award("awarded", "first", 14, "01", certificate_number="S-1"))
    await chain.issue()
    assert await chain.rows("SELECT * FROM attestations ORDER BY certificate") == before
    assert await chain.rows("SELECT 1 FROM certificates WHERE due") == []


async def test_a_replacement_takes_the_place_of_the_old_edition_in_one_step(chain: Chain) -> None:
    await chain.issue()
    await chain.live(REPLACED)
    await chain.issuer.follow()
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}, "until the new one is there"
    await chain.issue()
    assert await chain.standings() == {("01", 1): "superseded", ("01", 2): "valid", ("02", 1): "valid"}
    assert await chain.set_bits() == {await chain.public_id("01")}


async def test_an_edition_that_is_replaced_in_its_turn_is_valid_since_its_own_day_until_then(chain: Chain) -> None:
    await chain.issue()
    await chain.live(REPLACED)
    await chain.issue()
    again = award("replaced", "once-more", 25, "01", reason="lost", certificate_number="S-10")
    await chain.live(again)
    await chain.issuer.follow()
    await chain.issue()
    assert await chain.in_log(await chain.public_id("01", 2)) == ["valid", "superseded"], "nothing in between"
    rows = await chain.rows("SELECT since::text FROM attestations WHERE status = 'valid' ORDER BY since")
    assert [row["since"] for row in rows] == ["2025-04-15", "2025-04-25"]
    assert await chain.differences() == []


@pytest.mark.parametrize("prepared", [True, False])
async def test_a_replacement_that_is_revoked_before_it_is_signed_leaves_nothing_valid(
    chain: Chain, *, prepared: bool
) -> None:
    await chain.issue()
    chain.enrolment_answers = False
    await chain.live(REPLACED)
    if prepared:
        await chain.issue()
    for decided, public in (
        (award("suspended", "stop", 21, "01", reason="review"), "suspended"),
        (award("reinstated", "go-on", 22, "01", reason="review-closed"), "valid"),
        (award("revoked", "end", 23, "01", reason="error"), "revoked"),
    ):
        await chain.live(decided)
        await chain.issuer.follow()  # which looks at no document, and waits for none
        assert (await chain.standings())["01", 1] == public
    assert await chain.moved() == []
    chain.enrolment_answers = True
    await chain.issue()
    assert await chain.standings() == {("01", 1): "revoked", ("02", 1): "valid"}


async def test_what_was_replaced_stays_so_when_its_replacement_was_revoked_and_the_body_awards_anew(
    chain: Chain,
) -> None:
    await chain.issue()
    await chain.live(REPLACED)
    await chain.issue()
    await chain.live(award("revoked", "end", 22, "01", reason="error"))
    await chain.issue()
    ended = {await chain.public_id("01", 1), await chain.public_id("01", 2)}
    await chain.live(award("awarded", "anew", 25, "01", certificate_number="S-11"))
    await chain.issuer.follow()
    assert await chain.standings() == {("01", 1): "superseded", ("01", 2): "revoked", ("02", 1): "valid"}
    assert await chain.set_bits() == ended
    await chain.issue()
    assert (await chain.standings())["01", 3] == "valid"
    assert await chain.set_bits() == ended
    assert await chain.in_log(await chain.public_id("01", 1)) == ["valid", "superseded"]
    assert await chain.in_log(await chain.public_id("01", 2)) == ["valid", "revoked"]
    assert await chain.differences() == []


@pytest.mark.long
async def test_a_replacement_that_is_taken_back_leaves_the_old_edition(chain: Chain) -> None:
    await chain.issue()
    await chain.live(REPLACED)
    await chain.issue()
    await chain.live(voided("no", 30, REPLACED))
    await chain.issue()
    assert await chain.standings() == {("01", 1): "valid", ("01", 2): "void", ("02", 1): "valid"}
    assert await chain.set_bits() == {await chain.public_id("01", 2)}


async def test_a_pass_that_is_taken_back_or_corrected_changes_what_is_public(chain: Chain) -> None:
    passed = award("assessed", "pass", 11, "01", result="pass")
    await chain.issue()
    public_id = await chain.public_id("01")
    taken_back = voided("no-pass", 30, passed)
    await chain.live(taken_back)
    await chain.issue()
    assert (await chain.standings())["01", 1] == "suspended", "what it rested on is gone"
    await chain.live(voided("after-all", 31, taken_back))
    await chain.issue()
    assert (await chain.standings())["01", 1] == "valid"
    parts = [{"name": "practice", "mark": 77, "out_of": 100, "passed": True}]
    await chain.live(replace(award("assessed", "corrected", 12, "01", result="pass", parts=parts), replaces="pass"))
    await chain.issue()
    said = json.loads((await chain.documents.for_holder(public_id)).document.json)
    assert [one["value"] for one in said["credentialSubject"]["result"]] == ["77"]
    assert (await chain.standings())["01", 1] == "valid"
    assert await chain.differences() == []


async def test_a_scheme_with_another_title_is_said_in_the_document(chain: Chain) -> None:
    await chain.issue()
    await chain.live(registered("renamed", 16, replaces="scheme", titles={"en": "Skills Certification"}))
    await chain.issue()
    assert "Skills Certification" in (await chain.documents.for_holder(await chain.public_id("01"))).document.json
    assert await chain.differences() == []


@pytest.mark.long
async def test_the_host_is_called_by_its_name_as_soon_as_it_is_heard(chain: Chain) -> None:
    await chain.issue()
    public_id = await chain.public_id("01")

    async def taught_at() -> str:
        said = json.loads((await chain.documents.for_holder(public_id)).document.json)
        return str(said["evidence"][0]["narrative"]).partition(", from")[0]

    assert await taught_at() == "Taught at wuxi-institute, CN", "its name is its code"
    host = CentreFact(centre="wuxi-institute", names=WUXI, country="CN", kind="training-institute", status="registered")
    await tell(chain.own, Told(host, 1, 99, None))
    await chain.issue()
    assert await taught_at() == "Taught at Wuxi Institute of Technicians, CN"
    async with chain.own.transaction() as session:
        shown = await showing.by_public_id(session, public_id, chain.now)
    assert shown is not None
    assert shown.course is not None
    assert shown.course.host == WUXI

    await tell(chain.own, Told(host.model_copy(update={"status": "void"}), 1, 100, None))
    await tell(chain.own, Told(host, 1, 98, None))
    await chain.issue()
    assert await taught_at() == "Taught at wuxi-institute, CN"
    assert (await chain.standings())["01", 1] == "valid"
    assert await chain.differences() == []


async def test_documents_wait_while_enrolment_is_away_and_standings_do_not(chain: Chain) -> None:
    await chain.issue()
    chain.enrolment_answers = False
    await chain.live(REPLACED, award("revoked", "end", 17, "02", reason="error"))
    await chain.issue()
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "revoked"}
    assert chain.issuer.progress.problem == "nobody answers"
    chain.enrolment_answers = True
    await chain.issue()
    assert await chain.standings() == {("01", 1): "superseded", ("01", 2): "valid", ("02", 1): "revoked"}


async def test_a_name_is_said_where_consent_covers_it_and_goes_when_it_is_withdrawn(chain: Chain) -> None:
    await chain.issue()
    first, second = await chain.public_id("01"), await chain.public_id("02")
    named = await chain.documents.for_caller(first, ADMINISTRATOR)
    assert named.holder.names is not None
    assert named.holder.names.romanised in named.document.json
    with pytest.raises(Problem, match="agreed to its being public"):
        await chain.documents.for_anybody(first)
    nameless = await chain.documents.for_anybody(second)
    assert nameless.holder.names is None
    assert "romanised" not in nameless.document.json

    await chain.live(
        fields("consent.withdrawn", 50, SENDER, cohort="wuxi-2025", number="01", by="self", date="2025-04-19")
    )
    with pytest.raises(Problem, match="signed anew"):
        await chain.documents.for_caller(first, ADMINISTRATOR)
    await chain.issue()
    signed_anew = await chain.documents.for_anybody(first)
    assert named.holder.names.romanised not in signed_anew.document.json
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}


@pytest.mark.long
async def test_a_document_with_a_name_is_opened_for_who_sends_hosts_or_assesses_and_not_for_who_coordinates(
    chain: Chain,
) -> None:
    await chain.issue()
    first = await chain.public_id("01")
    for party in ALL:
        caller = Caller(party["office"], frozenset({party["role"]}), "an-officer")
        if party["role"] == "coordinator":
            with pytest.raises(Problem, match="No certificate has this address"):
                await chain.documents.for_caller(first, caller)
        else:
            assert (await chain.documents.for_caller(first, caller)).holder.names is not None


async def test_a_rotated_key_leaves_what_it_signed(chain: Chain) -> None:
    await chain.issue()
    first = await chain.public_id("01")
    before = await chain.documents.for_caller(first, ADMINISTRATOR)
    async with chain.own.transaction() as session:
        await chain.keys.rotate(session, chain.now)
    await chain.issue()
    assert await chain.documents.for_caller(first, ADMINISTRATOR) == before
    await chain.live(REPLACED)
    await chain.issue()
    used = await chain.rows("SELECT DISTINCT key FROM attestations ORDER BY key")
    assert [row["key"] for row in used] == [1, 2]


async def test_the_drill_for_a_compromised_key(chain: Chain) -> None:
    await chain.issue()
    first = await chain.public_id("01")
    before = await chain.documents.for_caller(first, ADMINISTRATOR)
    async with chain.own.transaction() as session:
        key, number = await chain.keys.compromise(session, 1, chain.now)
    assert (key.id, number) == (2, 2)
    with pytest.raises(Problem, match="signed anew"):
        await chain.documents.for_caller(first, ADMINISTRATOR)
    await chain.issue()
    after = await chain.documents.for_caller(first, ADMINISTRATOR)
    assert after.document.json != before.document.json
    assert await chain.rows("SELECT DISTINCT key FROM attestations") == [{"key": 2}]
    assert await chain.rows("SELECT id FROM issuer_keys WHERE sealed IS NOT NULL") == [{"id": 2}]
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}


@pytest.mark.parametrize("change", ["key", "name"])
async def test_a_document_that_was_taken_back_is_gone_for_good_once_it_cannot_be_served(
    chain: Chain, change: str
) -> None:
    await chain.issue()
    first = await chain.public_id("01")
    await chain.live(voided("never", 30, AWARDED))
    await chain.issue()
    assert await chain.standings() == {("01", 1): "void", ("02", 1): "valid"}
    assert (await chain.documents.for_holder(first)).status == "void", "as long as it may be served"
    if change == "key":
        async with chain.own.transaction() as session:
            await chain.keys.compromise(session, 1, chain.now)
    else:
        names = {"original": "Another", "language": "en", "romanised": "Another"}
        await chain.live(trainee("person.corrected", "01", 90, names=names))
    for _ in range(2):
        with pytest.raises(Problem) as gone:
            await chain.documents.for_holder(first)
        assert (gone.value.status, gone.value.code) == (410, "taken_back")
        await chain.issue()


async def test_a_number_that_comes_later_is_in_the_document(chain: Chain) -> None:
    await chain.issue()
    await chain.live(award("numbered", "number", 16, "02", certificate_number="S-2"))
    await chain.issue()
    opened = await chain.documents.for_anybody(await chain.public_id("02"))
    assert "S-2" in opened.document.json
    assert await chain.standings() == {("01", 1): "valid", ("02", 1): "valid"}


async def test_the_check_finds_what_was_changed_behind_the_issuers_back(chain: Chain) -> None:
    await chain.issue()
    await chain.live(award("revoked", "end", 17, "02", reason="error"))
    await chain.issue()
    assert await chain.differences() == []
    for change, what in (
        ("UPDATE attestations SET status = 'valid' WHERE status = 'revoked'", "attestation"),
        ("UPDATE attestations SET sealed = overlay(sealed placing 'x'::bytea from 40)", "document"),
        ("UPDATE attestations SET place = place + 1", "status list"),
        ("DELETE FROM log_leaves WHERE place = 1", "log"),
    ):
        assert what in {
            found.split()[0] if what != "status list" else found[:11] for found in await chain.differences(change)
        }
    assert await chain.differences() == []
