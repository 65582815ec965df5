"""An older backup of one of the two stores: what the other one has shows it, and the way back loses nothing that is left."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.processes import Part
from tests.faults.conftest import River, centre
from tests.faults.disks import folders, run
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries
from tests.servers import connect_with_every_right

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240), pytest.mark.long]


@contextmanager
def stopped(part: Part) -> Iterator[None]:
    part.stop()
    yield
    part.start()


def copy(folder: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    run("cp", "-a", folder, to)


def test_an_older_backup_of_the_broker(river: River, recoveries: Recoveries) -> None:
    """The journals fill what is lacking; what is heard twice is done once."""
    streams, _ = folders(river)
    backup = streams.with_name("backup")
    with stopped(river.sampan.nats):
        copy(streams, backup)
    with river.posting("since-the-backup") as poster:
        eventually(lambda: len(poster.accepted) > 20, "nothing is posted")
    with stopped(river.sampan.nats):
        copy(backup, streams)
    recoveries.tell("an older backup of the broker", eventually(river.all_ready, river.say))
    river.assert_nothing_lost(poster.accepted)


def test_an_older_backup_of_the_database(river: River, recoveries: Recoveries) -> None:
    """Readiness says that the streams know more. With the newer database nothing is lost; else they are made anew, and offices
    post again what they had posted since."""
    _, data = folders(river)
    backup, newest = data.with_name("backup"), data.with_name("newest")
    before = [centre(f"in-the-backup-{number}") for number in range(5)]
    for event in before:
        assert river.post(event).status_code == 200
    river.assert_nothing_lost(before)
    with stopped(river.sampan.postgres):
        copy(data, backup)
    since = [centre(f"not-in-the-backup-{number}") for number in range(5)]
    for event in since:
        assert river.post(event).status_code == 200
    river.assert_nothing_lost(since)
    with stopped(river.sampan.postgres):
        copy(data, newest)
        copy(backup, data)

    eventually(lambda: said(river, "restore the newer database"), river.say)
    with stopped(river.sampan.postgres):
        copy(newest, data)
    recoveries.tell("an older backup of the database, the newer one put back", eventually(river.all_ready, river.say))
    river.assert_nothing_lost([*before, *since])

    with stopped(river.sampan.postgres):
        copy(backup, data)
    eventually(lambda: said(river, "restore the newer database"), river.say)
    delete(river, "ENROLMENT", "CERTIFICATION")
    took = eventually(river.all_ready, river.say)
    recoveries.tell("an older backup of the database, the streams made anew", took)
    river.assert_nothing_lost(before)
    for event in since:
        assert river.post(event).json()["receipts"][0]["status"] == "accepted"
    river.assert_nothing_lost(since)


def said(river: River, words: str) -> bool:
    return any(words in problem for problem in river.problems("enrolment"))


def delete(river: River, *streams: str) -> None:
    async def work() -> None:
        connection = await connect_with_every_right(river.sampan.nats.url, river.sampan.nats.keys)
        try:
            for stream in streams:
                await connection.jetstream(timeout=10).delete_stream(stream)
        finally:
            await connection.close()

    asyncio.run(work())
