"""Transactions that meet: deadlocks, serialization failures, and an event that fails whenever it is tried."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from services.enrolment.journal import _lock_key
from tests.faults.cohorts import owner
from tests.faults.conftest import River, centre
from tests.faults.events import effects, meanwhile, over_nats
from tests.faults.moments import Superuser, in_the_commit, raising, superuser
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(180)]


@pytest.fixture
def session(river: River) -> Iterator[Superuser]:
    with superuser(river.sampan.postgres) as made:
        yield made


def deadlocks(session: Superuser) -> int:
    (number,) = session.ask(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = 'sampan' AND pg_stat_clear_snapshot() IS NOT NULL"
    )
    return int(number)


@pytest.mark.long
def test_a_deadlock_that_a_service_loses_is_done_again(river: River, session: Superuser) -> None:
    """It waits in its commit for the test, and the test for the row that it holds: PostgreSQL ends the service's transaction."""
    event, before = river.new_event("enrolment"), deadlocks(session)
    session.do("SET deadlock_timeout = '60s'")  # the other one looks first, and loses
    answers: list[int] = []
    with (
        in_the_commit(session, "enrolment", "events", patience="4s") as moment,
        meanwhile(lambda: answers.append(river.post(event).status_code)),
    ):
        moment.reached()
        session.do("UPDATE enrolment.outbox_head SET position = position WHERE id = 1")
        moment.pass_by()
    assert answers == [200]
    eventually(lambda: deadlocks(session) == before + 1, "there was no deadlock")
    river.assert_nothing_lost([event])
    assert effects(session, event) == 1


@pytest.mark.parametrize("state", ["40001", pytest.param("40P01", marks=pytest.mark.long)])
@pytest.mark.parametrize("service", ["enrolment", pytest.param("certification", marks=pytest.mark.long)])
def test_a_conflict_of_transactions_is_done_again(river: River, session: Superuser, service: str, state: str) -> None:
    event = river.new_event(service)
    with raising(session, service, "events", f"NEW.id = '{event['id']}'", state, times=3):
        answer = river.post_to(service, event)
    assert answer.json()["receipts"][0]["status"] == "accepted"
    assert effects(session, event) == 1


@pytest.mark.long
def test_a_conflict_that_never_ends_is_said_and_costs_nobody_else(river: River, session: Superuser) -> None:
    event, other = river.new_event("enrolment"), river.new_event("enrolment")
    with raising(session, "enrolment", "events", f"NEW.id = '{event['id']}'", "40001"):
        late = river.post(event)
        assert (late.status_code, late.json()["code"]) == (503, "unavailable")
        assert int(late.headers["Retry-After"]) > 0
        assert river.post(other).status_code == 200
    assert river.post(event).json()["receipts"][0]["status"] == "accepted"
    river.assert_nothing_lost([event, other])


@pytest.mark.long
def test_two_that_name_the_same_things_in_opposite_order_never_meet(river: River, session: Superuser) -> None:
    """Locks of cohorts are taken in one order, whatever the order in which events name them: both wait, and both get them."""
    before, wrong = deadlocks(session), list[str]()
    cohorts = [f"both-{place}" for place in range(5)]

    def post(number: str, order: int) -> None:
        answer = river.post_to("enrolment", [proposed(cohort, number) for cohort in cohorts[::order]], "batch")
        if {one["status"] for one in answer.json()["receipts"]} != {"waiting"}:
            wrong.append(answer.text)

    workers = [threading.Thread(target=post, args=one) for one in (("001", 1), ("002", -1))]
    held = _lock_key(f"cohort/{cohorts[2]}")
    session.do(f"SELECT pg_advisory_lock({held})")
    try:
        for worker in workers:
            worker.start()
        eventually(lambda: waiting(session) == 2, "they do not wait for the cohort in their middle")
    finally:
        session.do(f"SELECT pg_advisory_unlock({held})")
        for worker in workers:
            worker.join()
    assert wrong == []
    told = time.monotonic() + 2  # PostgreSQL counts a deadlock up to a second after it
    eventually(lambda: time.monotonic() > told or deadlocks(session) > before, "")
    assert deadlocks(session) == before
    assert river.check() == []


def proposed(cohort: str, number: str) -> dict[str, Any]:
    """For a cohort of which nobody has heard."""
    data = {"cohort": cohort, "number": number, "role": "student", "country": "LA", "trade": "one"}
    return {**centre(cohort), "id": f"{cohort}-{number}", "type": "trainee.proposed.v1", "data": data}


def waiting(session: Superuser) -> int:
    (number,) = session.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return int(number)


def letters(river: River, service: str) -> list[dict[str, Any]]:
    answer = river.http.get(f"{river.sampan.urls[service]}/v1/deadletters")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def replayed(river: River, service: str) -> None:
    """An administrator has the dead letters handled again, now that nothing is wrong."""
    for letter in letters(river, service):
        river.http.post(f"{river.sampan.urls[service]}/v1/deadletters/{letter['id']}/replay").raise_for_status()
    assert letters(river, service) == []


@pytest.mark.parametrize("service", ["enrolment", pytest.param("certification", marks=pytest.mark.hurts)])
def test_a_message_that_always_fails_becomes_a_dead_letter_alone(
    river: River, session: Superuser, recoveries: Recoveries, service: str
) -> None:
    first, poison, last = (river.new_event(service) for _ in range(3))
    with raising(session, service, "events", f"NEW.id = '{poison['id']}'", "22000"):
        for event in (first, poison, last):
            over_nats(river, event)
        took = eventually(lambda: len(letters(river, service)) == 1, "it is no dead letter", 60)
        eventually(lambda: effects(session, last) == effects(session, first) == 1, "its neighbours wait")
        assert effects(session, poison) == 0
        river.assert_nothing_lost([first, last])
    recoveries.tell(f"a message that always fails at {service}", took)
    replayed(river, service)
    eventually(river.all_ready, river.say)
    river.assert_nothing_lost([first, poison, last])
    assert effects(session, poison) == 1


@pytest.mark.long
def test_a_fact_that_always_fails_holds_up_nothing_for_long_and_is_missed_by_the_check(
    river: River, session: Superuser, recoveries: Recoveries
) -> None:
    poison, after = river.new_event("enrolment"), river.new_event("enrolment")
    with raising(session, "reporting", "registered", f"NEW.key = '{poison['data']['centre']}'", "22000"):
        river.post(poison)
        upto = river.post(after).json()["position"]["ENROLMENT"]
        took = eventually(lambda: position(river) >= upto, "the next fact waits", 60)
        assert [one["which"] for one in river.check() if one["service"] == "reporting"]
    recoveries.tell("a fact that always fails", took)
    replayed(river, "reporting")
    eventually(river.all_ready, river.say)
    river.assert_nothing_lost([poison, after])
    assert owner(poison) == "enrolment"


def position(river: River) -> int:
    answer = river.http.get(f"{river.sampan.urls['reporting']}/v1/position")
    return int(answer.json()["position"]["ENROLMENT"])
