"""Readers who follow the figures (Server-Sent Events), in a process of their own, beside the intake."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from bench.program import Program
from bench.supply import intake

AT_A_TIME = 25
"""So many connect at once."""


def with_readers(program: Program, readers: int, cohorts: int) -> dict[str, list[float]]:
    """Events a second without and with so many readers, in turns: two and two."""
    taken: dict[str, list[float]] = {"without": [], "with": []}
    for turn in range(2):
        taken["without"].append(1 / intake(program, f"alone-{turn}", cohorts))
        with following(program, readers):
            taken["with"].append(1 / intake(program, f"followed-{turn}", cohorts))
    return taken


@contextmanager
def following(program: Program, readers: int) -> Iterator[None]:
    """So many follow while the block runs; raises AssertionError when one of them was not told that anything changed."""
    arguments = (program.sampan.urls["reporting"], program.sampan.admin_token, str(readers))
    command = (sys.executable, "-m", "bench.readers", *arguments)
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert child.stdout
    try:
        if child.stdout.readline() != "all follow\n":
            raise AssertionError(f"{readers} readers could not follow")
        yield
        told, _ = child.communicate("end\n", timeout=60)
        if told != f"{readers} were told\n":
            raise AssertionError(f"of {readers} readers: {told}")
    finally:
        child.kill()
        child.wait()


async def follow(address: str, token: str, readers: int) -> None:
    """Open so many streams and say so; read them until a line comes on standard input; say how many heard of a change."""
    host, port = urlsplit(address).hostname, urlsplit(address).port
    asked = f"GET /v1/changes HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    told = [False] * readers
    ready = asyncio.Semaphore(AT_A_TIME)

    async def connect() -> asyncio.StreamReader:
        async with ready:
            stream, writer = await asyncio.open_connection(host, port)
            open_ones.append(writer)
            writer.write(asked)
            status = await stream.readline()
            if b" 200 " not in status:
                raise ConnectionError(status.decode())
            await stream.readuntil(b"retry:")  # the stream has begun
        return stream

    async def read(number: int, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            if line.startswith(b"event:"):
                told[number] = True

    open_ones: list[asyncio.StreamWriter] = []
    streams = await asyncio.gather(*(connect() for _ in range(readers)))
    reading = [asyncio.create_task(read(number, stream)) for number, stream in enumerate(streams)]
    _tell("all follow")
    await asyncio.to_thread(sys.stdin.readline)
    for one in reading:
        one.cancel()
    for writer in open_ones:
        writer.close()
    _tell(f"{sum(told)} were told")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], sys.argv[2], int(sys.argv[3])))
