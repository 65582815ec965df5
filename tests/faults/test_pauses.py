"""Parts that live and do not answer: paused (SIGSTOP, `docker pause`), swapped out, or waiting for a disk."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from services.processes import free_port
from services.standalone import Service
from shared.database import IDLE_HOLDER_SECONDS, Database
from shared.subscriptions import ACK_WAIT_SECONDS
from tests.e2e.conftest import ROOT
from tests.faults.conftest import River, centre
from tests.faults.events import deliveries, effects, in_the_intake, over_nats
from tests.faults.moments import in_the_commit, superuser
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(180)]


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process and its children, stopped in the middle of whatever they do."""
    process = psutil.Process(pid)
    stopped = [process, *process.children(recursive=True)]
    for one in stopped:
        one.suspend()
    try:
        yield
    finally:
        for one in stopped:
            one.resume()


@contextmanager
def second(river: River, name: str) -> Iterator[str]:
    """A second copy of a service, as `--scale` makes it; its address."""
    log = river.sampan.folder / "logs" / f"{name}-2.log"
    with Service(name, free_port(), log, river.sampan._settings(name)) as copy:
        eventually(lambda: copy.unready() is None, "the copy does not become ready")
        yield f"http://127.0.0.1:{copy.port}"


@pytest.mark.long
def test_a_leader_that_is_paused_loses_its_place_and_wakes_up_harmless(river: River) -> None:
    with ExitStack() as stack:
        enrolment = stack.enter_context(second(river, "enrolment"))
        reporting = stack.enter_context(second(river, "reporting"))

        def post(number: str) -> int:
            answer = river.http.post(f"{enrolment}/v1/events", json=centre(number), headers=kind)
            assert answer.status_code == 200
            return int(answer.json()["position"]["ENROLMENT"])

        def heard(upto: int) -> bool:
            answer = river.http.get(f"{reporting}/v1/position")
            return int(answer.json()["position"]["ENROLMENT"]) >= upto

        kind = {"Content-Type": "application/cloudevents+json"}
        upto = post("both-awake")
        eventually(lambda: heard(upto), "nothing moves")
        with paused(river.service("enrolment").pid), paused(river.service("reporting").pid):
            upto = post("one-paused")
            took = eventually(lambda: heard(upto), "the paused ones hold their places", IDLE_HOLDER_SECONDS + 15)
            assert took > 1, "those that were paused relayed and projected, or this shows nothing"
            for copy in (enrolment, reporting):
                eventually(lambda: httpx.get(f"{copy}/readyz").status_code == 200, "the copy is not ready")  # noqa: B023
        upto = post("awake-again")
        eventually(lambda: heard(upto), "nothing moves")
        eventually(river.all_ready, river.say)
        river.assert_nothing_lost([centre(number) for number in ("both-awake", "one-paused", "awake-again")])
    eventually(river.all_ready, river.say)


@pytest.mark.hurts
@pytest.mark.parametrize("service", ["enrolment", "certification"])
def test_a_service_that_is_paused_for_longer_than_the_broker_waits(
    river: River, recoveries: Recoveries, service: str
) -> None:
    """In the middle of its commit: the broker delivers to another copy, and the event has one effect."""
    event, before = river.new_event(service), deliveries(river, service)
    with superuser(river.sampan.postgres) as session:
        with in_the_commit(session, service, "events") as moment:
            over_nats(river, event)
            moment.reached()
            with second(river, service), paused(river.service(service).pid):
                again = before + 2
                waits = ACK_WAIT_SECONDS + 10
                eventually(lambda: deliveries(river, service) >= again, "it is not delivered to the other copy", waits)
            began = time.monotonic()
        eventually(lambda: in_the_intake(river) == 0, "it is delivered for ever", 60)
        eventually(river.all_ready, river.say)
        recoveries.tell(f"{service} paused for longer than the broker waits", time.monotonic() - began)
        river.assert_nothing_lost([event])
        assert effects(session, event) == 1


HOLDER = """
import asyncio, os, signal, sys
from sqlalchemy import text
from shared.database import Database

async def hold():
    async with Database(sys.argv[1], "enrolment").alone("a long answer") as connection:
        print("held", flush=True)
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGSTOP)
        await connection.execute(text("SELECT repeat('x', 1000000) FROM generate_series(1, 2000)"))

asyncio.run(hold())
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_a_holder_that_is_paused_in_the_middle_of_an_answer_loses_its_lock_too(river: River) -> None:
    """Its session is not idle: the server waits until it takes the rest, and its kernel answers every probe."""
    database = river.sampan.postgres.url("enrolment")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, database], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    async def free() -> bool:
        other = Database(database, "enrolment")
        try:
            async with other.alone("a long answer") as lock:
                return lock is not None
        finally:
            await other.close()

    eventually(lambda: psutil.Process(holder.pid).status() == psutil.STATUS_STOPPED, "it was not paused")
    assert not asyncio.run(free())
    eventually(lambda: asyncio.run(free()), "it holds its lock")
    holder.kill()
    holder.wait()


@pytest.mark.long
def test_a_database_that_hangs_is_said_in_time(river: River) -> None:
    with river.posting("hanging") as poster:
        eventually(lambda: bool(poster.accepted), "no POST was answered")
        with paused(river.sampan.postgres.pid):
            for name in river.sampan.urls:
                began = time.monotonic()
                problems = river.problems(name)
                assert time.monotonic() - began < 4.5
                assert any("database does not answer" in problem for problem in problems)
            began = time.monotonic()
            late = river.post(centre("late"))
            assert late.status_code == 503
            assert int(late.headers["Retry-After"]) > 0
            assert time.monotonic() - began < 15
        number = len(poster.accepted)
        eventually(lambda: len(poster.accepted) > number, "POST does not work again")
    eventually(river.all_ready, river.say)
