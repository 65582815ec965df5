"""Disks of the broker's and the database's own, which a test may fill, break and take the power from."""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import River
from tests.faults.patience import eventually

EXT4_IOC_SHUTDOWN, WITHOUT_THE_LOG = 0x8004587D, 2
MEGABYTE = 1 << 20
BIG_ENOUGH = 120 * MEGABYTE
"""Free on a small disk before it is filled."""

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a disk: run it as root on Linux"
)
with_strace = pytest.mark.skipif(
    shutil.which("strace") is None or os.geteuid() != 0,
    reason="fsync is made to fail with strace, as root: install strace and run it as root",
)


def run(*command: str | Path) -> None:
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"


class Disk:
    """A file system under the broker's streams and the database's files."""

    def __init__(self, river: River, place: Path) -> None:
        self._river = river
        self.place = place
        self.image = place.with_suffix(".image")
        self._ballast = place / "ballast"

    def mount(self, kind: str) -> None:
        """Skips where this machine has no such thing."""
        mounts = {
            "small": ("mount", "-t", "tmpfs", "-o", f"size={self._size() + BIG_ENOUGH}", "tmpfs", self.place),
            "ext4": ("mount", "-o", "loop", self.image, self.place),
        }
        self.place.mkdir(exist_ok=True)
        try:
            if kind == "ext4" and not self.image.exists():
                with self.image.open("wb") as image:
                    image.truncate(self._size() + 2 * BIG_ENOUGH + 128 * MEGABYTE)
                run("mkfs.ext4", "-q", "-F", self.image)
            run(*mounts[kind])
        except (AssertionError, FileNotFoundError) as error:
            pytest.skip(f"this machine mounts no such disk: {error}")
        self.place.chmod(0o711)

    def unmount(self) -> None:
        """As soon as nobody uses it."""

        def gone() -> bool:
            return subprocess.run(["umount", self.place], capture_output=True, check=False).returncode == 0  # noqa: S607

        eventually(gone, "the disk is in use")

    def fill(self) -> None:
        """Until nothing more goes onto it."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(bytes(65536))
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(bytes(512))

    def make_room(self) -> None:
        self._ballast.unlink()

    def cut_the_power(self) -> None:
        """What was not synced is gone, and everything after this fails."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_THE_LOG))
        finally:
            os.close(handle)

    def _size(self) -> int:
        return sum(
            file.stat().st_size
            for folder in folders(self._river)
            for file in folder.resolve().rglob("*")
            if file.is_file() and not file.is_symlink()
        )


def folders(river: River) -> tuple[Path, Path]:
    """Where broker and database keep what must not be lost."""
    return river.sampan.folder / "nats" / "jetstream", river.sampan.folder / "postgres" / "data"


@contextmanager
def on_a_disk(river: River, kind: str) -> Iterator[Disk]:
    """Broker and database work on a disk of this kind; afterwards on what they had, with all that was added."""
    nats, postgres = river.sampan.nats, river.sampan.postgres
    disk = Disk(river, river.sampan.folder / "disk")
    disk.mount(kind)
    try:
        nats.stop()
        postgres.stop()
        for folder in folders(river):
            there = disk.place / folder.name
            run("cp", "-a", folder, there)
            folder.rename(folder.with_name("kept"))
            folder.symlink_to(there)
        run("sync", "-f", disk.place)
        nats.start()
        postgres.start()
        eventually(river.all_ready, river.say, 90)
        yield disk
    finally:
        nats.stop()
        postgres.stop()
        for folder in folders(river):
            if folder.is_symlink():
                folder.unlink()
                shutil.rmtree(folder.with_name("kept"))
                run("cp", "-a", disk.place / folder.name, folder)
        disk.unmount()
        disk.image.unlink(missing_ok=True)
        nats.start()
        postgres.start()
        eventually(river.all_ready, river.say, 90)


@contextmanager
def failing_to_sync(pids: list[int]) -> Iterator[None]:
    """Every fsync of these processes, and of those they start, fails as when a disk breaks."""
    processes = [word for pid in pids for word in ("-p", str(pid))]
    inject = ("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
    with tempfile.NamedTemporaryFile("r") as said:
        command = ["strace", "-f", "-o", said.name, *inject, *processes]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        try:
            first = tracer.stderr.readline()
            if "attached" not in first:
                pytest.skip(f"strace may not attach here: {first.strip()}")
            yield
            assert "EIO" in said.read(), "nothing was to be synced"
        finally:
            tracer.terminate()
            tracer.communicate()
