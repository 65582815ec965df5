"""Other ways of doing the same job, each as its own documentation shows it, and each judged by the same judge."""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from bench.judge import Held


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them. What it needs is installed by `make bench` alone, but for programs."""

    name: str
    module: str
    packages: tuple[str, ...]
    program: str | None = None

    def missing(self) -> str | None:
        """Why it cannot be run here, in a sentence."""
        if not all(map(find_spec, self.packages)):
            return f"{self.name}: not installed; make bench installs it."
        if self.program and not shutil.which(self.program):
            return f"{self.name}: {self.program} is not there (Debian, Ubuntu: apt install {self.program})."
        return None

    async def run(self, url: str, bodies: Sequence[bytes]) -> tuple[float, Held]:
        """Have it take in raw events on asyncpg's address of a database: seconds for all of it, and what is held then."""
        run: Callable[[str, Sequence[bytes]], Awaitable[tuple[float, Held]]] = import_module(self.module).run
        return await run(url, bodies)


PEERS = (
    Peer("eventsourcing", "bench.peers.sourced", ("eventsourcing", "psycopg")),
    Peer("pgqueuer", "bench.peers.pgqueue", ("pgqueuer",)),
    Peer("redis streams", "bench.peers.redis_streams", ("redis",), "redis-server"),
)
