"""Events without end: cohort after cohort, from the announcement to the certificates, as fast as they are taken or at a rate."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from typing import Any, Self

import httpx

from bench.latency import OFFICE, announced, assessed, completed, day_of, event, line, person, register, started
from bench.load import Post
from bench.program import Program, poster
from services.eventfiles import ServiceName
from shared.events.wire import NDJSON

POSTERS = 4
EVENTS_OF_A_TRAINEE = 3


class Supply:
    """Posts of cohorts of one size; ``name`` sets it apart from other supplies."""

    def __init__(self, name: str, in_cohort: int = 100) -> None:
        self._name = name
        self._in_cohort = in_cohort
        self._cohorts = count()

    def cohort(self) -> list[Post]:
        """All of the next cohort, in the order in which it is to be posted; about a post for each event of a trainee."""
        code = f"{self._name}-{next(self._cohorts):06d}"
        numbers = [f"{number:03d}" for number in range(1, self._in_cohort + 1)]
        return [
            _post("enrolment", [announced(code, len(numbers)), *(_arrives(number, code) for number in numbers)]),
            _post("certification", [assessed(number, code) for number in numbers]),
            _post("enrolment", [started(code), *(completed(number, code) for number in numbers)]),
        ]

    def endless(self) -> Iterator[Post]:
        """One cohort after the other."""
        while True:
            yield from self.cohort()

    def anew(self, posts: int) -> Iterator[Post]:
        """The first so many posts once more: they are the same each time."""
        return islice(Supply(self._name, self._in_cohort).endless(), posts)


class Flow:
    """Supplies that flow into a program while the block runs: so many events a second, or as many as are taken."""

    def __init__(self, program: Program, name: str, rate: float | None = None, in_cohort: int = 100) -> None:
        register(program)
        self._program = program
        posters = POSTERS if rate is None else 1
        self._supplies = [Supply(f"{name}-{number}", in_cohort) for number in range(posters)]
        self._answered = [0] * posters
        self._rate = rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failed: BaseException | None = None
        self.done: list[tuple[float, int]] = []
        """(seconds since the start, events of the post) of every post that was answered."""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    @property
    def events(self) -> int:
        """How many were taken so far."""
        return sum(events for _, events in self.done)

    @property
    def a_second(self) -> float:
        """How many were taken a second, from the first answer to the last."""
        if len(self.done) < 2:
            return 0.0
        (first, before), (last, _) = self.done[0], self.done[-1]
        return (self.events - before) / (last - first)

    def answered(self) -> Iterator[bytes]:
        """Every event that was answered, made anew: nobody had to keep them meanwhile."""
        for supply, posts in zip(self._supplies, self._answered, strict=True):
            for post in supply.anew(posts):
                yield from post.events

    def _run(self) -> None:
        async def post() -> None:
            async with poster() as http, asyncio.TaskGroup() as posters:
                for number in range(len(self._supplies)):
                    posters.create_task(self._post(http, number))

        try:
            asyncio.run(post())
        except BaseException as failed:  # told to whoever waits for the thread
            self._failed = failed

    async def _post(self, http: httpx.AsyncClient, number: int) -> None:
        sent = 0
        for one in self._supplies[number].endless():
            if self._rate is not None:
                await asyncio.sleep(max(self._began + sent / self._rate - time.monotonic(), 0))
            if self._stop.is_set():
                return
            await hand_in(http, self._program, one)
            sent += len(one.events)
            self._answered[number] += 1
            self.done.append((time.monotonic() - self._began, len(one.events)))


def intake(program: Program, name: str, cohorts: int) -> float:
    """Seconds for an event, of so many cohorts, from the first POST until the report holds them all."""
    register(program)
    supplies = [Supply(f"{name}-{number}") for number in range(POSTERS)]

    async def post(http: httpx.AsyncClient, supply: Supply, share: int) -> int:
        events = 0
        for _ in range(share):
            for one in supply.cohort():
                await hand_in(http, program, one)
                events += len(one.events)
        return events

    async def all_of_them() -> int:
        async with poster() as http:
            shares = (-(-(cohorts - number) // POSTERS) for number in range(POSTERS))
            taken = await asyncio.gather(*(post(http, *one) for one in zip(supplies, shares, strict=True)))
        return sum(taken)

    began = time.perf_counter()
    events = asyncio.run(all_of_them())
    program.client.wait_until_reported()
    return (time.perf_counter() - began) / events


async def hand_in(http: httpx.AsyncClient, program: Program, post: Post) -> None:
    """One POST, every event of which must be taken."""
    headers = {"Authorization": f"Bearer {program.sampan.admin_token}", "Content-Type": NDJSON}
    address = f"{program.sampan.urls[post.service]}/v1/events"
    answer = await http.post(address, content=post.body, headers=headers)
    if answer.status_code != 200:
        raise AssertionError(answer.text[:500])


def _post(service: ServiceName, events: list[dict[str, Any]]) -> Post:
    return Post(OFFICE, service, tuple(line(one, service).body for one in events))


def _arrives(number: str, cohort: str) -> dict[str, Any]:
    """Enrolled without having been proposed."""
    fields = {"role": "student", "country": "KH", "trade": "one", "person": person(f"{cohort}-{number}")}
    return event("trainee.enrolled", f"enrolled-{number}", 2, cohort, number=number, date=day_of(2), **fields)
