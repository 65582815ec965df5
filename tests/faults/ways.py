"""Where a service's connections lead through: a TCP proxy that lets a test cut them, let them hang, or watch what is said.

It is what `iptables -j DROP` and netem do, without root and for one connection's two ends alone.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from services.processes import LOOPBACK


@dataclass
class Trap:
    """What is waited for among what a service says; its first bytes and all that comes after never arrive."""

    words: bytes
    then: Callable[[], None]
    sprung: threading.Event


class Way:
    """From a service to one of its servers."""

    def __init__(self, to: Callable[[], int]) -> None:
        """``to`` says on which port the server is now."""
        self._to = to
        self._loop = _loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut = False
        self._trap: Trap | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        server = self._do(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.port: int = server.sockets[0].getsockname()[1]

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Connections live on, new ones are made, and nothing comes through them: half open."""
        self._loop.call_soon_threadsafe(self._flowing.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._flowing.set)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Connections break, and new ones break at once."""
        self._loop.call_soon_threadsafe(self._break)
        try:
            yield
        finally:
            self._cut = False

    @contextmanager
    def killing(self, pid: int, words: bytes) -> Iterator[threading.Event]:
        """`kill -9` for a process that is about to say these words to its server, which never hears them."""
        trap = Trap(words, lambda: os.kill(pid, signal.SIGKILL), threading.Event())
        self._trap = trap
        try:
            yield trap.sprung
        finally:
            self._trap = None

    def _break(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def _do(self, work: "asyncio._CoroutineLike[asyncio.Server]") -> asyncio.Server:
        begun: Future[asyncio.Server] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return begun.result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = {writer}
        self._writers |= writers
        try:
            with contextlib.suppress(OSError):
                if not self._cut:
                    there, out = await asyncio.open_connection(LOOPBACK, self._to())
                    writers.add(out)
                    self._writers.add(out)
                    await asyncio.gather(self._pump(reader, out, watched=True), self._pump(there, writer))
        finally:
            self._writers -= writers
            for one in writers:
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool = False) -> None:
        tail = b""
        try:
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                trap = self._trap
                if watched and trap is not None:
                    place = (tail + data).find(trap.words)
                    if place >= 0:
                        writer.write(data[: max(place - len(tail), 0)])
                        await writer.drain()
                        if not trap.sprung.is_set():
                            trap.then()
                            trap.sprung.set()
                        return
                    tail = data[-len(trap.words) :]
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()  # what one end closed is closed for the other


_running: asyncio.AbstractEventLoop | None = None


def _loop() -> asyncio.AbstractEventLoop:
    """One for all ways, in a thread of its own."""
    global _running  # noqa: PLW0603 - one for the process
    if _running is None:
        _running = asyncio.new_event_loop()
        threading.Thread(target=_running.run_forever, daemon=True).start()
    return _running
