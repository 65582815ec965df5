"""The door: whoever comes in reaches a copy of the service that takes connections, or is told to come again."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.door import AWAY, Door
from services.processes import LOOPBACK, free_port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers when the caller has said everything."""
    writer.write(b"you said " + await reader.read())
    writer.close()


async def ask(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(words)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@asynccontextmanager
async def opened(behind: int, host: str = LOOPBACK) -> AsyncIterator[int]:
    port = free_port()
    server = await Door(port, host, behind).serve(LOOPBACK)
    try:
        yield port
    finally:
        server.close()


async def test_given_a_service_when_someone_calls_at_the_door_then_both_hear_all_the_other_says() -> None:
    service = await asyncio.start_server(echo, LOOPBACK, 0)
    async with service, opened(service.sockets[0].getsockname()[1]) as port:
        words = bytes(range(256)) * 10_000
        assert await asyncio.gather(*(ask(port, words) for _ in range(5))) == [b"you said " + words] * 5


async def test_given_no_service_when_someone_calls_then_the_answer_is_a_503_that_says_when_to_come_again() -> None:
    for host in (LOOPBACK, "no-such-name.invalid"):
        async with opened(free_port(), host) as port:
            assert await ask(port, b"POST /v1/events HTTP/1.1\r\n\r\n" + b"x" * 1_000_000) == AWAY
    head, _, body = AWAY.partition(b"\r\n\r\n")
    assert b"Retry-After: 2" in head
    assert f"Content-Length: {len(body)}".encode() in head


async def test_given_one_of_two_copies_is_away_when_people_call_then_the_other_answers_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = await asyncio.start_server(echo, LOOPBACK, 0)
    here = service.sockets[0].getsockname()

    async def two_copies(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in (("127.0.0.2", here[1]), here)]

    async with service, opened(here[1], "reporting") as port:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_copies)
        assert [await ask(port, b"hello") for _ in range(10)] == [b"you said hello"] * 10


async def test_given_the_service_closes_when_the_caller_does_not_then_the_door_closes_too() -> None:
    async def curt(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    service = await asyncio.start_server(curt, LOOPBACK, 0)
    async with service, opened(service.sockets[0].getsockname()[1]) as port:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            assert await reader.read() == b""
        writer.close()


def test_given_words_that_name_no_door_when_they_are_read_then_the_error_shows_how_to_write_it() -> None:
    assert Door.parse("8003=reporting:8000") == Door(8003, "reporting", 8000)
    with pytest.raises(ValueError, match="8003=reporting:8000"):
        Door.parse("8003")
