"""An older backup of one of the two stores: what the other one has shows it, and the way back loses nothing that is left."""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from services.processes import Part
from tests.faults.conftest import River, centre
from tests.faults.disks import folders, run
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240), pytest.mark.hurts]


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
    """Readiness says that the streams know more. With the newer database nothing is lost; without it they are made anew, and
    offices post again what they had posted since."""
    streams, data = folders(river)
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

    began = time.monotonic()
    with ExitStack() as stack:  # as docs/operations.md has it: the services last, and no streams
        for part in (*river.sampan.services, river.sampan.postgres, river.sampan.nats):
            stack.enter_context(stopped(part))
        copy(backup, data)
        shutil.rmtree(streams)
    eventually(lambda: all(service.unready() is None for service in river.sampan.services), "they do not come back", 90)
    recoveries.tell("an older backup of the database, the streams made anew", time.monotonic() - began)
    river.assert_nothing_lost(before)
    for event in since:
        assert river.post(event).json()["receipts"][0]["status"] == "accepted"
    river.assert_nothing_lost(since)


def said(river: River, words: str) -> bool:
    return any(words in problem for problem in river.problems("enrolment"))
