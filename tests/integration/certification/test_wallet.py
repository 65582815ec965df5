"""Links that holders keep end with the officer who made them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.certification import wallet
from services.certification.handlers import Told
from shared.database import Database
from shared.offices import token_digest
from tests.integration.certification.given import an_office, post, tell
from tests.integration.certification.test_handlers import certificates, ready
from tests.unit.certification.given import BODY, awarded

NOW = datetime.now(UTC)
SOKHA, DARA = "sokha", "dara"


def token(officer: str, secret: str, expires: str = "2099-01-01T00:00:00+00:00") -> dict[str, str]:
    return {"sha256": token_digest(secret), "officer": officer, "expires": expires}


def office(revision: int, *tokens: dict[str, str], **changes: Any) -> Told:
    return replace(an_office(BODY, "", tokens=list(tokens), **changes), revision=revision)


async def links(database: Database) -> dict[str, str]:
    """A link that each of two officers made, and one that the administrator made."""
    await ready(database)
    await post(database, awarded("c", 14, printed="S-1"))
    [certificate] = await certificates(database)
    made = {}
    async with database.transaction() as session:
        for who in (f"{BODY}#{SOKHA}", f"{BODY}#{DARA}", "administrator"):
            name = who.rpartition("#")[2]
            made[name] = await wallet.make(session, certificate["certificate"], who, NOW + timedelta(days=9), NOW)
    return made


async def good(database: Database, made: dict[str, str]) -> set[str]:
    async with database.transaction() as session:
        return {name for name, secret in made.items() if await wallet.certificate_of(session, secret, NOW)}


async def test_given_an_officer_is_revoked_then_their_links_end_and_nobody_elses(database: Database) -> None:
    await tell(database, office(1, token(SOKHA, "a"), token(DARA, "b")))
    made = await links(database)
    assert await good(database, made) == {SOKHA, DARA, "administrator"}
    await tell(database, office(2, token(DARA, "b")))
    assert await good(database, made) == {DARA, "administrator"}
    # Also when the new token that they were given is all that is heard of it.
    await tell(database, office(4, token(DARA, "c")))
    assert await good(database, made) == {"administrator"}


async def test_given_an_office_is_revoked_then_all_its_links_end(database: Database) -> None:
    await tell(database, office(1, token(SOKHA, "a"), token(DARA, "b")))
    made = await links(database)
    await tell(database, office(2, status="revoked"))
    assert await good(database, made) == {"administrator"}


async def test_given_a_token_is_renewed_or_has_ended_then_links_stay(database: Database) -> None:
    await tell(database, office(3, token(SOKHA, "a"), token(DARA, "b", "2020-01-01T00:00:00+00:00")))
    made = await links(database)
    await tell(database, office(2, token("somebody", "old news")))
    await tell(database, office(4, token(SOKHA, "a", "2098-01-01T00:00:00+00:00"), token(SOKHA, "new")))
    assert await good(database, made) == {SOKHA, DARA, "administrator"}
