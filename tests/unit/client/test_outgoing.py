"""What `sampan post` does without a connection: signing, trying out, remembering where it stopped."""

import json
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from services import eventfiles
from services.cli import app
from services.client import Client
from services.errors import ClientError
from services.eventfiles import batches, read_events
from services.outgoing import Answered, named, sign, try_out
from shared.bundles import Signer, opened
from shared.events.wire import NDJSON, read_body
from tests.unit.enrolment.story import announced, proposed, voided

Fields = dict[str, Any]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def written(folder: Path, *events: Fields, name: str = "events.ndjson") -> Path:
    file = folder / name
    file.write_text("\n".join(json.dumps(event, ensure_ascii=False) for event in events), encoding="utf-8")
    return file


AWARD: Fields = {**proposed(), "type": "certificate.awarded.v1", "id": "award"}


def test_signed_events_are_a_bundle_that_says_where_each_goes(tmp_path: Path, credentials: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    lines = read_events(written(tmp_path, proposed("01"), AWARD, voided(AWARD)))

    assert sign(lines, credentials, bundle) == 3
    assert sign(lines[:2], credentials, bundle) == 0, "what is in it is not added again"

    again = read_events(bundle)
    assert [(line.service, line.source, line.signed) for line in again] == [
        ("enrolment", "/offices/kh/ntti", True),
        ("certification", "/offices/kh/ntti", True),
        ("certification", "/offices/kh/ntti", True),
    ]
    assert [line.code for line in opened(read_body(NDJSON, bundle.read_bytes()))] == [None] * 3
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert sign(again, credentials, tmp_path / "other.ndjson") == 3, "a bundle can be put into another"
    assert opened(read_body(NDJSON, (tmp_path / "other.ndjson").read_bytes()))[0].event.fields == proposed("01")


def test_signed_and_unsigned_lines_are_posted_apart(tmp_path: Path, credentials: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    sign(read_events(written(tmp_path, proposed("01"))), credentials, bundle)
    mixed = [*read_events(bundle), *read_events(written(tmp_path, proposed("02")))]
    assert [[line.signed for line in run] for run in batches(mixed)] == [[True], [False]]


def test_half_a_line_hides_no_other(tmp_path: Path, credentials: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    lines = read_events(written(tmp_path, proposed("01"), proposed("02")))
    sign(lines[:1], credentials, bundle)
    whole = bundle.read_bytes()
    bundle.write_bytes(whole + whole[:100])  # the computer was switched off

    assert sign(lines, credentials, bundle) == 1

    assert [line.code for line in opened(read_body(NDJSON, bundle.read_bytes()))] == [None, "bundle_unreadable", None]
    bundle.write_bytes(whole.rstrip(b"\n"))  # it was all there but the end of the line
    assert sign(lines, credentials, bundle) == 1
    assert [line.code for line in opened(read_body(NDJSON, bundle.read_bytes()))] == [None, None]


def test_a_full_disk_leaves_a_bundle_as_it_was(tmp_path: Path, credentials: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    lines = read_events(written(tmp_path, *(proposed(f"{n:02}") for n in range(1, 40))))
    sign(lines[:1], credentials, bundle)
    before = bundle.read_bytes()

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1000, hard))
    try:
        with pytest.raises(ClientError, match="cannot be written"):
            sign(lines, credentials, bundle)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert bundle.read_bytes() == before
    assert sign(lines, credentials, bundle) == len(lines) - 1


def test_what_cannot_be_signed_is_said_and_nothing_is_added(tmp_path: Path, credentials: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    bad = tmp_path / "bad.ndjson"
    bad.write_text(json.dumps(proposed()) + "\nnot json\n")
    with pytest.raises(ClientError, match="line 2 cannot be read"):
        sign(read_events(bad), credentials, bundle)
    assert not bundle.exists()
    token = tmp_path / "token"
    token.write_text("sampan_kh_ntti_x")
    with pytest.raises(ClientError, match="no file of NATS credentials"):
        sign(read_events(written(tmp_path, proposed())), token, bundle)
    with pytest.raises(ClientError, match="cannot be read"):
        sign(read_events(written(tmp_path, proposed())), tmp_path / "nowhere", bundle)


def test_the_void_of_a_void_goes_where_its_chain_begins(tmp_path: Path) -> None:
    void = voided(AWARD)
    back = voided(void)
    alone = {**back, "id": "alone", "data": {**back["data"], "event": "elsewhere", "about": "certificate.awarded.v1"}}
    unknown = {**back, "id": "unknown", "data": {**back["data"], "event": "elsewhere"}}
    lines = read_events(written(tmp_path, back, void, voided(back), alone, unknown, voided(voided(proposed()))))
    assert [line.service for line in lines] == [*["certification"] * 4, "enrolment", "enrolment"]


def test_trying_out_names_what_would_be_rejected(tmp_path: Path, credentials: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    good, bad = proposed(), {**proposed("02"), "id": "BAD"}
    sign(read_events(written(tmp_path, good, bad)), credentials, bundle)
    flawed = list(try_out([*read_events(written(tmp_path, good, bad, AWARD)), *read_events(bundle)]))
    assert [(one.line.file, one.line.place, one.code) for one in flawed] == [
        ("events.ndjson", 2, "invalid_code"),
        ("events.ndjson", 3, "invalid_data"),
        ("bundle.ndjson", 2, "invalid_code"),
    ]


def test_lines_are_named_in_runs(tmp_path: Path) -> None:
    lines = read_events(written(tmp_path, *(proposed(f"{n:02}") for n in range(1, 21))))
    assert named([*lines[2:7], lines[9]]) == "events.ndjson 3-7, 10"
    assert named(lines[::2]) == "events.ndjson 1, 3, 5, 7, 9 and more"


def test_what_was_answered_is_known_to_the_next_try_and_forgotten_at_the_end(tmp_path: Path, state: Path) -> None:
    lines = read_events(written(tmp_path, *(proposed(f"{n:02}") for n in range(1, 6))))
    first = Answered("http://here", lines)
    assert first.load() == 0
    first.add(lines[:3], ["accepted", "waiting", "rejected"])
    assert first.left() == lines[3:]
    (file,) = (state / "sampan" / "posting").iterdir()
    with file.open("a") as cut_off:
        cut_off.write("[3, 4")
    second = Answered("http://here", lines)
    assert second.load() == 2
    assert second.left() == lines[2:]
    assert Answered("http://elsewhere", lines).load() == 0
    assert Answered("http://here", lines[:4]).load() == 0, "another file is another post"
    second.forget()
    assert not file.exists()


class Line:
    """A server behind a line that breaks after so many posts; what it was sent."""

    def __init__(self, posts: int) -> None:
        self.posts = posts
        self.sent: list[str] = []
        self.wrong_token = False

    def __call__(self, _client: httpx.Client, method: str, url: str, **request: Any) -> httpx.Response:
        asked = httpx.Request(method, url)
        if method == "GET":
            there = {"enrolment": "http://here:1", "certification": "http://here:2"}
            return httpx.Response(200, json=there, request=asked)
        if not self.posts:
            raise httpx.ReadTimeout("the line broke")
        self.posts -= 1
        lines = [json.loads(line) for line in request["content"].split(b"\n")]
        self.sent += [line["id"] for line in lines]
        status, code = ("rejected", "source_not_yours") if self.wrong_token else ("accepted", "applied")
        receipts = [{"id": line["id"], "status": status, "code": code, "sentence": "x"} for line in lines]
        return httpx.Response(200, json={"receipts": receipts, "position": {}}, request=asked)


@pytest.fixture
def break_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Line]:
    def breaking(posts: int) -> Line:
        line = Line(posts)

        def request(client: httpx.Client, method: str, url: str, **more: Any) -> httpx.Response:
            return line(client, method, url, **more)

        monkeypatch.setattr(httpx.Client, "request", request)
        return line

    monkeypatch.setattr(eventfiles, "EVENTS_PER_POST", 2)
    monkeypatch.setattr(Client, "pause", lambda *_: None)
    return breaking


def test_a_post_that_was_interrupted_goes_on_where_it_stopped(
    tmp_path: Path, break_after: Callable[[int], Line]
) -> None:
    file = written(tmp_path, *(proposed(f"{n:02}") for n in range(1, 6)))
    ids = [proposed(f"{n:02}")["id"] for n in range(1, 6)]
    command = ["post", str(file), "--server", "http://here", "--token", "t"]

    line = break_after(1)
    run = CliRunner().invoke(app, command)
    assert isinstance(run.exception, ClientError)
    assert line.sent == ids[:2]
    assert "3 events not sent yet: events.ndjson 3-5." in " ".join(run.stderr.split())

    line = break_after(9)
    run = CliRunner().invoke(app, command)
    assert (run.exit_code, line.sent) == (0, ids[2:])
    assert "2 of 5 events were answered before" in run.stderr

    line = break_after(9)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert line.sent == ids, "a file that was posted before is posted again"


def test_what_was_rejected_before_the_line_broke_is_sent_again(
    tmp_path: Path, break_after: Callable[[int], Line]
) -> None:
    file = written(tmp_path, *(proposed(f"{n:02}") for n in range(1, 6)))
    ids = [proposed(f"{n:02}")["id"] for n in range(1, 6)]
    command = ["post", str(file), "--server", "http://here", "--token"]

    line = break_after(1)
    line.wrong_token = True
    run = CliRunner().invoke(app, [*command, "of-another-office"])
    assert (isinstance(run.exception, ClientError), line.sent) == (True, ids[:2])
    assert "3 events not sent yet: events.ndjson 3-5." in " ".join(run.stderr.split())

    line = break_after(9)
    run = CliRunner().invoke(app, [*command, "the-right-one"])
    assert (run.exit_code, line.sent) == (0, ids)

    line = break_after(9)
    line.wrong_token = True
    run = CliRunner().invoke(app, [*command, "of-another-office"])
    assert (run.exit_code, "not sent yet" in run.stderr) == (1, False), "all was answered, whatever the answer"


def test_all_of_it_is_sent_again_when_asked_for(tmp_path: Path, break_after: Callable[[int], Line]) -> None:
    file = written(tmp_path, *(proposed(f"{n:02}") for n in range(1, 6)))
    command = ["post", str(file), "--server", "http://here", "--token", "t"]
    break_after(2)
    CliRunner().invoke(app, command)
    line = break_after(9)
    assert CliRunner().invoke(app, [*command, "--again"]).exit_code == 0
    assert len(line.sent) == 5


def test_a_dry_run_and_an_offline_run_send_nothing(
    tmp_path: Path, credentials: Path, break_after: Callable[[int], Line]
) -> None:
    line = break_after(0)
    file = written(tmp_path, announced(), AWARD)
    run = CliRunner().invoke(app, ["post", str(file), "--dry-run"])
    assert run.exit_code == 1
    assert "1 event would go to enrolment." in run.stdout
    assert "1 of 2 events would be rejected. Nothing was sent." in run.stdout
    bundle = tmp_path / "bundle.ndjson"
    run = CliRunner().invoke(app, ["post", str(file), "--offline", str(bundle), "--credentials", str(credentials)])
    assert run.exit_code == 0
    assert f"2 events added to {bundle}" in run.stdout.replace("\n", "")
    assert Signer(credentials.read_text()).key in bundle.read_text()
    assert line.sent == []
