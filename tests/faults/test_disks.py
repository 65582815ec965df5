"""Disks that are full, that fail to sync, that lose their power, and that give back other bits than were written."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import Poster, River, centre
from tests.faults.disks import Disk, as_root, failing_to_sync, folders, on_a_disk, with_strace
from tests.faults.events import in_the_intake, lacking, over_nats
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries
from tests.faults.test_pauses import paused

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(400)]


def bring_back(river: River) -> None:
    """What died of it is started again, as `sampan up` does by itself."""
    for part in (river.sampan.nats, river.sampan.postgres):
        if not part.alive:
            part.start()


def acknowledged(poster: Poster, more: int) -> None:
    number = len(poster.accepted)
    eventually(lambda: len(poster.accepted) >= number + more, "nothing is acknowledged", 90)


@pytest.mark.hurts
@as_root
def test_a_full_disk(river: River, recoveries: Recoveries) -> None:
    with on_a_disk(river, "small") as disk, river.posting("full") as poster:
        acknowledged(poster, 5)
        disk.fill()
        before = poster.put_off
        eventually(lambda: poster.put_off > before, "POST does not say that it cannot be kept", 120)
        eventually(lambda: not river.all_ready(), "they say that they are ready")
        disk.make_room()
        began = time.monotonic()
        bring_back(river)
        eventually(river.all_ready, river.say, 120)
        acknowledged(poster, 5)
        recoveries.tell("a full disk", time.monotonic() - began)


@pytest.mark.hurts
@with_strace
def test_a_database_whose_disk_fails_to_sync(river: River, recoveries: Recoveries) -> None:
    """PostgreSQL trusts nothing after that and starts again from its log; nothing is acknowledged meanwhile."""
    server = psutil.Process(river.sampan.postgres.pid)
    with river.posting("no-sync") as poster:
        acknowledged(poster, 5)
        with failing_to_sync([server.pid, *(child.pid for child in server.children())]):
            before = poster.put_off
            eventually(lambda: poster.put_off > before, "POST does not say that it cannot be kept")
            number = len(poster.accepted)
        assert len(poster.accepted) <= number + 1
        began = time.monotonic()
        bring_back(river)
        eventually(river.all_ready, river.say, 120)
        acknowledged(poster, 5)
        recoveries.tell("a database whose disk failed to sync", time.monotonic() - began)


@pytest.mark.hurts
@with_strace
def test_a_broker_whose_disk_fails_to_sync(river: River, recoveries: Recoveries) -> None:
    with river.posting("no-broker-sync") as poster:
        acknowledged(poster, 5)
        with failing_to_sync([river.sampan.nats.pid]):
            acknowledged(poster, 5)
        began = time.monotonic()
        bring_back(river)
        eventually(river.all_ready, river.say, 120)
        recoveries.tell("a broker whose disk failed to sync", time.monotonic() - began)


def without_power(river: River, disk: Disk, noticed: Callable[[], bool] = lambda: True) -> None:
    disk.cut_the_power()
    for part in (river.sampan.nats, river.sampan.postgres):
        part.kill()
    eventually(noticed, river.say)
    disk.unmount()
    disk.mount("ext4")
    for part in (river.sampan.nats, river.sampan.postgres):
        part.start()


@pytest.mark.hurts
@as_root
def test_a_power_loss(river: River, recoveries: Recoveries) -> None:
    """Once under load, and once with messages in the intake that the broker has acknowledged and nobody has taken in."""
    with on_a_disk(river, "ext4") as disk:
        for turn in range(3):
            with river.posting(f"power-{turn}") as poster:
                acknowledged(poster, 10)
                began = time.monotonic()
                without_power(river, disk, lambda: river.all_say("database"))
                eventually(river.all_ready, river.say, 120)
                recoveries.tell("a power loss", time.monotonic() - began)
                acknowledged(poster, 3)
        with paused(river.service("enrolment").pid):
            events = [centre(f"power-{number}") for number in range(30)]
            over_nats(river, *events)
            without_power(river, disk)
        eventually(river.all_ready, river.say, 120)
        # What was on its way to the service that was paused comes again only after the broker has waited for its ack.
        eventually(lambda: in_the_intake(river) == 0, "what the broker had acknowledged is not taken in", 120)
        for event in events:
            assert river.post(event).json()["receipts"][0]["status"] == "duplicate"
        river.assert_nothing_lost(events)


def blocks(river: River, stream: str) -> list[Path]:
    """The files with a stream's messages, oldest first."""
    return sorted(folders(river)[0].glob(f"jetstream/*/streams/{stream}/msgs/*.blk"), key=lambda one: int(one.stem))


@pytest.mark.long
@pytest.mark.parametrize("end", ["stopped", pytest.param("killed", marks=pytest.mark.hurts)])
def test_a_flipped_bit_in_a_streams_files(river: River, recoveries: Recoveries, end: str) -> None:
    """The broker has lost messages by it, and the stream is made whole from the journal."""
    accepted = [centre(f"bit-{end}-{number}") for number in range(20)]
    for event in accepted:
        assert river.post(event).status_code == 200
    river.assert_nothing_lost(accepted)
    position = river.post(accepted[-1]).json()["position"]["ENROLMENT"]
    if end == "stopped":
        river.sampan.nats.stop()
    else:
        river.sampan.nats.kill()
    block = blocks(river, "ENROLMENT")[-1]
    content = bytearray(block.read_bytes())
    content[len(content) // 2] ^= 0x10
    block.write_bytes(content)
    began = time.monotonic()
    with paused(river.service("enrolment").pid):  # who would mend it at once
        river.sampan.nats.start()
        assert lacking(river, "ENROLMENT", position), "no message was lost by it"
    eventually(lambda: not lacking(river, "ENROLMENT", position), "the stream is not made whole")
    eventually(river.all_ready, river.say)
    eventually(lambda: river.check() == [], river.check, 60)
    recoveries.tell(f"a flipped bit, the broker {end}", time.monotonic() - began)
    river.assert_nothing_lost(accepted)
