"""Connections that break, and connections that live on while nothing comes through them: each service apart from each server."""

import random
import time
from contextlib import ExitStack

import pytest

from tests.faults.conftest import SERVICES, River, centre
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240)]

NOTICED_SECONDS = 25
"""Two pings without an answer."""
WHOLE = [pytest.param(name, marks=() if name == "enrolment" else pytest.mark.hurts, id=name) for name in SERVICES]


def says(river: River, service: str, word: str) -> bool:
    return any(word in problem for problem in river.problems(service))


@pytest.mark.long
@pytest.mark.parametrize("service", WHOLE)
def test_a_broker_that_is_half_open(river: River, recoveries: Recoveries, service: str) -> None:
    with river.posting(f"half-open-{service}") as poster:
        with river.sampan.to_nats[service].hanging():
            took = eventually(lambda: says(river, service, "broker is away"), river.say, NOTICED_SECONDS)
            number = len(poster.accepted)
            eventually(lambda: len(poster.accepted) > number + 2, "POST depends on the broker")
        recoveries.tell(f"{service} half open to the broker, noticed", took)
        recoveries.tell(f"{service} half open to the broker", eventually(river.all_ready, river.say))


@pytest.mark.hurts  # test_pauses has a database that hangs
@pytest.mark.parametrize("service", SERVICES)
def test_a_database_that_is_half_open(river: River, recoveries: Recoveries, service: str) -> None:
    with river.posting(f"half-open-db-{service}") as poster:
        with river.sampan.to_postgres[service].hanging():
            began = time.monotonic()
            assert says(river, service, "database")
            assert time.monotonic() - began < 5, "a container's health check gives up sooner"
            if service == "enrolment":
                eventually(lambda: poster.put_off > 0, "POST waits")
        recoveries.tell(f"{service} half open to the database", eventually(river.all_ready, river.say))


@pytest.mark.long
@pytest.mark.parametrize("service", WHOLE)
def test_connections_that_break_and_cannot_be_made_anew(river: River, recoveries: Recoveries, service: str) -> None:
    with river.posting(f"cut-{service}"):
        with ExitStack() as stack:
            stack.enter_context(river.sampan.to_nats[service].cut())
            stack.enter_context(river.sampan.to_postgres[service].cut())
            eventually(lambda: says(river, service, "database"), river.say)
        recoveries.tell(f"{service} cut off", eventually(river.all_ready, river.say))


@pytest.mark.hurts
def test_connections_that_come_and_go_under_load(river: River, recoveries: Recoveries) -> None:
    chance = random.Random(7)
    ways = [*river.sampan.to_nats.values(), *river.sampan.to_postgres.values()]
    with river.posting("come-and-go") as poster:
        for _ in range(12):
            with ExitStack() as stack:
                for way in chance.sample(ways, chance.randint(1, 3)):
                    stack.enter_context(chance.choice((way.cut, way.hanging))())
                until = time.monotonic() + chance.uniform(0.2, 3)
                eventually(lambda: time.monotonic() > until, "")  # noqa: B023
        recoveries.tell("connections that came and went twelve times", eventually(river.all_ready, river.say))
        eventually(lambda: bool(poster.accepted), "nothing was taken")
    recoveries.count("events acknowledged while connections came and went", len(poster.accepted))
    assert river.post(centre("after-it-all")).status_code == 200
