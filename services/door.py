"""One address for each service, however many copies of it run.

`python -m services.door 8003=reporting:8000 ...` listens on 8003 and hands every connection to one of the machines that the
name `reporting` has at that moment. A port of the host can belong to one container only, and a range of ports gives a copy
another address at every start. Nothing is read or changed on the way: what is spoken behind it is the service's business.
"""

import asyncio
import contextlib
import logging
import random
import signal
import socket
import sys
from dataclasses import dataclass

log = logging.getLogger("sampan.door")

CONNECT_SECONDS = 2.0
DRAIN_SECONDS = 5.0
CHUNK = 64 * 1024
_SORRY = b'{"code":"not_there","message":"The service is being started or is away. Nothing was taken; try again in a moment."}'
AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 2\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SORRY), _SORRY)
)


@dataclass(frozen=True)
class Door:
    """A port here, and the name and port behind it."""

    port: int
    host: str
    behind: int

    @classmethod
    def parse(cls, text: str) -> "Door":
        """From `8003=reporting:8000`. Raises ValueError."""
        port, _, target = text.partition("=")
        host, _, behind = target.partition(":")
        if not host:
            raise ValueError(f"{text}: write it as 8003=reporting:8000")
        return cls(int(port), host, int(behind))

    async def serve(self, address: str = "0.0.0.0") -> asyncio.Server:  # noqa: S104 - inside a container
        """Listen; the answer is the running server."""
        return await asyncio.start_server(self._pass, address, self.port)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner = await self._connect()
            if inner is None:
                await _turn_away(reader, writer)
                return
            inner_reader, inner_writer = inner
            try:
                async with asyncio.TaskGroup() as both:
                    inward = both.create_task(_pump(reader, inner_writer))
                    await _pump(inner_reader, writer)
                    inward.cancel()  # the service has said all it wanted to say
            finally:
                inner_writer.close()
        except* OSError:
            pass  # one side has gone; the other learns it by the close
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to any copy that takes one, or None."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self.host, self.behind, type=socket.SOCK_STREAM)
        except OSError:
            found = []
        for entry in random.sample(found, len(found)):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(*entry[4][:2])
        log.warning("%s is away", self.host)
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()  # the other direction may go on


async def _turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(AWAY)
    writer.write_eof()
    # Closing with something unread would reset the connection, and the client might never see the answer.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reader.read(CHUNK):
                pass


async def main(doors: list[Door]) -> None:
    """Serve until SIGTERM."""
    servers = [await door.serve() for door in doors]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    for server in servers:
        server.close()


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    asyncio.run(main([Door.parse(text) for text in sys.argv[1:]]))
