"""Who is calling: officers' tokens, as a service holds them in its own tables."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel
from starlette.requests import Request

from shared.checking import Difference, Findings, Told, compare_offices
from shared.database import Database
from shared.events.enrolment import OfficeFact, SigningKey, Token
from shared.events.facts import Version
from shared.http import Problem
from shared.offices import (
    Caller,
    Doorkeeper,
    KeyRow,
    OfficeRow,
    TokenRow,
    apply_office,
    new_token,
    token_digest,
)
from tests.servers import PostgresForTests

NTTI = "/offices/kh/ntti"
IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
ADMINISTRATOR = "the-administrators-token"


class Base(SQLModel, registry=registry()):
    pass


class Office(OfficeRow, Base, table=True):
    __tablename__ = "offices"


class OfficeToken(TokenRow, Base, table=True):
    __tablename__ = "tokens"


class OfficeKey(KeyRow, Base, table=True):
    __tablename__ = "signing_keys"


@pytest.fixture
async def database(postgres: PostgresForTests, scratch_database: str) -> AsyncIterator[Database]:
    postgres.empty_database(scratch_database)
    made = Database(postgres.url("reporting", scratch_database), "reporting")
    async with made.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield made
    await made.close()


@pytest.fixture
def door(database: Database) -> Doorkeeper:
    return Doorkeeper(database, token_digest(ADMINISTRATOR), Office, OfficeToken)


def office(*tokens: str, status: str = "active", expires: datetime = IN_A_YEAR) -> OfficeFact:
    held = [Token(sha256=token_digest(token), officer="officer-1", expires=expires) for token in tokens]
    return OfficeFact.model_validate(
        {"office": NTTI, "name": "NTTI", "roles": ["sending-office"], "status": status, "tokens": held}
    )


async def hear(database: Database, fact: OfficeFact, revision: int, epoch: int = 1) -> None:
    async with database.transaction() as session:
        await apply_office(session, Office, OfficeToken, fact, epoch, revision)


async def refusal(door: Doorkeeper, token: str) -> str:
    with pytest.raises(Problem) as caught:
        await door.caller(token)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    assert token not in caught.value.message
    return caught.value.message


async def test_an_officer_is_known_by_their_token(database: Database, door: Doorkeeper) -> None:
    token = new_token(NTTI)
    await hear(database, office(token), revision=1)
    caller = await door.caller(token)
    assert caller == Caller(NTTI, frozenset({"sending-office"}), "officer-1")
    assert (caller.country, caller.postedby) == ("kh", f"{NTTI}#officer-1")
    assert caller.may_post_for(NTTI)
    assert not caller.may_post_for("/offices/la/lak")
    assert not caller.only_reads()


async def test_tokens_are_long_random_and_stored_hashed(database: Database) -> None:
    token = new_token(NTTI)
    assert token.startswith("sampan_kh_ntti_")
    assert len(token.removeprefix("sampan_kh_ntti_")) == 43
    assert new_token(NTTI) != token
    await hear(database, office(token), revision=1)
    async with database.transaction() as session:
        stored = (await session.execute(text("SELECT o::text || t::text FROM offices o, tokens t"))).scalar_one()
    assert token not in stored


async def test_the_administrator_belongs_to_no_office(door: Doorkeeper) -> None:
    caller = await door.caller(ADMINISTRATOR)
    assert (caller.administrator, caller.source, caller.postedby) == (True, None, "administrator")
    assert caller.may_post_for("/offices/la/lak")
    assert not caller.only_reads()
    assert await door.administrator(request(f"Bearer {ADMINISTRATOR}")) == caller


async def test_an_officer_is_no_administrator(database: Database, door: Doorkeeper) -> None:
    token = new_token(NTTI)
    await hear(database, office(token), revision=1)
    with pytest.raises(Problem) as caught:
        await door.administrator(request(f"Bearer {token}"))
    assert (caught.value.status, caught.value.code) == (403, "administrators_only")


async def test_nobody_holds_another_token(database: Database, door: Doorkeeper) -> None:
    token = new_token(NTTI)
    await hear(database, office(token), revision=1)
    for wrong in (new_token(NTTI), token[:-1], token + "a", token.upper(), token_digest(token), "'; --", "\0", "ដ"):
        await refusal(door, wrong)


async def test_a_token_ends_at_its_expiry(database: Database, door: Doorkeeper) -> None:
    token = new_token(NTTI)
    await hear(database, office(token, expires=datetime.now(UTC)), revision=1)
    assert "expired" in await refusal(door, token)


async def test_a_revoked_token_and_a_revoked_office_are_refused(database: Database, door: Doorkeeper) -> None:
    first, second = new_token(NTTI), new_token(NTTI)
    await hear(database, office(first, second), revision=1)
    await hear(database, office(second), revision=2)
    await refusal(door, first)
    assert await door.caller(second)
    await hear(database, office(second, status="revoked"), revision=3)
    await refusal(door, second)


@pytest.mark.parametrize("newer", [(1, 3), (2, 1)])
async def test_an_older_fact_brings_no_token_back(database: Database, door: Doorkeeper, newer: tuple[int, int]) -> None:
    token = new_token(NTTI)
    epoch, revision = newer
    await hear(database, office(), revision, epoch)
    for again in (2, revision):
        await hear(database, office(token), again, epoch=1)
    await refusal(door, token)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearer the administrators token", ADMINISTRATOR]
)
async def test_a_request_without_a_bearer_token(door: Doorkeeper, header: str | None) -> None:
    with pytest.raises(Problem) as caught:
        await door.open(request(header))
    assert caught.value.status == 401


@pytest.mark.parametrize("header", [f"Bearer {ADMINISTRATOR}", f"bearer {ADMINISTRATOR}", f"Bearer  {ADMINISTRATOR} "])
async def test_a_request_with_a_bearer_token(door: Doorkeeper, header: str) -> None:
    assert (await door.open(request(header))).administrator


def request(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})


async def test_a_service_that_keeps_keys_has_those_of_the_newest_fact(database: Database) -> None:
    def with_keys(*officers: str) -> OfficeFact:
        keys = [SigningKey(key=f"U{officer}", officer=officer, expires=IN_A_YEAR) for officer in officers]
        return office().model_copy(update={"keys": keys})

    for revision, officers in ((2, ("desk-1", "desk-2")), (1, ("desk-3",)), (3, ("desk-2",))):
        async with database.transaction() as session:
            await apply_office(session, Office, OfficeToken, with_keys(*officers), 1, revision, OfficeKey)
            rows = await session.execute(text("SELECT key, office, officer, expires FROM signing_keys ORDER BY key"))
            held = [tuple(row) for row in rows]
        if revision == 1:
            assert [key for key, *_ in held] == ["Udesk-1", "Udesk-2"], "an older fact changes nothing"
    assert held == [("Udesk-2", NTTI, "desk-2", IN_A_YEAR)]


@pytest.mark.parametrize(
    "tampered",
    [
        "DELETE FROM signing_keys",
        "UPDATE signing_keys SET officer = 'somebody'",
        "UPDATE signing_keys SET expires = expires + interval '1 day'",
        "INSERT INTO signing_keys SELECT 'another', office, officer, expires FROM signing_keys",
    ],
)
async def test_a_check_compares_the_keys_with_which_an_office_signs(database: Database, tampered: str) -> None:
    keys = (SigningKey(key="one", officer="officer-1", expires=IN_A_YEAR),)
    fact = office(new_token(NTTI)).model_copy(update={"keys": keys})
    told = {NTTI: Told(Version(1, 1), fact, 7)}

    async def differences() -> list[Difference]:
        findings = Findings()
        async with database.transaction() as session:
            await compare_offices(session, findings, Office, OfficeToken, told, OfficeKey)
        return findings.result().differences

    async with database.transaction() as session:
        await apply_office(session, Office, OfficeToken, fact, 1, 1, OfficeKey)
    assert await differences() == []
    async with database.transaction() as session:
        await session.execute(text(tampered))
    assert [one.which for one in await differences()] == [NTTI]
