"""`sampan post` of bundles as they come in life: saved in another program, damaged on the way, with keys that ended since."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.cli import app
from services.errors import ClientError
from shared.bundles import Roster, Signer, opened_roster
from tests.sheets import a_trainee, as_csv
from tests.unit.enrolment.story import proposed

MARK = b"\xef\xbb\xbf"
REVOKED = "revoked.csv"


@pytest.fixture
def signer(credentials: Path) -> Signer:
    return Signer(credentials.read_text())


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def roster(signer: Signer, name: str) -> bytes:
    return signer.roster_line(Roster(name, as_csv([a_trainee()]), datetime.now(UTC), sheets=["Trainees"]))


class Takes(BaseHTTPRequestHandler):
    """Answers as the services do: every event is taken, and every roster but the one whose signer is not known any more."""

    server: "Server"

    def do_GET(self) -> None:
        self._answer(200, json.dumps(dict.fromkeys(("enrolment", "certification"), self.server.address)))

    def do_POST(self) -> None:
        lines = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
        if self.path != "/v1/bundles/rosters":
            self.server.events += [json.loads(json.loads(line)["event"])["id"] for line in lines]
            receipt = {"id": "x", "status": "accepted", "code": "applied", "sentence": "x"}
            self._answer(200, json.dumps({"receipts": [receipt] * len(lines), "position": {}}))
            return
        name = opened_roster(lines[0])[1].name
        if name == REVOKED:
            self._answer(403, json.dumps({"code": "signer_unknown", "message": "Nobody here has that key."}))
            return
        self.server.rosters.append(name)
        self._answer(200, json.dumps({"line": "end", "counts": {"accepted": 1}, "changes": {}, "accept": {}}) + "\n")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    """A server on this machine, and what it took."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Takes)
        self.events: list[str] = []
        self.rosters: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def given(self, *command: Path | str) -> Result:
        """What becomes of a `sampan post` to it."""
        return CliRunner().invoke(app, ["post", *map(str, command), "--server", self.address, "--token", "t"])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_given_bundles_joined_on_windows_when_posted_then_no_roster_is_lost_for_the_marks(
    tmp_path: Path, signer: Signer, credentials: Path, server: Server
) -> None:
    bundle, copy = tmp_path / "bundle.ndjson", tmp_path / "copy.ndjson"
    bundle.write_bytes(b"".join(MARK + roster(signer, name) + b"\r\n" for name in ("one.csv", "two.csv")))

    run = server.given(bundle)
    copied = server.given(bundle, "--offline", copy, "--credentials", credentials)

    assert (run.exit_code, server.rosters) == (0, ["one.csv", "two.csv"]), run.output
    assert copied.exit_code == 0, copied.output
    assert [opened_roster(line)[1].name for line in copy.read_bytes().splitlines()] == ["one.csv", "two.csv"]


@pytest.mark.parametrize("content", [b"", b"\n\n", MARK, MARK + b"\r\n"])
def test_given_a_file_in_which_there_is_nothing_when_posted_then_that_is_said(
    tmp_path: Path, content: bytes, server: Server
) -> None:
    bundle = tmp_path / "bundle.ndjson"
    bundle.write_bytes(content)
    run = server.given(bundle)
    assert run.exit_code != 0
    assert isinstance(run.exception, ClientError)
    assert "holds no event and no roster" in str(run.exception)


def a_bundle_with_damage(folder: Path, signer: Signer) -> Path:
    """A roster that was changed on the way, half of one, one whose key ended, and what is as it should be."""
    changed = roster(signer, "changed.csv").replace(b"changed.csv", b"another.csv")
    half = roster(signer, "half.csv")[:-40]
    event = signer.line(json.dumps(proposed()).encode())
    bundle = folder / "bundle.ndjson"
    good = roster(signer, "good.csv"), roster(signer, "last.csv")
    bundle.write_bytes(b"\n".join((changed, good[0], half, roster(signer, REVOKED), event, good[1])))
    return bundle


def test_given_damaged_rosters_when_the_bundle_is_posted_then_they_are_rejected_and_their_neighbours_taken(
    tmp_path: Path, signer: Signer, server: Server
) -> None:
    run = server.given(a_bundle_with_damage(tmp_path, signer))

    assert run.exit_code == 1
    assert isinstance(run.exception, SystemExit), run.output
    assert (server.rosters, server.events) == (["good.csv", "last.csv"], [proposed()["id"]])
    shown = [line.split()[:7] for line in run.stdout.splitlines() if line.strip().startswith("bundle.ndjson")]
    assert [(line[3], line[6]) for line in shown] == [
        ("1", "signature_wrong"),
        ("3", "bundle_unreadable"),
        ("4", "signer_unknown"),
    ]


def test_given_damaged_rosters_when_tried_out_or_put_into_another_bundle_then_they_are_named(
    tmp_path: Path, signer: Signer, credentials: Path, server: Server
) -> None:
    bundle, copy = a_bundle_with_damage(tmp_path, signer), tmp_path / "copy.ndjson"

    tried = server.given(bundle, "--dry-run")
    copied = server.given(bundle, "--offline", copy, "--credentials", credentials)

    for run in (tried, copied):
        assert run.exit_code == 1
        assert isinstance(run.exception, SystemExit), run.output
    assert "3 signed rosters would be sent" in tried.stdout
    assert [line.split()[:3] for line in tried.stdout.splitlines() if line.strip().startswith("bundle.ndjson")] == [
        ["bundle.ndjson", "1", "-"],
        ["bundle.ndjson", "3", "-"],
    ]
    assert "line 1" in copied.stderr
    assert "line 3" in copied.stderr
    assert len(copy.read_bytes().splitlines()) == 4, "the event, and three rosters that can be read"
