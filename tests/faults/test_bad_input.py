"""Everything that anybody may send to the running program, over HTTP and NATS: no 500, no crash loop, good neighbours kept."""

import asyncio
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.events.wire import BATCH, EVENTS_LIMIT, NDJSON, ONE
from tests.e2e.conftest import EXAMPLE
from tests.faults.conftest import SERVICES, TVET, River, centre
from tests.faults.events import in_the_intake
from tests.faults.mutations import mutated
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries
from tests.servers import connect_with_every_right

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(900)]

QUESTIONS = "SAMPAN_QUESTIONS"
"""The variable with how many questions each address is asked in the long form: `make faults` sets it."""
MORE_MEMORY = 200_000_000
"""Bytes that a service may take at most for all that is bad here."""
BOTH = ["enrolment", pytest.param("certification", marks=pytest.mark.hurts)]


@contextmanager
def unharmed(river: River) -> Iterator[None]:
    """Afterwards nobody has died, memory is as it was, all are ready, and all agree."""
    processes = {service: psutil.Process(river.service(service).pid) for service in SERVICES}
    before = {service: process.memory_info().rss for service, process in processes.items()}
    yield
    eventually(river.all_ready, river.say, 90)
    for service, process in processes.items():
        assert river.service(service).pid == process.pid
        assert river.service(service).alive
        assert process.memory_info().rss - before[service] < MORE_MEMORY, f"{service} has grown"
    assert river.check() == []


# --- every address


@pytest.mark.long
def test_some_addresses_answer_whatever_they_are_asked(river: River, recoveries: Recoveries) -> None:
    from tests.faults.addresses import ask

    with unharmed(river):
        recoveries.count("questions to enrolment", ask(river, "enrolment", 3, ("/v1/events",)))


@pytest.mark.hurts
@pytest.mark.parametrize("service", SERVICES)
def test_every_address_answers_whatever_it_is_asked(river: River, recoveries: Recoveries, service: str) -> None:
    from tests.faults.addresses import ask

    with unharmed(river):
        recoveries.count(f"questions to {service}", ask(river, service, int(os.environ.get(QUESTIONS, "5"))))


# --- events


GOOD = centre("good-neighbour")
ESCAPES = {"nan": '{"hours": NaN}', "overflow": '{"marks": 1e999}', "nul": '{"id": "a\\u0000b"}'}
BODIES: dict[str, tuple[str, bytes]] = {
    "not JSON": (ONE, b"<event/>"),
    "nothing": (ONE, b""),
    "a byte order mark": (ONE, b"\xef\xbb\xbf" + json.dumps(GOOD).encode()),
    "bad UTF-8": (ONE, b'{"id": "\xff\xfe"}'),
    "deep nesting": (ONE, b"[" * 200_000),
    "deep objects": (ONE, b'{"a":' * 200_000),
    "cut off": (ONE, json.dumps(GOOD).encode()[:-7]),
    "no array": (BATCH, json.dumps(GOOD).encode()),
    "too many events": (BATCH, b"[" + b",".join([b"{}"] * (EVENTS_LIMIT + 1)) + b"]"),
    "a million events": (NDJSON, b"{}\n" * 1_000_000),
    "too large": (ONE, b'"' + b"a" * 8_000_000 + b'"'),
    "a gzip bomb": (ONE, gzip.compress(bytes(100_000_000))),
    "a random file": (NDJSON, bytes(range(256)) * 400),
}
NEIGHBOURS: dict[str, str] = {
    **ESCAPES,
    "a key twice": '{"id": "a", "id": "b"}',
    "a list": "[]",
    "a number": "12",
    "null": "null",
    "an empty object": "{}",
    "deep data": '{"data": ' + '{"a":' * 60 + "1" + "}" * 61,
    "a surrogate": '{"id": "\\ud800"}',
    "an unknown type": json.dumps({**GOOD, "id": "u1", "type": "centre.exploded.v1"}),
    "an unknown version": json.dumps({**GOOD, "id": "u2", "type": "centre.registered.v99"}),
    "the Buddhist era": json.dumps({**GOOD, "id": "u3", "time": "2569-03-02T09:00:00+07:00"}),
    "year 0": json.dumps({**GOOD, "id": "u4", "time": "0000-03-02T09:00:00+07:00"}),
    "no offset": json.dumps({**GOOD, "id": "u5", "time": "2026-03-02T09:00:00"}),
    "29 February 2025": json.dumps({**GOOD, "id": "u6", "time": "2025-02-29T09:00:00+07:00"}),
    "a day to come": json.dumps({**GOOD, "id": "u7", "time": "2999-03-02T09:00:00+07:00"}),
    "another's source": json.dumps({**GOOD, "id": "u8", "source": "/offices/kh/somebody.>"}),
    "a line in the source": json.dumps({**GOOD, "id": "u9", "source": "/offices/kh/a\r\nPUB x"}),
    "an id used for something else": json.dumps({**GOOD, "data": {**GOOD["data"], "kind": "employer"}}),
    "a long name": json.dumps({**GOOD, "id": "u10", "data": {**GOOD["data"], "names": {"en": "a" * 10_000}}}),
    "an override": json.dumps({**GOOD, "id": "u11", "data": {**GOOD["data"], "names": {"en": "a\u202eb"}}}),
    "a huge number": '{"specversion": "1.0", "data": {"hours": ' + "9" * 5000 + "}}",
}


def to(river: River, service: str, kind: str, body: bytes, **headers: str) -> httpx.Response:
    return river.http.post(
        f"{river.sampan.urls[service]}/v1/events", content=body, headers={"Content-Type": kind, **headers}
    )


@pytest.mark.parametrize("service", BOTH)
def test_bodies_that_cannot_be_read(river: River, service: str) -> None:
    with unharmed(river):
        for name, (kind, body) in BODIES.items():
            answer = to(river, service, kind, body)
            assert answer.status_code in (400, 413, 422), f"{name}: {answer.status_code}"
            assert answer.json().get("code") or answer.json().get("receipts"), name
        bomb = to(river, service, ONE, BODIES["a gzip bomb"][1], **{"Content-Encoding": "gzip"})
        assert bomb.status_code == 415


def test_a_bad_event_costs_its_neighbours_nothing(river: River) -> None:
    """Whatever it is: each of the others has its receipt, and is accepted."""
    with unharmed(river):
        assert river.post(GOOD).status_code == 200
        for place, (name, bad) in enumerate(NEIGHBOURS.items()):
            first, last = (json.dumps(centre(f"beside-{place}-{side}")) for side in ("left", "right"))
            answer = to(river, "enrolment", NDJSON, f"{first}\n{bad}\n{last}\n".encode())
            statuses = [one["status"] for one in answer.json()["receipts"]]
            assert (answer.status_code, statuses) == (207, ["accepted", "rejected", "accepted"]), (name, answer.text)


def test_the_same_over_nats_is_a_receipt_or_a_dead_letter(river: River) -> None:
    """And what comes after it is taken in."""

    async def send(bodies: list[bytes]) -> None:
        connection = await connect_with_every_right(river.sampan.nats.url, river.sampan.nats.keys)
        try:
            for body in bodies:
                await connection.jetstream(timeout=10).publish(SUBJECT, body)
        finally:
            await connection.close()

    good = [centre(f"over-nats-{number}") for number in range(3)]
    bad = [body for _, body in BODIES.values() if len(body) < 4_000_000]
    bad += [f"[{json.dumps(good[0])},{one}]".encode() for one in NEIGHBOURS.values()]
    with unharmed(river):
        asyncio.run(send([json.dumps(good[1]).encode(), *bad, json.dumps(good[2]).encode()]))
        eventually(lambda: in_the_intake(river) == 0, "messages stay in the intake", 90)
        river.assert_nothing_lost(good)


SUBJECT = "intake.enrolment.la.tvet"
assert TVET == "/offices/la/tvet"


def test_subjects_that_are_none_are_not_taken(river: River) -> None:
    """Tokens that would widen a subject, or end the line."""
    for code in ("a.b", "*", ">", "a b", "a\r\nPUB enrolment.x 0\r\n", "", "A", "ក"):
        new = {"office": f"/offices/kh/{code}", "name": "x", "roles": ["reader"], "officer": "x"}
        answer = river.http.post(f"{river.sampan.urls['enrolment']}/v1/offices", json=new)
        assert answer.status_code in (400, 422), (code, answer.text)


EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=HYPERLINK(1)", "'); DROP TABLE events; --")


@pytest.mark.long
def test_markup_and_statements_in_names_are_inert(river: River) -> None:
    """In answers they are what was written; on pages they do nothing."""
    announced = next(json.loads(line) for line in EXAMPLE.read_text().splitlines() if "cohort.announced" in line)
    cohorts = {f"evil-{place}": title for place, title in enumerate(EVIL)}
    with unharmed(river):
        for code, title in cohorts.items():
            data = {**announced["data"], "cohort": code, "titles": {"en": title}}
            said = river.post({**announced, "id": f"announced-{code}", "data": data}).json()
            assert said["receipts"][0]["status"] == "accepted", said
            upto = said["position"]["ENROLMENT"]
        eventually(lambda: position(river) >= upto, "reporting has not heard")
        enrolment, reporting = river.sampan.urls["enrolment"], river.sampan.urls["reporting"]
        for code, title in cohorts.items():
            assert river.http.get(f"{enrolment}/v1/cohorts/{code}").json()["cohort"]["titles"] == {"en": title}
        pages = [seen(river, enrolment, f"/cohorts/{code}") for code in cohorts]
        pages += [seen(river, enrolment, "/"), seen(river, reporting, "/"), seen(river, reporting, "/cohorts")]
        for page in pages:
            assert not [title for title in EVIL if "<" in title and title in page]
        assert any("&lt;script&gt;alert(1)" in page for page in pages), "no page shows it"


def position(river: River) -> int:
    answer = river.http.get(f"{river.sampan.urls['reporting']}/v1/position")
    return int(answer.json()["position"]["ENROLMENT"])


def seen(river: River, url: str, path: str) -> str:
    """A page as the administrator sees it."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as browser:
        signed_in = browser.post("/session", content=urlencode({"token": river.sampan.admin_token}), headers=form)
        assert signed_in.status_code == 200, signed_in.text
        answer = browser.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text


def fuzz(river: River, service: str, number: int) -> int:
    """Bodies near good ones, each beside a good event."""
    asked = [0]
    valid = json.dumps(centre("fuzzed") if service == "enrolment" else river.new_event(service)).encode()

    @settings(
        max_examples=number,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(body=mutated(valid), kind=st.sampled_from((ONE, BATCH, NDJSON)))
    def answered(body: bytes, kind: str) -> None:
        asked[0] += 1
        answer = to(river, service, kind, body)
        assert answer.status_code in (200, 207, 400, 413, 422), answer.text

    answered()
    return asked[0]


@pytest.mark.long
@pytest.mark.parametrize("service", BOTH)
def test_bodies_near_good_ones(river: River, recoveries: Recoveries, service: str) -> None:
    with unharmed(river):
        recoveries.count(f"bodies near good ones to {service}, in short", fuzz(river, service, 40))


@pytest.mark.hurts
@pytest.mark.parametrize("service", ["enrolment", "certification"])
def test_many_bodies_near_good_ones(river: River, recoveries: Recoveries, service: str) -> None:
    number = 100 * int(os.environ.get(QUESTIONS, "5"))
    with unharmed(river):
        recoveries.count(f"bodies near good ones to {service}", fuzz(river, service, number))
