"""A stranger shows a file to the installation that issued it, and is told how it stands at that moment."""

import asyncio
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from services.certification import showing
from services.certification.judging import ELSEWHERE, MOST_WAITING, NOT_HERE, Busy, Judging
from shared.vc.embedding import write_png
from tests.credentials import signed
from tests.integration.chain.issuing import ADMINISTRATOR, OPERATOR, Chain
from tests.integration.chain.test_both_services import award
from tests.integration.chain.test_issuing import REPLACED
from tests.unit.certification.given import registered

PICTURE = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + b"IHDR" + bytes(17) + bytes(4) + b"IEND\xaeB`\x82"


async def test_a_file_is_judged_by_how_its_certificate_stands_now(chain: Chain) -> None:
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    first = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    second = (await chain.documents.for_caller(await chain.public_id("02"), ADMINISTRATOR)).document
    files: dict[str, Callable[[], bytes]] = {
        "json": first.json.encode,
        "jwt": first.jwt.encode,
        "png": lambda: write_png(PICTURE, first.jwt),
    }
    for form, file in files.items():
        assert (form, (await judging.verdict(file())).word) == (form, "valid")

    await chain.live(REPLACED, award("revoked", "end", 17, "02", reason="error"))
    await chain.issue()
    assert (await judging.verdict(first.json.encode())).word == "superseded"
    assert (await judging.verdict(second.jwt.encode())).word == "revoked"

    changed = first.json.replace("S-1", "S-2").encode()
    assert (await judging.verdict(changed)).word == "forged"
    assert (await judging.verdict(b"%PDF-1.7 nothing")).word == "not a credential"
    stranger = await judging.verdict(json.dumps(signed()).encode())
    assert (stranger.word, stranger.sentence) == ("unknown issuer", ELSEWHERE)


async def test_a_verdict_is_of_this_moment_however_old_the_list_is(chain: Chain) -> None:
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    document = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    for hours in (0, 5):
        chain.now += timedelta(hours=hours)
        assert (await judging.verdict(document.json.encode())).known_at == chain.now


async def test_a_file_whose_content_was_corrected_since_is_said_to_be_an_older_one(chain: Chain) -> None:
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    public_id = await chain.public_id("02")
    before = (await chain.documents.for_caller(public_id, ADMINISTRATOR)).document

    async def said(file: str) -> tuple[str, bool]:
        found = await judging.verdict(file.encode())
        return found.word, await judging.made_anew(file.encode(), found)

    assert [await said(file) for file in before] == [("valid", False)] * 2
    await chain.live(award("numbered", "number", 16, "02", certificate_number="S-2"))
    await chain.issue()
    assert [await said(file) for file in before] == [("valid", True)] * 2
    after = (await chain.documents.for_caller(public_id, ADMINISTRATOR)).document
    assert [await said(file) for file in after] == [("valid", False)] * 2
    chain.enrolment_answers = False
    assert await said(before.json) == ("valid", False), "nobody can tell"
    strange = json.dumps(signed()).encode()
    assert not await judging.made_anew(strange, await judging.verdict(strange))


@pytest.mark.parametrize(
    ("at", "page", "file"),
    [("2026-04-14T23:59:00+00:00", "valid", "valid"), ("2026-04-15T00:00:30+00:00", "expired", "expired")],
)
async def test_the_page_and_the_file_expire_at_one_moment(chain: Chain, at: str, page: str, file: str) -> None:
    await chain.live(registered("scheme-for-a-year", 2, replaces=registered("scheme", 1).id, valid_months=12))
    await chain.issue()
    chain.now = datetime.fromisoformat(at)
    public_id = await chain.public_id("01")
    document = (await chain.documents.for_caller(public_id, ADMINISTRATOR)).document
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    async with chain.own.transaction() as session:
        shown = await showing.by_public_id(session, public_id, chain.now)

    assert shown is not None
    assert shown.fact.valid_until == date(2026, 4, 14)
    assert (shown.status, (await judging.verdict(document.json.encode())).word) == (page, file)


async def test_files_are_judged_one_after_the_other_and_not_too_many_wait(chain: Chain) -> None:
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    document = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    file = document.json.encode()
    many = MOST_WAITING + 1 + 5

    found = await asyncio.gather(*(judging.verdict(file) for _ in range(many)), return_exceptions=True)

    assert [type(one) for one in found].count(Busy) == 5
    assert {one.word for one in found if not isinstance(one, BaseException)} == {"valid"}
    assert (await judging.verdict(file)).word == "valid", "later there is room again"


async def test_what_a_given_up_key_signed_is_not_believed(chain: Chain) -> None:
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    document = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    async with chain.own.transaction() as session:
        await chain.keys.compromise(session, 1, chain.now)
    for file in (document.json, document.jwt):
        found = await judging.verdict(file.encode())
        assert (found.word, found.given_up) == ("unknown issuer", chain.now)
        assert "key-1, a key that its issuer declared compromised on 2026-01-01" in found.sentence
    # Whoever asks for the keys anew is told the same, and has no key left by which it verifies.
    assert await chain.judged(document.json) == found
    await chain.issue()
    anew = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    assert (await judging.verdict(anew.json.encode())).word == "valid"


async def test_a_file_of_which_the_database_knows_nothing_is_not_called_valid(chain: Chain) -> None:
    """As after a restore: it was issued under an address and a place that came after the backup."""
    judging = Judging(chain.own, chain.keys, OPERATOR, lambda: chain.now)
    document = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    assert (await judging.verdict(document.json.encode())).word == "valid"
    again = "UPDATE attestations SET public_id = 'another', place = (place + 1) % 1000 WHERE public_id = :it RETURNING place"
    assert await chain.rows(again, it=await chain.public_id("01"))
    for file in (document.json, document.jwt):
        found = await judging.verdict(file.encode())
        assert (found.word, found.sentence) == ("status unknown", NOT_HERE)
    # Once the key is given up, nobody else believes it either, and whatever is here is signed anew.
    async with chain.own.transaction() as session:
        await chain.keys.compromise(session, 1, chain.now)
    assert (await judging.verdict(document.json.encode())).word == "unknown issuer"
    assert (await chain.judged(document.json)).word == "unknown issuer"
