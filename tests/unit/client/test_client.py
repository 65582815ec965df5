"""What the command line reads, and where it sends what."""

import json
from pathlib import Path

import httpx
import pytest

from services.client import Client
from services.commands.offices import office_named
from services.commands.options import connected
from services.errors import ClientError
from services.eventfiles import EVENTS_PER_POST, batches, read_events
from services.processes import StandaloneError
from shared.events.wire import BODY_LIMIT

BOM = b"\xef\xbb\xbf"


def line(**fields: object) -> bytes:
    return json.dumps({"source": "/offices/kh/ntti", "id": "a"} | fields).encode()


def test_given_files_joined_on_windows_when_read_then_marks_and_line_endings_mean_nothing(tmp_path: Path) -> None:
    file = tmp_path / "joined.ndjson"
    file.write_bytes(
        BOM + line(type="cohort.started.v1") + b"\r\n" + BOM + line(type="trainee.assessed.v1") + b"\r\n\r\n"
    )

    first, second = read_events(file)

    assert (first.place, first.service, first.source) == (1, "enrolment", "/offices/kh/ntti")
    assert (second.place, second.service, second.source) == (2, "certification", "/offices/kh/ntti")
    assert not second.body.startswith(BOM)


def test_given_a_void_when_read_then_it_goes_where_the_voided_type_is_owned(tmp_path: Path) -> None:
    file = tmp_path / "voids.ndjson"
    kinds = ("trainee.enrolled.v1", "certificate.awarded.v1")
    file.write_bytes(b"\n".join(line(type="event.voided.v1", data={"type": kind}) for kind in kinds))

    assert [event.service for event in read_events(file)] == ["enrolment", "certification"]


def test_given_a_line_that_no_body_can_hold_when_read_then_it_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "long.ndjson"
    file.write_bytes(line() + b"\n" + b"x" * (BODY_LIMIT + 1))

    with pytest.raises(ClientError, match="line 2"):
        read_events(file)


def test_given_many_events_when_batched_then_each_batch_fits_a_post_and_the_order_stays(tmp_path: Path) -> None:
    file = tmp_path / "many.ndjson"
    kinds = ["trainee.enrolled.v1"] * (EVENTS_PER_POST + 1) + ["trainee.assessed.v1", "trainee.enrolled.v1"]
    file.write_bytes(b"\n".join(line(type=kind, id=str(number)) for number, kind in enumerate(kinds)))

    runs = list(batches(read_events(file)))

    assert [len(run) for run in runs] == [EVENTS_PER_POST, 1, 1, 1]
    assert [event.place for run in runs for event in run] == list(range(1, len(kinds) + 1))


def test_given_a_proxy_when_this_machine_is_called_then_the_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:9")
    with Client("http://127.0.0.1:1", "token") as client, pytest.raises(ClientError, match="ConnectError"):
        client.get("enrolment", "/v1/position")


def test_given_another_machine_when_no_token_is_named_then_the_administrators_stays_here(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("sampan_admin_secret")

    with pytest.raises(ClientError, match="--token"), connected("https://elsewhere.example.org", None, tmp_path):
        pass
    with connected("http://127.0.0.1:8001", None, tmp_path) as client:
        assert client is not None
    (tmp_path / "admin-token").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StandaloneError, match="damaged"), connected("http://127.0.0.1:8001", None, tmp_path):
        pass


@pytest.mark.parametrize(
    "text", ["kh", "kh/a?b", "kh/a#b", "kh/a/b", "KH/ntti", "kh/", "/offices/kh/ntti\n", "kh/../x"]
)
def test_given_what_is_no_office_when_named_then_it_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="kh/dgtvet"):
        office_named(text)


def test_given_an_answer_that_was_lost_when_an_office_is_added_then_it_is_not_added_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def lost(_self: httpx.Client, method: str, url: str, **_: object) -> httpx.Response:
        calls.append(method)
        if method == "GET":
            return httpx.Response(200, json={"enrolment": "http://127.0.0.1:1"}, request=httpx.Request(method, url))
        raise httpx.ReadTimeout("no answer")

    monkeypatch.setattr(httpx.Client, "request", lost)
    with Client("http://127.0.0.1:1", "token") as client, pytest.raises(ClientError, match="ReadTimeout"):
        client.add_office({"office": "/offices/kh/ntti"})

    assert calls == ["GET", "POST"]
