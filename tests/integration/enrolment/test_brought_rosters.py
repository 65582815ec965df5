"""Rosters that an office signed while it was offline, brought by somebody else: as if the office had sent them itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.bundles import Roster, Signer, is_roster
from shared.database import Database
from tests.integration.enrolment.house import REGISTRATIONS, House
from tests.integration.enrolment.test_bundles import Bearer, add, trail
from tests.integration.enrolment.test_recognised_rows import by_hand
from tests.integration.enrolment.test_rosters import became, facts, number_of_facts, say, send
from tests.sheets import a_trainee, as_csv, as_xlsx, was_there
from tests.unit.enrolment.story import (
    HOST,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    cohort,
    on,
    proposed,
    started,
    trainee,
)

Client = httpx.AsyncClient
THEN = datetime.now(UTC) - timedelta(days=20)


def line(signer: Signer, content: bytes, days: int = 0, **wishes: Any) -> bytes:
    return signer.roster_line(Roster("list.xlsx", content, THEN + timedelta(days=days), **wishes))


async def bring(client: Client, content: bytes, courier: Bearer, status: int = 200) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **courier}
    answer = await client.post("/v1/bundles/rosters", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


@pytest.fixture
async def sender(client: Client) -> tuple[Bearer, Signer]:
    await say(client, *REGISTRATIONS, announced(parties=PARTIES))
    return await add(client, SENDER)


@pytest.fixture
async def courier(client: Client) -> Bearer:
    return (await add(client, STRANGER, "courier"))[0]


async def test_a_workbook_counts_as_its_offices_and_twice_as_once(
    client: Client, house: House, database: Database, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    direct, signer = sender
    workbook = as_xlsx(Trainees=[a_trainee("01"), a_trainee("02", **{"Proposed on": "2025-03-03"})])
    signed = line(signer, workbook)
    assert is_roster(signed)
    first = await bring(client, signed, courier)
    assert became(first) == [(2, "accepted", "applied"), (3, "accepted", "applied")]
    before = await facts(database), await number_of_facts(database)
    for answer in (await bring(client, signed, courier), await send(client, direct, workbook)):
        assert became(answer) == [(2, "duplicate", "duplicate"), (3, "duplicate", "duplicate")]
    assert (await facts(database), await number_of_facts(database)) == before
    by = await house.rows("SELECT DISTINCT source, postedby FROM events WHERE source = :source", source=SENDER)
    assert by == [{"source": SENDER, "postedby": f"{SENDER}#desk-1"}]
    acts = [(act["office"], act["action"]) for act in await trail(client)]
    assert (STRANGER, "bundle.brought") in acts
    assert (SENDER, "events.posted") in acts
    told = [(subject, receipt["code"]) for subject, receipt in await house.notices()]
    assert told == [("receipts.kh.ntti", "applied")] * 3


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (1, 0, 1, 0)])
async def test_in_whatever_order_they_are_brought_the_last_one_signed_stands(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer, order: tuple[int, ...]
) -> None:
    _, signer = sender
    lines = [
        line(signer, as_csv([a_trainee("01"), a_trainee("02")]), days=0),
        line(signer, as_csv([a_trainee("01", Trade="cabling", Sex="M"), a_trainee("02")]), days=1),
    ]
    for at in order:
        await bring(client, lines[at], courier)
    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["trade"], fact["sex"]) == ("cabling", "M")


async def test_what_the_office_has_said_since_is_not_undone_by_an_old_bundle(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    direct, signer = sender
    old = line(signer, as_csv([a_trainee("01")]))
    await bring(client, old, courier)
    await send(client, direct, as_csv([a_trainee("01", Trade="cabling")]))
    before = await facts(database)
    assert became(await bring(client, old, courier)) == [(2, "duplicate", "said_later")]
    assert await facts(database) == before
    ahead = line(signer, as_csv([a_trainee("01")]), days=4000)  # a clock that is wrong keeps nobody from correcting
    assert became(await bring(client, ahead, courier)) == [(2, "accepted", "applied")]
    corrected = await send(client, direct, as_csv([a_trainee("01", Trade="cabling")]))
    assert became(corrected) == [(2, "accepted", "applied")]


async def test_what_the_office_has_said_since_by_a_program_stands_too(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    _, signer = sender
    proposed = line(signer, as_csv([a_trainee("01", **{"Proposed on": "2025-03-04", "Enrolled on": ""})]), days=0)
    enrolled = line(signer, as_csv([a_trainee("01", Trade="cabling", Sex="M"), a_trainee("02")]), days=1)
    await say(client, by_hand("01"))
    before = await facts(database)
    answer = await bring(client, enrolled, courier)
    assert became(answer) == [(2, "duplicate", "said_later"), (3, "accepted", "applied")]
    trainee_01 = "enrolment.trainee.kh.wuxi-2025.01"
    assert (await facts(database))[trainee_01] == before[trainee_01]
    same = line(signer, as_csv([a_trainee("01")]), days=1)
    assert became(await bring(client, same, courier)) == [(2, "duplicate", "duplicate")]
    # That somebody was proposed contradicts nothing that was said since.
    assert became(await bring(client, proposed, courier)) == [(2, "accepted", "applied")]
    names = {"original": "សុខា", "romanised": "By Hand"}
    await say(client, trainee("person.corrected", "02", day=50, names=names))
    renamed = line(signer, as_csv([a_trainee("02", **{"Name in Latin letters": "By Row"})]), days=2)
    assert became(await bring(client, renamed, courier)) == [(2, "duplicate", "said_later")]
    ahead = line(signer, as_csv([a_trainee("02", **{"Name in Latin letters": "By Row"})]), days=4000)
    assert became(await bring(client, ahead, courier)) == [(2, "accepted", "applied")]


PROPOSED = {"Proposed on": "2025-03-04"}


@pytest.mark.parametrize("more", [PROPOSED, {}], ids=["with its proposal", "without"])
async def test_given_a_proposal_since_when_an_older_list_has_the_enrolment_then_the_place_is_that_of_the_proposal(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer, more: dict[str, str]
) -> None:
    _, signer = sender
    older = line(signer, as_csv([a_trainee("01", **more)]))
    await say(client, proposed("01", trade="cabling"))

    await bring(client, older, courier)

    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["status"], fact["trade"]) == ("enrolled", "cabling")


async def test_given_a_proposal_corrected_by_hand_when_an_older_list_says_it_as_before_then_its_enrolment_has_no_other_place(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    _, signer = sender
    proposal = line(signer, as_csv([a_trainee("01", **PROPOSED, **{"Enrolled on": ""})]), days=0)
    both = line(signer, as_csv([a_trainee("01", **PROPOSED)]), days=1)
    (row,) = (await bring(client, proposal, courier))["rows"]
    await say(client, proposed("01", trade="cabling", date="2025-03-04") | {"replaces": row["event"], "id": "by-hand"})

    (answer,) = (await bring(client, both, courier))["rows"]

    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["status"], fact["trade"]) == ("enrolled", "cabling")
    assert [remark["code"] for remark in answer["more"]] == ["said_later"]


async def test_given_a_proposal_that_contradicts_when_an_older_list_comes_then_it_is_taken_whole(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    _, signer = sender
    await say(client, started(), cohort("cohort.closed", 60, date=on(60)))
    await say(client, proposed("01", 70, trade="cabling"))  # after the cohort was closed

    await bring(client, line(signer, as_csv([a_trainee("01", **PROPOSED)])), courier)

    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["status"], fact["trade"]) == ("enrolled", "electrical")


async def test_of_two_that_were_signed_the_arrival_is_no_matter(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    _, signer = sender
    for days, trade in ((0, "electrical"), (1, "cabling"), (2, "electrical")):
        signed = line(signer, as_csv([a_trainee("01", Trade=trade)]), days=days)
        assert became(await bring(client, signed, courier)) == [(2, "accepted", "applied")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1, 0, 1, 0)])
async def test_a_proposal_is_taken_though_a_later_list_with_the_enrolment_came_first(
    client: Client, database: Database, sender: tuple[Bearer, Signer], courier: Bearer, order: tuple[int, ...]
) -> None:
    _, signer = sender
    lines = [
        line(signer, as_csv([a_trainee("01", **{"Proposed on": "2025-03-04", "Enrolled on": ""})]), days=0),
        line(signer, as_csv([a_trainee("01", Sex="M")]), days=1),
    ]
    for at in order:
        await bring(client, lines[at], courier)
    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["proposed_on"], fact["enrolled_on"], fact["sex"]) == ("2025-03-04", "2025-03-12", "M")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1, 0, 1, 2)])
@pytest.mark.parametrize("more", [{}, {"Held for": "listed"}])
async def test_of_each_trainee_the_remark_stands_that_was_signed_last(
    client: Client, database: Database, courier: Bearer, order: tuple[int, ...], more: dict[str, Any]
) -> None:
    await say(client, *REGISTRATIONS, announced(parties=PARTIES), *(by_hand(f"0{number}") for number in range(1, 5)))
    _, signer = await add(client, HOST, role="host-centre")
    partly = {"Present or absent": "partly", "Hours present": 2}
    lists = [
        [was_there("01", attendance="absent", **more), was_there("03", attendance="absent", **more)],
        [was_there("02", attendance="absent", Hours=5, **more), was_there("03", Hours=5, **more)],
        [was_there("04", Hours=5, **partly, **more), was_there("02", attendance="absent", Hours=5, **more)],
    ]
    lines = [line(signer, as_csv(rows), days=days) for days, rows in enumerate(lists)]
    for at in order:
        await bring(client, lines[at], courier)
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert (held["absent"], held["partial"], held["hours"]) == (["01", "02"], [{"number": "04", "hours": 2}], 5)
    assert held.get("group") == (["01", "02", "03", "04"] if more else None)


async def test_a_late_list_of_attendance_is_answered_row_by_row(
    client: Client, database: Database, courier: Bearer
) -> None:
    await say(client, *REGISTRATIONS, announced(parties=PARTIES), *(by_hand(f"0{number}") for number in range(1, 5)))
    _, signer = await add(client, HOST, role="host-centre")
    old = line(signer, as_csv([was_there(f"0{number}", attendance="absent") for number in (1, 2, 3)]), days=0)
    new = line(signer, as_csv([was_there("02", attendance="absent"), was_there("03")]), days=1)
    await bring(client, new, courier)
    assert became(await bring(client, old, courier)) == [
        (2, "accepted", "applied"),
        (3, "duplicate", "duplicate"),
        (4, "duplicate", "said_later"),
    ]
    nobody = {"Trainee number": "", "Present or absent": ""}
    shorter = line(signer, as_csv([{**was_there("", Hours=5), **nobody}]), days=0)
    assert became(await bring(client, shorter, courier)) == [(2, "duplicate", "said_later")]
    as_it_is = line(signer, as_csv([{**was_there(""), **nobody}]), days=0)
    assert became(await bring(client, as_it_is, courier)) == [(2, "duplicate", "duplicate")]
    for again in (old, new):
        before = await number_of_facts(database)
        assert (await bring(client, again, courier))["counts"] == {"duplicate": 3 if again is old else 2}
        assert await number_of_facts(database) == before


async def test_nothing_else_than_what_was_signed_is_taken(
    client: Client, house: House, sender: tuple[Bearer, Signer], courier: Bearer
) -> None:
    _, signer = sender
    good = json.loads(line(signer, as_csv([a_trainee("01")])))
    changed = {**good, "roster": good["roster"].replace("list.xlsx", "lost.xlsx")}
    event = json.loads(signer.line(b'{"name": "list"}'))
    as_roster = {**event, "sampan": "roster.v1", "roster": event["event"]}
    for wrong, code in ((changed, "signature_wrong"), (as_roster, "signature_wrong"), (event, "bundle_unreadable")):
        answer = await bring(client, json.dumps(wrong).encode(), courier, 400)
        assert answer["code"] == code
    for odd in (b"", b"{", b"[1]", b'{"sampan": "roster.v1"}', b"[" * 100_000, b"\xff"):
        assert (await bring(client, odd, courier, 400))["code"] == "bundle_unreadable"
    signer.key = Signer(await house_credentials(client)).key
    unknown = {**good, "key": signer.key}
    assert (await bring(client, json.dumps(unknown).encode(), courier, 400))["code"] == "signature_wrong"
    await client.delete(f"/v1{SENDER}")
    assert (await bring(client, json.dumps(good).encode(), courier, 403))["code"] == "signer_unknown"
    assert await house.rows("SELECT 1 FROM events WHERE source = :source", source=SENDER) == []


async def house_credentials(client: Client) -> str:
    body = {"office": "/offices/mm/other", "name": "Other", "roles": ["sending-office"], "officer": "x"}
    return str((await client.post("/v1/offices", json=body)).json()["nats"]["credentials"])
