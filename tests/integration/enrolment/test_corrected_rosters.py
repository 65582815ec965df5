"""What a later file leaves as it was: columns that it does not have, and corrections that were voided by hand."""

from typing import Any

import httpx
import pytest

from shared.database import Database
from tests.integration.enrolment.test_rosters import Bearer, became, facts, offices, say, send
from tests.sheets import a_trainee, as_csv, was_there
from tests.unit.enrolment.story import HOST, SENDER, voided

Client = httpx.AsyncClient
__all__ = ["offices"]


async def test_a_correction_that_was_voided_by_hand_is_not_said_to_be_on_record(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    first, second = (as_csv([a_trainee("01", Trade=trade)]) for trade in ("electrical", "cabling"))
    await send(client, offices[SENDER], first)
    (corrected,) = (await send(client, offices[SENDER], second))["rows"]
    event = {"id": corrected["event"], "type": "trainee.enrolled.v1", "source": SENDER}
    await say(client, voided(event))
    (again,) = (await send(client, offices[SENDER], second))["rows"]
    assert (again["status"], again["code"], again["event"]) == ("duplicate", "voided", corrected["event"])
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["trade"] == "electrical"
    await send(client, offices[SENDER], first)
    assert became(await send(client, offices[SENDER], first)) == [(2, "duplicate", "duplicate")]
    assert became(await send(client, offices[SENDER], second)) == [(2, "accepted", "applied")]
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["trade"] == "cabling"


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"Trade": "electrical", "Mode": "online"}, {"trade": "electrical"}),
        ({"Held for": "listed"}, {"group": ["01", "02"]}),
        ({"Held for": "trade", "Trade": "electrical"}, {"trade": "electrical"}),
    ],
)
async def test_a_list_of_attendance_without_columns_says_nothing_of_them(
    client: Client, offices: dict[str, Bearer], database: Database, more: dict[str, Any], kept: dict[str, Any]
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    await send(client, offices[HOST], as_csv([was_there("01", **more), was_there("02", **more)]))
    assert (await send(client, offices[HOST], as_csv([was_there("01"), was_there("02")])))["counts"] == {"duplicate": 2}
    await send(client, offices[HOST], as_csv([was_there("01"), was_there("02", attendance="absent")]))
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert held["absent"] == ["02"]
    assert {name: held.get(name) for name in kept} == kept
    emptied = dict.fromkeys(more, "") | {"Held for": "everyone"}
    await send(client, offices[HOST], as_csv([was_there("01", **emptied), was_there("02", **emptied)]))
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert (held.get("trade"), held.get("group")) == (None, None)


async def test_a_list_of_trainees_without_a_column_keeps_what_was_in_it(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01", Employer="A workshop")]))
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01", Trade="cabling")]))
    assert became(answer) == [(2, "accepted", "applied")]
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["trade"] == "cabling"
    shown = await client.get("/v1/cohorts/wuxi-2025/trainees", headers=offices[SENDER])
    assert "A workshop" in shown.text
