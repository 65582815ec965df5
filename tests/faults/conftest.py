"""The whole program with parts that a test may kill and start: nobody else brings them back."""

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.client import Client
from services.standalone import Service, Standalone
from services.upkeep import check
from tests.e2e.conftest import environment

SERVICES = ("enrolment", "certification", "reporting")
BACK_SECONDS = 45


def eventually(holds: Callable[[], bool], what: Callable[[], object] | str, seconds: float = BACK_SECONDS) -> float:
    """Wait until it holds; how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, what if isinstance(what, str) else what()
        time.sleep(0.05)  # polls with a deadline
    return time.monotonic() - began


def centre(number: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"centre-{number}",
        "source": "/offices/la/tvet",
        "type": "centre.registered.v1",
        "time": "2026-03-02T09:00:00+07:00",
        "data": {"centre": f"c-{number}", "country": "LA", "kind": "training-institute", "names": {"en": number}},
    }


class Poster:
    """Posts one event after the other and keeps what it was answered."""

    def __init__(self, post: Callable[[dict[str, Any]], httpx.Response], name: str) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.put_off = 0
        self.wrong: list[str] = []
        self._post = post
        self._name = name
        self._ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._ended.wait(0.02):
            event = centre(f"{self._name}-{number}")
            try:
                answer = self._post(event)
            except httpx.TransportError as error:
                self.wrong.append(type(error).__name__)
                continue
            if answer.status_code == 200 and answer.json()["receipts"][0]["status"] in {"accepted", "duplicate"}:
                self.accepted.append(event)
                number += 1
            elif answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0:
                self.put_off += 1  # and the same event again
            else:
                self.wrong.append(f"{answer.status_code} {answer.text}")

    def end(self) -> None:
        self._ended.set()


class River:
    """A running Sampan and what its doors say."""

    def __init__(self, sampan: Standalone) -> None:
        self.sampan = sampan
        self.http = httpx.Client(headers={"Authorization": f"Bearer {sampan.admin_token}"}, timeout=30)

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
        kind = {"Content-Type": "application/cloudevents+json"}
        return self.http.post(f"{self.sampan.urls['enrolment']}/v1/events", content=json.dumps(event), headers=kind)

    @contextmanager
    def posting(self, name: str) -> Iterator[Poster]:
        """Post all the while; afterwards nothing that was acknowledged is lost, and all services agree with each other."""
        poster = Poster(self.post, name)
        thread = threading.Thread(target=poster.run)
        thread.start()
        try:
            yield poster
        finally:
            poster.end()
            thread.join()
        assert poster.wrong == []
        assert poster.accepted
        self.assert_nothing_lost(poster.accepted)

    def assert_nothing_lost(self, accepted: list[dict[str, Any]]) -> None:
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        for start in range(0, len(accepted), 500):
            batch = json.dumps(accepted[start : start + 500])
            answer = self.http.post(f"{self.sampan.urls['enrolment']}/v1/events", content=batch, headers=kind)
            assert {receipt["status"] for receipt in answer.json()["receipts"]} == {"duplicate"}
        with Client(self.sampan.urls["enrolment"], self.sampan.admin_token) as client:
            assert check(client, lambda _: None) == []

    def metric(self, service: str, name: str) -> float:
        text = self.http.get(f"{self.sampan.urls[service]}/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def log(self, service: str) -> str:
        return self.service(service).log.read_text()


@pytest.fixture(scope="session")
def river() -> Iterator[River]:
    folder = Path(tempfile.gettempdir()) / f"sampan-faults-{secrets.token_hex(4)}"
    with Standalone(folder, dict(os.environ) | environment()) as sampan:
        running = River(sampan)
        yield running
        running.http.close()
    shutil.rmtree(folder, ignore_errors=True)
