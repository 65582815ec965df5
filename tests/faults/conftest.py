"""The whole program with parts that a test may kill and start: nobody else brings them back."""

import json
import math
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, product
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.client import Client
from services.standalone import Service, Standalone
from services.upkeep import check
from tests.e2e.conftest import environment
from tests.faults.cohorts import TRAINEES, cohorts, example, owner
from tests.faults.moments import superuser
from tests.faults.patience import BACK_SECONDS
from tests.faults.recoveries import Recoveries
from tests.faults.ways import Way

SERVICES = ("enrolment", "certification", "reporting")
APPRAISAL, TVET = "/offices/cn/wuxi-appraisal", "/offices/la/tvet"
TWICE = """
    SELECT one.certificate FROM certification.certificates AS one
    JOIN certification.trainees AS its ON its.enrolment = one.enrolment
    JOIN certification.trainees AS others ON others.person = its.person
    JOIN certification.certificates AS other ON other.enrolment = others.enrolment AND other.certificate > one.certificate
    WHERE one.status IN ('issued', 'suspended') AND other.status IN ('issued', 'suspended')
    AND (one.scheme, one.data ->> 'occupation', one.data ->> 'level')
        = (other.scheme, other.data ->> 'occupation', other.data ->> 'level')
    AND daterange((one.data ->> 'awarded_on')::date, (one.data ->> 'valid_until')::date, '[]')
        && daterange((other.data ->> 'awarded_on')::date, (other.data ->> 'valid_until')::date, '[]')
"""
"""Live certificates of a person that has another of the same award on the same day."""
EFFECTS = """
    SELECT (SELECT count(*) FROM enrolment.outbox WHERE CAST(body AS jsonb) ->> 'cause' = asked.cause)
    FROM unnest($1::text[]) AS asked (cause)
"""
"""How many facts each of these events has caused."""
ISSUED = """
    WITH facts AS (SELECT position, CAST(body AS jsonb) -> 'data' AS data FROM certification.outbox
                   WHERE subject LIKE 'certification.certificate.%'),
         steps AS (SELECT data, lag(data ->> 'status') OVER (PARTITION BY data ->> 'certificate' ORDER BY position) AS before
                   FROM facts WHERE data ->> 'cohort' = ANY($1::text[]))
    SELECT (data ->> 'cohort') || '/' || (data ->> 'trainee') FROM steps
    WHERE data ->> 'status' = 'issued' AND before IS DISTINCT FROM 'issued'
"""
"""Whose certificate was issued, as often as one was."""
KEPT = {"accepted", "duplicate", "waiting", "conflict"}
"""What becomes of an event that is taken: what it rests on may not have been heard of yet."""
KINDS = {"one": "application/cloudevents+json", "batch": "application/cloudevents-batch+json"}


def centre(number: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"centre-{number}",
        "source": "/offices/la/tvet",
        "type": "centre.registered.v1",
        "time": "2026-03-02T09:00:00+07:00",
        "data": {"centre": f"c-{number}", "country": "LA", "kind": "training-institute", "names": {"en": number}},
    }


def awards() -> Iterator[dict[str, Any]]:
    """Certificates that the example's trainees have not been awarded yet, and each of which moves figures: of two occupations
    on one day the smaller one is counted, and it comes second."""
    levels = (
        "apprentice",
        "senior",
        "technician",
        "senior-technician",
        "special",
        "chief",
    )  # theirs are the two between
    for level, occupation, number in product(levels, ("6-31-01-03", "4-04-02-02"), range(1, 8)):
        said = {"cohort": "wuxi-2025-spring", "number": f"{number:03}", "scheme": "cn-vslc", "occupation": occupation}
        yield {
            "specversion": "1.0",
            "id": f"awarded-{number}-{occupation}-{level}",
            "source": APPRAISAL,
            "type": "certificate.awarded.v1",
            "time": "2025-05-13T14:00:00+08:00",
            "data": {**said, "level": level, "date": "2025-05-13"},
        }


class Routed(Standalone):
    """The whole program, each service's connections leading through a way of the test's."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, environment)
        self.to_nats = {name: Way(lambda: self.nats.port) for name in SERVICES}
        self.to_postgres = {name: Way(lambda: self.postgres.port or 0) for name in SERVICES}

    def _settings(self, service: str) -> dict[str, str]:
        settings = super()._settings(service)
        for name, to, ways in (
            ("SAMPAN_NATS_URL", self.nats.port, self.to_nats),
            ("SAMPAN_DATABASE_URL", self.postgres.port, self.to_postgres),
        ):
            settings[name] = settings[name].replace(f":{to}", f":{ways[service].port}")
        return settings


class Poster:
    """Posts cohort after cohort, one event after the other, to the service that takes it, and keeps what it was answered."""

    def __init__(self, post: Callable[[dict[str, Any]], httpx.Response], name: str, *, breaking: bool = False) -> None:
        """``breaking`` says that the service itself will die: an answer that does not come is then no wonder."""
        self._breaking = breaking
        self.accepted: list[dict[str, Any]] = []
        self.cohorts: list[str] = []
        """Those of which everything was accepted."""
        self.put_off = 0
        self.wrong: list[str] = []
        self._post = post
        self._name = name
        self._ended = threading.Event()
        self._patience = math.inf

    def run(self) -> None:
        """Until it is to end; the cohort that it then posts is finished."""
        for cohort in cohorts(self._name):
            for event in cohort:
                while not self._accepts(event):
                    if self._ended.is_set() and time.monotonic() > self._patience:
                        self.wrong.append(f"{event['id']} is not accepted")
                        return
                self.accepted.append(event)
            self.cohorts.append(cohort[0]["data"]["cohort"])
            if self._ended.is_set():
                return

    def _accepts(self, event: dict[str, Any]) -> bool:
        time.sleep(0.02)  # leaves the others some of the processor
        try:
            answer = self._post(event)
        except httpx.TransportError as error:
            if self._breaking:
                self.put_off += 1
            else:
                self.wrong.append(type(error).__name__)
            return False
        if answer.status_code == 200 and answer.json()["receipts"][0]["status"] in KEPT:
            return True
        if answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0:
            self.put_off += 1  # and the same event again
        else:
            self.wrong.append(f"{answer.status_code} {answer.text}")
        return False

    def end(self) -> None:
        self._patience = time.monotonic() + BACK_SECONDS
        self._ended.set()


class River:
    """A running Sampan and what its doors say."""

    def __init__(self, sampan: Routed) -> None:
        self.sampan = sampan
        self.http = httpx.Client(headers={"Authorization": f"Bearer {sampan.admin_token}"}, timeout=30)
        self._awards = awards()
        self._numbers = count(1)

    def begin(self) -> None:
        """The example, and two offices that may post over NATS."""
        for office, role in ((APPRAISAL, "awarding-body"), (TVET, "coordinator")):
            new = {"office": office, "name": office, "roles": [role], "officer": "somebody"}
            self.http.post(f"{self.sampan.urls['enrolment']}/v1/offices", json=new).raise_for_status()
        with Client(self.sampan.urls["enrolment"], self.sampan.admin_token) as client:
            client.wait_until_reported()
        events = example()
        for service in ("enrolment", "certification"):
            its = [event for event in events if owner(event) == service]
            answer = self.post_to(service, its, "batch")
            assert answer.status_code == 200, answer.text
        assert self.check() == []

    def new_event(self, service: str) -> dict[str, Any]:
        """One that nobody has posted yet, and that changes what the service and those after it hold."""
        return next(self._awards) if service == "certification" else centre(f"new-{next(self._numbers)}")

    def service(self, name: str) -> Service:
        return next(service for service in self.sampan.services if service.name == name)

    def pids(self) -> list[int]:
        return [service.pid for service in self.sampan.services if service.alive]

    def problems(self, service: str) -> list[str]:
        """What the service says is wrong; it must be alive to say so."""
        assert self.http.get(f"{self.sampan.urls[service]}/livez").status_code == 200
        answer = self.http.get(f"{self.sampan.urls[service]}/readyz")
        said: dict[str, Any] = answer.json()
        assert (answer.status_code == 200) == said["ready"] == (not said["problems"])
        return list(said["problems"])

    def all_say(self, word: str) -> bool:
        return all(any(word in problem for problem in self.problems(service)) for service in SERVICES)

    def all_ready(self) -> bool:
        return not any(self.problems(service) for service in SERVICES)

    def say(self) -> dict[str, list[str]]:
        return {service: self.problems(service) for service in SERVICES}

    def post(self, event: dict[str, Any]) -> httpx.Response:
        return self.post_to("enrolment", event)

    def post_to(self, service: str, said: Any, kind: str = "one") -> httpx.Response:
        headers = {"Content-Type": KINDS[kind]}
        return self.http.post(f"{self.sampan.urls[service]}/v1/events", content=json.dumps(said), headers=headers)

    @contextmanager
    def posting(self, name: str, *, breaking: bool = False) -> Iterator[Poster]:
        """Post all the while; afterwards nothing that was acknowledged is lost or done twice, and all services agree."""
        poster = Poster(lambda event: self.post_to(owner(event), event), name, breaking=breaking)
        thread = threading.Thread(target=poster.run)
        thread.start()
        try:
            yield poster
        finally:
            poster.end()
            thread.join()
        assert poster.wrong == []
        assert poster.cohorts
        self.assert_nothing_lost(poster.accepted)
        self._assert_done_once(poster)

    def assert_nothing_lost(self, accepted: list[dict[str, Any]]) -> None:
        """Each is known where it was posted, nobody has a certificate twice, and the services agree with each other."""
        for service in ("enrolment", "certification"):
            its = [event for event in accepted if owner(event) == service]
            for start in range(0, len(its), 500):
                receipts = self.post_to(service, its[start : start + 500], "batch").json()["receipts"]
                assert {receipt["status"] for receipt in receipts} == {"duplicate"}
        with superuser(self.sampan.postgres) as session:
            assert session.ask(TWICE) == [], "somebody has two certificates of one award"
        assert self.check() == []

    def _assert_done_once(self, poster: Poster) -> None:
        """Every event stands, those of enrolment's with one fact; every trainee was issued one certificate, counted once."""
        for service in ("enrolment", "certification"):
            its = [one for one in poster.accepted if owner(one) == service]
            for receipt in self.post_to(service, its, "batch").json()["receipts"]:
                assert receipt["current"]["status"] == "accepted", receipt
        with superuser(self.sampan.postgres) as session:
            causes = [f"{one['source']}/{one['id']}" for one in poster.accepted if owner(one) == "enrolment"]
            assert session.ask(EFFECTS, causes) == [1] * len(causes)
            issued = session.ask(ISSUED, poster.cohorts)
        assert sorted(issued) == sorted(f"{cohort}/{number}" for cohort in poster.cohorts for number in TRAINEES)
        for cohort in poster.cohorts:
            report = f"{self.sampan.urls['reporting']}/v1/aggregates?measure=certified&cohort={cohort}"
            assert self.http.get(report).raise_for_status().json()["totals"]["certified"] == len(TRAINEES)

    def check(self) -> list[dict[str, str]]:
        """What `sampan check` finds."""
        with Client(self.sampan.urls["enrolment"], self.sampan.admin_token) as client:
            return check(client, lambda _: None)

    def metric(self, service: str, name: str) -> float:
        text = self.http.get(f"{self.sampan.urls[service]}/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def log(self, service: str) -> str:
        return self.service(service).log.read_text()


@pytest.fixture(scope="package")
def river() -> Iterator[River]:
    folder = Path(tempfile.gettempdir()) / f"sampan-faults-{secrets.token_hex(4)}"
    with Routed(folder, dict(os.environ) | environment()) as sampan:
        running = River(sampan)
        running.begin()
        yield running
        running.http.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def recoveries(record_property: Callable[[str, object], None]) -> Recoveries:
    return Recoveries(record_property)
