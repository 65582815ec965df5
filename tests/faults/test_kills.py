"""A service killed (`kill -9`) at each moment that matters: before the commit, after it, before the ack, before publishing.

The moments are found from outside: in PostgreSQL, which waits within the commit, and on the way to the broker, where the words of
the ack or of the publishing are the last that the service says and never arrive.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.faults.cohorts import owner
from tests.faults.conftest import SERVICES, River
from tests.faults.events import effects, meanwhile, over_nats
from tests.faults.moments import Superuser, in_the_commit, superuser
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240)]

FIRST_TABLE = {"enrolment": "events", "certification": "events", "reporting": "heard"}
ACKS = {
    "enrolment": b"PUB $JS.ACK.INTAKE.enrolment.",
    "certification": b"PUB $JS.ACK.INTAKE.certification.",
    "reporting": b"PUB $JS.ACK.CERTIFICATION.reporting.",
}
PUBLISHES = {"enrolment": b"HPUB enrolment.", "certification": b"HPUB certification.", "reporting": b"HPUB changes."}
SHORT = {
    ("before the commit", "certification"),
    ("before the commit of a message", "enrolment"),
    ("before the ack", "enrolment"),
    ("before publishing", "enrolment"),
}


@pytest.fixture
def session(river: River) -> Iterator[Superuser]:
    with superuser(river.sampan.postgres) as made:
        yield made


def start(river: River, service: str) -> None:
    """Again, if that has not been done."""
    if not river.service(service).alive:
        assert "no answer" in (river.service(service).unready() or ""), "a dead service says that it is ready"
        river.service(service).start()
    eventually(lambda: river.service(service).unready() is None, f"{service} did not come back", 90)


def back(river: River, session: Superuser, service: str, event: dict[str, Any], killed: float) -> float:
    """Start the service again; the event has its one effect, everywhere. Seconds from the kill until then."""
    start(river, service)
    assert river.post_to(owner(event), event).json()["receipts"][0]["status"] in {"accepted", "duplicate"}
    eventually(river.all_ready, river.say)
    took = time.monotonic() - killed
    river.assert_nothing_lost([event])
    assert effects(session, event) == 1
    return took


def taken(session: Superuser, service: str, event: dict[str, Any]) -> bool:
    """Whether it is in the service's journal."""
    return session.ask(f"SELECT id FROM {service}.events WHERE id = $1", event["id"]) == [event["id"]]  # noqa: S608


def parameters(moment: str, services: Iterable[str] = SERVICES) -> Any:
    return [
        pytest.param(service, marks=() if (moment, service) in SHORT else pytest.mark.hurts, id=service)
        for service in services
    ]


@pytest.mark.parametrize("service", parameters("before the commit"))
def test_killed_before_the_commit(river: River, session: Superuser, recoveries: Recoveries, service: str) -> None:
    event = river.new_event(service)
    with (
        in_the_commit(session, service, FIRST_TABLE[service]) as moment,
        meanwhile(lambda: river.post_to(owner(event), event)),
    ):
        moment.reached()
        river.service(service).kill()
        killed = time.monotonic()
        moment.undo()
    recoveries.tell(f"{service} killed before the commit", back(river, session, service, event, killed))


@pytest.mark.parametrize("service", parameters("before the commit of a message", ("enrolment", "certification")))
def test_killed_before_the_commit_of_a_message(
    river: River, session: Superuser, recoveries: Recoveries, service: str
) -> None:
    """What the broker holds is acked when it is committed, not before: it is delivered again, and nobody posts it again."""
    event = river.new_event(service)
    with in_the_commit(session, service, "events") as moment:
        over_nats(river, event)
        moment.reached()
        river.service(service).kill()
        killed = time.monotonic()
        moment.undo()
    start(river, service)
    eventually(lambda: taken(session, service, event), "what the broker acknowledged is lost", 90)
    recoveries.tell(f"{service} killed before the commit of a message", back(river, session, service, event, killed))


@pytest.mark.parametrize("service", parameters("after the commit"))
def test_killed_after_the_commit(river: River, session: Superuser, recoveries: Recoveries, service: str) -> None:
    """It is true, and nobody was told: neither the caller nor the broker."""
    event = river.new_event(service)
    with (
        in_the_commit(session, service, FIRST_TABLE[service]) as moment,
        meanwhile(lambda: river.post_to(owner(event), event)),
    ):
        moment.reached()
        river.service(service).kill()
        killed = time.monotonic()
    eventually(lambda: not moment.waiting(), "the database does not commit for the dead")
    if service != "reporting":
        eventually(lambda: taken(session, service, event), "it is not committed")
    recoveries.tell(f"{service} killed after the commit", back(river, session, service, event, killed))


@pytest.mark.parametrize("service", parameters("before the ack"))
def test_killed_before_the_ack(river: River, session: Superuser, recoveries: Recoveries, service: str) -> None:
    """The broker delivers again what is done already."""
    event = river.new_event("certification" if service == "reporting" else service)
    with river.sampan.to_nats[service].killing(river.service(service).pid, ACKS[service]) as sprung:
        over_nats(river, event)
        assert sprung.wait(60), "nothing was acked"
        killed = time.monotonic()
        eventually(lambda: not river.service(service).alive, "it was not killed")
    recoveries.tell(f"{service} killed before the ack", back(river, session, service, event, killed))


@pytest.mark.parametrize("service", parameters("before publishing"))
def test_killed_before_publishing(river: River, session: Superuser, recoveries: Recoveries, service: str) -> None:
    """It is answered, and the facts are only in the journal."""
    event = river.new_event("certification" if service == "reporting" else service)
    with ExitStack() as stack:
        way = river.sampan.to_nats[service]
        sprung = stack.enter_context(way.killing(river.service(service).pid, PUBLISHES[service]))
        stack.enter_context(meanwhile(lambda: river.post_to(owner(event), event)))
        assert sprung.wait(60), "nothing was published"
        killed = time.monotonic()
        eventually(lambda: not river.service(service).alive, "it was not killed")
    recoveries.tell(f"{service} killed before publishing", back(river, session, service, event, killed))
