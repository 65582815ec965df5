"""What the command line does when a service says that this office sends too much: it waits, and sends again."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.client import ATTEMPTS, Client
from services.errors import ClientError
from services.rosters import Wishes, read_roster
from tests.sheets import a_trainee, as_csv

BUSY = (429, {"Retry-After": "0"}, {"code": "too_many", "message": "Wait a little."})


class Service(ThreadingHTTPServer):
    """A service that gives these answers to rosters, one after the other, and remembers what it was sent."""

    def __init__(self, answers: list[tuple[int, dict[str, str], Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answers = answers
        self.bodies: list[bytes] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Answering(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self._answer(200, {}, {"enrolment": self.server.url, "certification": self.server.url})

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(*self.server.answers.pop(0))

    def _answer(self, status: int, headers: dict[str, str], content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service([]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(service: Service, folder: Path) -> list[dict[str, Any]]:
    file = folder / "roster.csv"
    file.write_bytes(as_csv([a_trainee("01")]))
    with Client(service.url, "token") as client:
        return [line for _, line in read_roster(file, Wishes()).post(client, Wishes())]


def test_given_a_busy_service_when_a_roster_is_posted_then_it_is_sent_again(service: Service, tmp_path: Path) -> None:
    service.answers = [BUSY, (503, {}, {"message": "Starting."}), (200, {}, {"line": "end"})]

    assert post(service, tmp_path) == [{"line": "end"}]

    assert len(service.bodies) == 3
    assert len(set(service.bodies)) == 1


def test_given_a_service_that_stays_busy_when_a_roster_is_posted_then_its_sentence_is_told(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "pause", lambda *_: None)
    service.answers = [BUSY] * ATTEMPTS

    with pytest.raises(ClientError, match="Wait a little"):
        post(service, tmp_path)


def test_given_a_refusal_when_a_roster_is_posted_then_it_is_sent_once(service: Service, tmp_path: Path) -> None:
    service.answers = [(403, {}, {"code": "source_not_yours", "message": "That is another office."})]

    with pytest.raises(ClientError, match="another office"):
        post(service, tmp_path)

    assert len(service.bodies) == 1
