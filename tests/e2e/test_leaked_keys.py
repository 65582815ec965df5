"""The broker's keys have leaked: the way of docs/backup.md shuts everybody out who has them, and loses nothing."""

import asyncio
import json
from pathlib import Path

import nats
import pytest
from nats.errors import Error

from tests.e2e.conftest import EXAMPLE, Program, on_this_machine
from tests.e2e.test_program import eventually, totals

pytestmark = [on_this_machine, pytest.mark.long, pytest.mark.timeout(600), pytest.mark.xdist_group("backup")]


def answered(address: str, credentials: Path, event: str) -> str:
    """What a message with one event is answered, by its code. Raises nats' Error for who is not let in."""

    async def talk() -> str:
        connection = await nats.connect(
            address, user_credentials=credentials, inbox_prefix="_INBOX_mm_sat", allow_reconnect=False
        )
        try:
            stream = connection.jetstream()
            receipts = await stream.pull_subscribe_bind("mm_sat", stream="RECEIPTS")
            said = {
                "specversion": "1.0",
                "id": event,
                "source": "/offices/mm/sat",
                "type": "centre.registered.v1",
                "time": "2026-03-02T09:00:00+06:30",
                "data": {"centre": event, "country": "MM", "kind": "training-institute", "names": {"en": "ITI"}},
            }
            await stream.publish("intake.enrolment.mm.sat", json.dumps(said).encode())
            [message] = await receipts.fetch(1, timeout=20)
            await message.ack()
            return str(json.loads(message.data)["receipt"]["code"])
        finally:
            await connection.close()

    return asyncio.run(talk())


def test_given_the_brokers_keys_leaked_when_they_are_moved_away_then_new_ones_are_made_and_nothing_is_lost(
    own_program: Program, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.creds", tmp_path / "new.creds"
    address = f"nats://127.0.0.1:{own_program.env['SAMPAN_NATS_PORT']}"
    own_program.post(EXAMPLE)
    registered = ("office", "add", "mm/sat", "--name", "SAT", "--role", "coordinator", "--officer", "desk-1")
    assert own_program.run(*registered, "--credentials", old).returncode == 0
    assert answered(address, old, "before") == "applied"

    own_program.stop()
    (own_program.folder / "secrets" / "nats-keys").rename(tmp_path / "nats-keys")
    (own_program.folder / "nats").rename(tmp_path / "nats")
    own_program.start()

    with pytest.raises(Error, match=r"(?i)authorization"):
        answered(address, old, "with-the-old")
    made = own_program.run("office", "credentials", "mm/sat", "--officer", "desk-1", "--file", new)
    assert made.returncode == 0, made.stdout + made.stderr
    assert answered(address, new, "before") == "duplicate"
    assert answered(address, new, "after") == "applied"
    eventually(lambda: totals(own_program)["certified"] == 9, "the report never showed nine certificates")
    check = own_program.run("check")
    assert check.returncode == 0, check.stdout + check.stderr
