"""Events that an office signed while it was offline, brought by somebody else: in any order, any number of times."""

import json
import random
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from shared.bundles import NoSeed, Signer
from tests.integration.enrolment.house import BEARER, REGISTRATIONS, House
from tests.unit.enrolment.story import SENDER, STRANGER, announced, proposed, trainee

Client = httpx.AsyncClient
Bearer = dict[str, str]
NDJSON = {"Content-Type": "application/x-ndjson"}


async def add(
    client: Client, office: str, officer: str = "desk-1", role: str = "sending-office"
) -> tuple[Bearer, Signer]:
    body = {"office": office, "name": "Office", "roles": [role], "officer": officer}
    given = (await client.post("/v1/offices", json=body)).json()
    return {"Authorization": f"Bearer {given['token']}"}, Signer(given["nats"]["credentials"])


async def bring(client: Client, lines: Sequence[bytes], courier: Bearer) -> list[tuple[Any, ...]]:
    answer = await client.post("/v1/bundles", content=b"\n".join(lines), headers={**NDJSON, **courier})
    assert answer.status_code in (200, 207, 422), answer.text
    return [(line["place"], line["status"], line["code"]) for line in answer.json()["receipts"]]


def text(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


@pytest.fixture
async def ready(client: Client) -> None:
    await client.post("/v1/events", content=b"\n".join(map(text, [*REGISTRATIONS, announced()])), headers=NDJSON)


@pytest.mark.usefixtures("ready")
async def test_a_courier_brings_what_an_office_signed_and_it_is_the_offices(client: Client, house: House) -> None:
    _, signer = await add(client, SENDER)
    courier, _ = await add(client, STRANGER, "courier")
    lines = [signer.line(text(event)) for event in (proposed("01"), proposed("02"), trainee("trainee.enrolled", "01"))]
    random.Random(4).shuffle(lines)
    assert {status for _, status, _ in await bring(client, lines, courier)} == {"accepted"}
    for again in (courier, BEARER):
        assert {code for _, _, code in await bring(client, lines[::-1], again)} == {"duplicate"}
    by = await house.rows("SELECT DISTINCT source, postedby FROM events WHERE source = :source", source=SENDER)
    assert by == [{"source": SENDER, "postedby": f"{SENDER}#desk-1"}]
    acts = [(line["office"], line["officer"], line["action"], line["number"]) for line in await trail(client)]
    assert acts[-6:] == [
        (SENDER, "desk-1", "events.posted", 3),
        (STRANGER, "courier", "bundle.brought", 3),
        (SENDER, "desk-1", "events.posted", 3),
        (STRANGER, "courier", "bundle.brought", 3),
        (SENDER, "desk-1", "events.posted", 3),
        (None, "administrator", "bundle.brought", 3),
    ]


async def trail(client: Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get("/v1/audit")).json()["items"]
    return items


async def test_the_office_is_told_what_became_of_it(client: Client, house: House) -> None:
    _, signer = await add(client, SENDER)
    await bring(client, [signer.line(text(proposed()))], BEARER)
    assert [(subject, line["code"]) for subject, line in await house.notices()] == [
        ("receipts.kh.ntti", "cohort_unknown")
    ]


@pytest.mark.usefixtures("ready")
async def test_nothing_else_than_what_was_signed_is_taken(client: Client) -> None:
    courier, stranger = await add(client, STRANGER)
    _, signer = await add(client, SENDER)
    good = signer.line(text(proposed("01")))
    changed = {**json.loads(good), "event": json.loads(good)["event"].replace("electrical", "cabling")}
    renamed = {**json.loads(good), "key": stranger.key}
    odd_key = {**json.loads(good), "key": "U" + "A" * 55}
    not_base64 = {**json.loads(good), "signature": "no"}
    lines = [
        good,
        text(changed),
        text(renamed),
        text(odd_key),
        text(not_base64),
        text(proposed("02")),
        b"not json",
        stranger.line(text(proposed("03"))),
        signer.line(b"[]"),
        signer.line(b'{"id": "a", "id": "a"}'),
        signer.line(text({**proposed("04"), "type": "trainee.invented.v1"})),
    ]
    assert await bring(client, lines, courier) == [
        (1, "accepted", "applied"),
        (2, "rejected", "signature_wrong"),
        (3, "rejected", "signature_wrong"),
        (4, "rejected", "signature_wrong"),
        (5, "rejected", "signature_wrong"),
        (6, "rejected", "bundle_unreadable"),
        (7, "rejected", "bundle_unreadable"),
        (8, "rejected", "source_not_yours"),
        (9, "rejected", "not_an_object"),
        (10, "rejected", "duplicate_key"),
        (11, "rejected", "unknown_type"),
    ]


async def test_revoked_keys_and_keys_of_nobody_sign_nothing(client: Client) -> None:
    _, first = await add(client, SENDER)
    _, second = await add(client, SENDER, "desk-2")
    await client.delete("/v1/offices/kh/ntti/officers/desk-1")
    lines = [first.line(text(proposed("01"))), second.line(text(proposed("02")))]
    assert [code for _, _, code in await bring(client, lines, BEARER)] == ["signer_unknown", "cohort_unknown"]
    await client.delete("/v1/offices/kh/ntti")
    assert [code for _, _, code in await bring(client, lines, BEARER)] == ["signer_unknown"] * 2
    with pytest.raises(NoSeed):
        Signer("a token, perhaps")


async def test_a_bundle_needs_a_caller(client: Client) -> None:
    answer = await client.post("/v1/bundles", content=b"{}", headers={**NDJSON, "Authorization": ""})
    assert answer.status_code == 401
    answer = await client.post("/v1/bundles", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
