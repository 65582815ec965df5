"""Marks and awards in a roster that an office signed while it was offline, brought by somebody else."""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import nkeys
import pytest
from fastapi import FastAPI

from services.certification.handlers import Told
from shared.bundles import Roster, Signer
from shared.database import Database
from shared.events.enrolment import OfficeFact
from tests.integration.certification import test_http as over_http
from tests.integration.certification.given import a_cohort, fields, tell
from tests.integration.certification.given import a_trainee as told_of
from tests.integration.certification.test_http import by, items, post
from tests.integration.certification.test_rosters import AWARD, assessed, awarded
from tests.sheets import a_trainee, as_xlsx
from tests.unit.certification.given import BODY, SENDER, day, registered, trainee

THEN = datetime.now(UTC) - timedelta(days=20)

shared_app = over_http.shared_app
app = over_http.app


@pytest.fixture
async def client(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async for made in over_http.client.__wrapped__(app, database):  # type: ignore[attr-defined]
        await post(made, BODY, fields(registered("scheme", 1)))
        yield made


@pytest.fixture
async def signer(client: httpx.AsyncClient, database: Database) -> Signer:
    """With which the awarding body's officer signs, as enrolment has told certification."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()
    signer = Signer(f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------")
    await tell(database, office(signer, "active", revision=2))
    return signer


def office(signer: Signer, status: str, revision: int) -> Told:
    expires = datetime.now(UTC) + timedelta(days=300)
    fact = {
        "office": BODY,
        "name": "The awarding body",
        "roles": ["awarding-body"],
        "status": status,
        "tokens": [],
        "keys": [{"key": signer.key, "officer": "desk-1", "expires": expires.isoformat()}],
    }
    return Told(OfficeFact.model_validate(fact), 1, revision, None)


async def bring(client: httpx.AsyncClient, line: bytes, status: int = 200) -> dict[str, Any]:
    headers = by(SENDER, **{"Content-Type": "application/json"})
    answer = await client.post("/v1/bundles/rosters", content=line, headers=headers)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def signed(signer: Signer, days: int, **sheets: Any) -> bytes:
    return signer.roster_line(Roster("marks.xlsx", as_xlsx(**sheets), THEN + timedelta(days=days)))


def became(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["status"], row["code"]) for row in answer["rows"]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0, 1, 0)])
async def test_in_whatever_order_they_come_there_is_one_certificate_with_what_was_signed_last(
    client: httpx.AsyncClient, signer: Signer, order: tuple[int, ...]
) -> None:
    lines = [
        signed(signer, 0, Trainees=[a_trainee("001")], Assessments=[assessed()], Awards=[awarded("S-1")]),
        signed(signer, 1, Assessments=[assessed(**{"Theory mark": 91})], Awards=[awarded("S-2")]),
    ]
    first, *_ = [await bring(client, lines[at]) for at in order]
    assert became(first) == [("accepted", "applied")] * 2
    (certificate,) = await items(client, "/v1/certificates", None)
    assert (certificate["status"], certificate["number"], certificate["edition"]) == ("issued", "S-2", 1)
    said = {event["postedby"] for event in await items(client, "/v1/events", None) if event["source"] == BODY}
    assert f"{BODY}#desk-1" in said, "the office's own officer said it, not the courier"
    acts = [(act["office"], act["action"]) for act in await items(client, "/v1/audit?limit=100", None)]
    assert acts.count((SENDER, "bundle.brought")) == len(order)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1, 0, 1, 0)])
async def test_an_award_is_taken_though_a_later_list_with_its_number_came_first(
    client: httpx.AsyncClient, database: Database, signer: Signer, order: tuple[int, ...]
) -> None:
    await tell(database, a_cohort(), told_of(trainee("001", completion="in-force", completed_on=day(13))))
    lines = [
        signed(signer, 0, Assessments=[assessed()], Awards=[awarded()]),
        signed(signer, 1, Awards=[{**AWARD, "Certificate number": "S-1", "Numbered on": "2025-04-14"}]),
    ]
    for at in order:
        await bring(client, lines[at])
    (certificate,) = await items(client, "/v1/certificates", None)
    assert (certificate["status"], certificate["number"]) == ("issued", "S-1")
    for again in lines:
        assert {code for _, code in became(await bring(client, again))} == {"duplicate"}


async def test_of_an_older_list_what_is_said_otherwise_since_is_left_and_the_rest_taken(
    client: httpx.AsyncClient, signer: Signer
) -> None:
    await bring(client, signed(signer, 2, Awards=[awarded(**{"Awarded on": "2025-04-15"})]))
    older = signed(signer, 0, Assessments=[assessed()], Awards=[awarded("S-1")])
    mark, award = (await bring(client, older))["rows"]
    assert (mark["code"], award["code"]) == ("applied", "applied")
    assert [remark["code"] for remark in award["more"]] == ["said_later"]
    (certificate,) = await items(client, "/v1/certificates", None)
    assert (certificate["awarded_on"], certificate["number"]) == ("2025-04-15", "S-1")
    # The newer list is still what was signed last.
    between = signed(signer, 1, Awards=[awarded(**{"Awarded on": "2025-04-16"})])
    assert became(await bring(client, between)) == [("duplicate", "said_later")]


async def test_what_was_changed_on_the_way_or_signed_with_a_revoked_key_is_not_taken(
    client: httpx.AsyncClient, database: Database, signer: Signer
) -> None:
    line = json.loads(signed(signer, 0, Assessments=[assessed()]))
    changed = {**line, "roster": line["roster"].replace("marks.xlsx", "other.xlsx")}
    assert (await bring(client, json.dumps(changed).encode(), 400))["code"] == "signature_wrong"
    await tell(database, office(signer, "revoked", revision=3))
    assert (await bring(client, json.dumps(line).encode(), 403))["code"] == "signer_unknown"
    assert await items(client, "/v1/certificates", None) == []
