"""Broker and database go away and come back, by kill -9, while events are posted: nothing is restarted, nothing is lost."""

import random
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from services.client import Client
from services.processes import Part
from services.upkeep import check
from tests.faults.conftest import River, centre
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(180)]


@pytest.mark.long
def test_broker_and_database_go_and_come_in_any_order(river: River) -> None:
    nats, postgres = river.sampan.nats, river.sampan.postgres
    before = river.pids()
    with river.posting("any-order") as poster:

        def accepted_since(number: int) -> bool:
            return len(poster.accepted) > number + 2

        def put_off_since(number: int) -> bool:
            return poster.put_off > number

        eventually(lambda: accepted_since(0), "no POST was answered")

        nats.kill()
        eventually(lambda: river.all_say("broker is away"), river.say)
        number = len(poster.accepted)
        eventually(lambda: accepted_since(number), "POST depends on the broker")

        postgres.kill()
        number = poster.put_off
        eventually(lambda: put_off_since(number), "POST does not say that the database is away")
        eventually(lambda: river.all_say("database"), river.say)
        nats.start()
        assert river.all_say("database")
        number = len(poster.accepted)
        postgres.start()
        eventually(lambda: accepted_since(number), "POST does not work with the database back")
        eventually(river.all_ready, river.say)

        postgres.kill()
        nats.kill()
        number = poster.put_off
        eventually(lambda: put_off_since(number), "POST does not say that the database is away")
        postgres.start()
        number = len(poster.accepted)
        eventually(lambda: accepted_since(number), "POST depends on the broker")
        eventually(lambda: river.all_say("broker is away"), river.say)
        nats.start()
        eventually(river.all_ready, river.say)

        for _ in range(2):  # again before everything has found itself
            nats.kill()
            postgres.kill()
            nats.start()
            postgres.start()
        eventually(river.all_ready, river.say)

    assert poster.put_off
    assert river.pids() == before


@pytest.mark.hurts
@pytest.mark.timeout(600)
def test_everything_is_killed_many_times_under_load(river: River, recoveries: Recoveries) -> None:
    """Broker, database and services, in an order that a seed gives, and again before everything has found itself."""
    chance = random.Random(11)
    kills: Counter[str] = Counter()
    parts: dict[str, Part] = {"broker": river.sampan.nats, "database": river.sampan.postgres}
    parts |= {service.name: service for service in river.sampan.services}
    with river.posting("many-times", breaking=True) as poster:
        for _ in range(20):
            number = len(poster.accepted)
            eventually(lambda: len(poster.accepted) > number, river.say, 90)  # noqa: B023
            for name in chance.sample(sorted(parts), chance.choice((1, 1, 2, 3))):
                kills[name] += 1
                parts[name].kill()
            for part in parts.values():
                if not part.alive:
                    part.start()
        recoveries.tell("everything killed twenty times", eventually(ready(river), "they do not come back", 120))
    for name, number in kills.items():
        recoveries.count(f"kills of the {name} under load", number)
    recoveries.count("events acknowledged while everything was killed", len(poster.accepted))


def ready(river: River) -> Callable[[], bool]:
    return lambda: all(service.unready() is None for service in river.sampan.services)


@pytest.mark.long
def test_services_that_start_before_broker_and_database(river: River) -> None:
    nats, postgres = river.sampan.nats, river.sampan.postgres
    for part in (*river.sampan.services, nats, postgres):
        part.kill()
    for service in river.sampan.services:
        assert "no answer" in (service.unready() or "")
        service.start()
    for service in river.sampan.services:
        eventually(lambda: "no answer" not in (service.unready() or ""), f"{service.name} did not start")  # noqa: B023
    before = river.pids()

    assert river.all_say("database")
    late = river.post(centre("too-early"))
    assert late.status_code == 503
    assert int(late.headers["Retry-After"]) > 0

    postgres.start()
    eventually(lambda: river.post(centre("early")).status_code == 200, "POST depends on the broker")
    assert not river.all_ready()
    nats.start()
    eventually(river.all_ready, river.say)

    river.assert_nothing_lost([centre("early")])
    assert river.pids() == before


@pytest.mark.long
def test_a_database_that_hangs_is_told_while_somebody_waits_for_the_answer(river: River) -> None:
    """As when its machine is frozen: connections stay open, and nothing comes through them."""
    server = psutil.Process(river.sampan.postgres.pid)
    eventually(river.all_ready, river.say)
    frozen = [server, *server.children(recursive=True)]
    for process in frozen:
        process.suspend()
    try:
        for _ in range(2):
            for service in river.sampan.services:
                began = time.monotonic()
                problems = river.problems(service.name)
                assert any("database" in problem for problem in problems), problems
                assert time.monotonic() - began < 4, "a container's health check gives up sooner"
    finally:
        for process in frozen:
            process.resume()
    eventually(river.all_ready, river.say)
    assert river.post(centre("after-the-frost")).status_code == 200


@pytest.mark.long
def test_sessions_that_the_database_ends_are_made_anew(river: River, recoveries: Recoveries) -> None:
    """As when somebody restarts it in order, or ends sessions by hand."""
    before = river.pids()
    with river.posting("sessions") as poster:
        for _ in range(3):
            number = len(poster.accepted)
            river.sampan.postgres.stop()
            eventually(lambda: river.all_say("database"), river.say)
            river.sampan.postgres.start()
            eventually(lambda: len(poster.accepted) > number + 2, "POST does not work again")  # noqa: B023
        recoveries.tell("database sessions ended", eventually(river.all_ready, river.say))
    assert river.pids() == before


@pytest.mark.long
def test_a_check_while_events_come_in_finds_nothing(river: River) -> None:
    with river.posting("checked") as poster:
        for _ in range(3):
            number = len(poster.accepted)
            with Client(river.sampan.urls["enrolment"], river.sampan.admin_token) as client:
                assert check(client, lambda _: None) == []
            assert len(poster.accepted) > number


@pytest.mark.long
def test_a_service_that_is_killed_in_the_middle_of_its_work(river: River) -> None:
    with river.posting("killed", breaking=True) as poster:
        for name in ("reporting", "certification"):
            number = len(poster.accepted)
            eventually(lambda: len(poster.accepted) > number + 5, "nothing is posted")  # noqa: B023
            river.service(name).kill()
            river.service(name).start()
        eventually(lambda: river.service("reporting").unready() is None, "reporting did not come back")
        eventually(lambda: river.service("certification").unready() is None, "certification did not come back")
    eventually(river.all_ready, river.say)


def test_a_service_that_is_asked_to_stop_does_not_say_that_it_is_ready(river: River) -> None:
    reporting = river.service("reporting")
    assert reporting.unready() is None

    reporting.ask_to_stop()
    eventually(lambda: reporting.unready() is not None, "it still takes requests")
    reporting.stop()
    assert "no answer" in (reporting.unready() or "")

    reporting.start()
    eventually(lambda: reporting.unready() is None, "it did not come back")
    assert river.problems("reporting") == []
