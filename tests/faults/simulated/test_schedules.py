"""Schedules made from a seed: whatever the network, the broker and the processes do, all comes to the same end.

Each schedule is a sequence of steps that hypothesis chooses: offices send, services take in, publish and hear, and at any step
something is lost, doubled, delayed, delivered in another order, or somebody dies. One that fails is made as short as it can be
and printed; the same seed (the test's parameter) makes the same schedules again.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.faults.recoveries import Recoveries
from tests.faults.simulated.broker import Fate
from tests.faults.simulated.story import STORY, owner
from tests.faults.simulated.world import HEARS, STREAMS, Death, End, Mortal, World
from tests.servers import PostgresForTests

ALL = "SAMPAN_SCHEDULES"
"""The variable with how many hundreds of schedules are made in the place of five: `make faults` sets it."""
HUNDREDS = int(os.environ.get(ALL, "5"))
STEPS = 12

SERVICES = st.sampled_from(sorted(STREAMS))
DEATHS = st.sampled_from([Death.NEVER, Death.NEVER, Death.BEFORE, Death.AFTER])
PICKS = st.lists(st.integers(0, 7), min_size=1, max_size=6)


def picked(waiting: list[int], picks: list[int]) -> list[int]:
    """Some of what waits: in any order, perhaps twice."""
    return [waiting[pick % len(waiting)] for pick in picks] if waiting else []


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def databases(postgres: PostgresForTests, runner: asyncio.Runner) -> Iterator[dict[str, Mortal]]:
    name = postgres.create_migrated_database()
    made = {
        service: Mortal(postgres.url(service, name), service) for service in ("enrolment", "certification", "reporting")
    }
    yield made
    for database in made.values():
        runner.run(database.close())
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def expected(databases: dict[str, Mortal], runner: asyncio.Runner) -> End:
    """What the same events come to when nothing fails."""

    async def calm() -> End:
        return await (await World(databases).begin()).finish(STORY)

    end = runner.run(calm())
    assert end.certificates == 2
    assert end.cube
    return end


def machine(
    databases: dict[str, Mortal], runner: asyncio.Runner, expected: End, counted: list[int]
) -> type[RuleBasedStateMachine]:
    """The steps of a schedule, on these databases."""

    class Schedule(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            counted[0] += 1
            self.thorough = True
            self.world = World(databases)
            runner.run(self.world.begin())
            self.left = {service: [one for one in STORY if owner(one) == service] for service in STREAMS}

        @initialize(thorough=st.integers(0, 7).map(lambda one: one == 7), said=st.integers(0, 20))
        def some_was_said_before(self, thorough: bool, said: int) -> None:
            """And at the end of one in eight all is looked at that `sampan check` compares: it takes longer than the schedule."""
            self.thorough = thorough
            for service in sorted(STREAMS):
                if events := self.left[service][:said]:
                    runner.run(self.world.post(service, events))
                    self._said(service, events)

        @rule(service=SERVICES, number=st.integers(1, 6), late=st.booleans(), death=DEATHS, lost=st.booleans())
        def an_office_posts(self, service: str, number: int, late: bool, death: Death, lost: bool) -> None:
            """Its next events, or its last ones first; without an answer it will say them again."""
            events = self._next(service, number, late)
            if events and runner.run(self.world.post(service, events, death)) and not lost:
                self._said(service, events)

        @rule(service=SERVICES, number=st.integers(1, 6), late=st.booleans(), twice=st.booleans())
        def an_office_sends(self, service: str, number: int, late: bool, twice: bool) -> None:
            events = self._next(service, number, late)
            for source in dict.fromkeys(event["source"] for event in events):
                for _ in range(1 + twice):
                    self.world.send(service, [event for event in events if event["source"] == source])
            self._said(service, events)

        @rule(service=SERVICES, picks=PICKS, death=DEATHS, acked=st.booleans())
        def messages_are_taken_in(self, service: str, picks: list[int], death: Death, acked: bool) -> None:
            if some := list(dict.fromkeys(picked(self.world.sent(service), picks))):
                runner.run(self.world.take_in(service, some, death, acked=acked))

        @rule(service=SERVICES, fate=st.sampled_from(Fate), dies=st.booleans())
        def the_relay_publishes(self, service: str, fate: Fate, dies: bool) -> None:
            runner.run(self.world.publish(service, fate, dies=dies))

        @rule()
        def what_was_delayed_arrives(self) -> None:
            if self.world.broker.late:
                self.world.broker.take(self.world.broker.late.pop())

        @rule(ear=st.sampled_from(HEARS), picks=PICKS, death=DEATHS, acked=st.booleans())
        def facts_are_heard(self, ear: tuple[str, str], picks: list[int], death: Death, acked: bool) -> None:
            hears = self.world.ears[ear]
            if some := picked(hears.waiting(), picks):
                runner.run(self.world.mortal(hears.service, death, lambda: hears.deliver(some, acked=acked)))

        @rule(stream=st.sampled_from(sorted(STREAMS.values())))
        def a_stream_is_deleted(self, stream: str) -> None:
            self.world.lose(stream)

        @rule(seconds=st.integers(1, 10_000))
        def time_passes(self, seconds: int) -> None:
            self.world.wait(seconds)

        def teardown(self) -> None:
            assert runner.run(self.world.finish(STORY, thorough=self.thorough)) == expected

        def _next(self, service: str, number: int, late: bool) -> list[dict[str, Any]]:
            left = self.left[service]
            return left[-number:] if late else left[:number]

        def _said(self, service: str, events: list[dict[str, Any]]) -> None:
            self.left[service] = [one for one in self.left[service] if one not in events]

    return Schedule


def run(databases: dict[str, Mortal], runner: asyncio.Runner, expected: End, number: int, start: int) -> int:
    """So many schedules from this seed; how many were run."""
    counted = [0]
    schedule = seed(start)(machine(databases, runner, expected, counted))
    run_state_machine_as_test(
        schedule,
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return counted[0]


def test_a_few_schedules_come_to_the_same_end(
    databases: dict[str, Mortal], runner: asyncio.Runner, expected: End, recoveries: Recoveries
) -> None:
    recoveries.count("schedules", run(databases, runner, expected, 10, 0))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(1, HUNDREDS + 1))
def test_schedules_come_to_the_same_end(
    databases: dict[str, Mortal], runner: asyncio.Runner, expected: End, recoveries: Recoveries, start: int
) -> None:
    recoveries.count("schedules", run(databases, runner, expected, 100, start))
