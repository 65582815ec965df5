"""A service killed (`kill -9`) at each moment that matters: before the commit, after it, before the ack, before publishing.

The moments are found from outside: in PostgreSQL, which waits within the commit, and on the way to the broker, where the words of
the ack or of the publishing are the last that the service says and never arrive.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.faults.conftest import SERVICES, River
from tests.faults.events import effects, meanwhile, over_nats, owner
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
TWICE = """
    SELECT count(*) FROM certification.certificates
    GROUP BY enrolment, scheme, data ->> 'occupation', data ->> 'level', data ->> 'edition'
"""
SHORT = {("before the commit", "certification"), ("before the ack", "enrolment"), ("before publishing", "enrolment")}


@pytest.fixture
def session(river: River) -> Iterator[Superuser]:
    with superuser(river.sampan.postgres) as made:
        yield made


def back(river: River, session: Superuser, service: str, event: dict[str, Any], killed: float) -> float:
    """Start the service again; the event has its one effect, everywhere. Seconds from the kill until then."""
    assert "no answer" in (river.service(service).unready() or ""), "a dead service does not say that it is ready"
    river.service(service).start()
    eventually(lambda: river.service(service).unready() is None, f"{service} did not come back", 90)
    assert river.post_to(owner(event), event).json()["receipts"][0]["status"] in {"accepted", "duplicate"}
    eventually(river.all_ready, river.say)
    took = time.monotonic() - killed
    river.assert_nothing_lost([event], owner(event))
    assert effects(session, event) == 1
    assert set(session.ask(TWICE)) == {1}, "a certificate is there twice"
    return took


def parameters(moment: str) -> Any:
    return [
        pytest.param(service, marks=() if (moment, service) in SHORT else pytest.mark.hurts, id=service)
        for service in SERVICES
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
        query = f"SELECT count(*) FROM {service}.events WHERE id = $1"  # noqa: S608
        eventually(lambda: session.ask(query, event["id"]) == [1], "it is not committed")
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
