"""Seeing it run: one id in every log from POST to cube, figures for Prometheus, one trace over the three services."""

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import nats
import pytest
from nats.aio.client import RawCredentials
from prometheus_client.parser import text_string_to_metric_families

from shared.rights import inbox_prefix
from tests.e2e.collector import Collector, Span, collecting
from tests.e2e.conftest import EXAMPLE, Program, environment, on_this_machine

pytestmark = [on_this_machine, pytest.mark.xdist_group("seeing-it-run"), pytest.mark.long]

T = TypeVar("T")
SERVICES = ("enrolment", "certification", "reporting")
CORRELATION = "one-event-of-this-test"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EVENTS = [json.loads(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def running(data_folder: Path, collector: Collector) -> Iterator[Program]:
    """A program that traces and has taken the example, with one event of it by itself."""
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",  # which would tell more than may be told
    }
    program = Program(data_folder, environment() | traced)
    program.start()
    posted = program.run("post", EXAMPLE)
    assert posted.returncode == 0, posted.stderr
    yield program
    program.stop()


@pytest.fixture(scope="module")
def answer(running: Program) -> httpx.Response:
    """Of the one event, posted by itself with an id and a trace: a cohort changes, which everyone hears."""
    announced = next(event for event in EVENTS if event["type"] == "cohort.announced.v1")
    event = {
        **announced,
        "id": "seen",
        "type": "cohort.changed.v1",
        "time": "2025-06-01T10:00:00+08:00",
        "data": {"cohort": announced["data"]["cohort"], "titles": {"en": "Seen from end to end"}},
    }
    return post(running, event, {"X-Correlation-Id": CORRELATION, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})


def post(program: Program, event: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return httpx.post(
        f"{program.url('enrolment')}/v1/events",
        content=json.dumps(event),
        headers={**program.admin, "Content-Type": "application/cloudevents+json", **headers},
        timeout=30,
    )


def eventually(check: Callable[[], T], seconds: float = 30) -> T:
    """What ``check`` answers once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)  # polls with a deadline
    return found


def lines(program: Program, service: str) -> list[dict[str, Any]]:
    """A service's log since its migrations."""
    text = (program.folder / "logs" / f"{service}.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def figures(program: Program, service: str) -> dict[tuple[str, ...], float]:
    """Every figure of /metrics by its name and labels' values."""
    answer = httpx.get(f"{program.url(service)}/metrics", headers=program.admin).raise_for_status()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_one_id_from_the_post_to_the_cube(running: Program, answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-correlation-id"] == CORRELATION

    def told_by(service: str) -> list[dict[str, Any]]:
        return [line for line in lines(running, service) if line.get("correlation") == CORRELATION]

    enrolment, certification, reporting = (eventually(partial(told_by, service)) for service in SERVICES)
    assert [line["message"] for line in enrolment] == ["1 events over http: 1 accepted"]
    assert (enrolment[0]["id"], enrolment[0]["office"]) == ("seen", "administrator")
    for heard in (certification, reporting):
        assert [(line["stream"], line["events"]) for line in heard] == [("ENROLMENT", 1)]


async def test_the_id_is_in_the_facts_header(running: Program, answer: httpx.Response) -> None:
    position = answer.json()["position"]["ENROLMENT"]
    connection = await nats.connect(
        f"nats://127.0.0.1:{running.env['SAMPAN_NATS_PORT']}",
        user_credentials=RawCredentials((running.folder / "secrets" / "reporting.creds").read_text()),
        inbox_prefix=inbox_prefix("reporting"),
    )
    try:
        fact = await connection.jetstream().get_msg("ENROLMENT", position)
    finally:
        await connection.close()
    assert fact.subject == "enrolment.cohort.cn.wuxi-2025-spring"
    assert (fact.headers or {})["X-Correlation-Id"] == CORRELATION
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", (fact.headers or {})["traceparent"])


async def test_an_offices_message_on_nats_is_followed_alike(running: Program) -> None:
    new = {"office": "/offices/kh/seen", "name": "Seen", "roles": ["sending-office"], "officer": "who"}
    async with httpx.AsyncClient(headers=running.admin) as client:
        answer = await client.post(f"{running.url('enrolment')}/v1/offices", json=new)
    told = answer.raise_for_status().json()["nats"]
    event = {**EVENTS[0], "source": "/offices/kh/seen", "id": "over-nats"}
    connection = await nats.connect(
        told["url"],
        user_credentials=RawCredentials(told["credentials"]),
        inbox_prefix=told["inbox_prefix"].encode(),
    )
    try:
        headers = {"X-Correlation-Id": "over-nats-by-seen"}
        await connection.request("intake.enrolment.kh.seen", json.dumps(event).encode(), 10, headers=headers)
    finally:
        await connection.close()
    [line] = eventually(
        lambda: [line for line in lines(running, "enrolment") if line.get("correlation") == "over-nats-by-seen"]
    )
    assert line["message"] == "1 events over nats: 1 rejected", "a sending office registers no programme"
    assert (line["source"], line["id"]) == ("/offices/kh/seen", "over-nats")
    labels = ("rejected", "enrolment", "programme.registered.v1", "nats")
    assert figures(running, "enrolment")["sampan_events_total", *labels] == 1


def test_an_id_is_made_for_whoever_brings_none_or_brings_a_name(running: Program) -> None:
    for headers in ({}, {"X-Correlation-Id": "Sokha Chan"}, {"X-Correlation-Id": "x" * 64}):
        answer = post(running, EVENTS[0], headers)
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-correlation-id"])
    assert "Sokha Chan" not in str([lines(running, service) for service in SERVICES])


def test_every_line_of_a_services_log_is_json_with_the_same_fields(running: Program, answer: httpx.Response) -> None:
    for service in SERVICES:
        told = lines(running, service)
        assert all(line.keys() >= {"time", "level", "service", "logger", "message"} for line in told)
        assert {line["service"] for line in told} == {service}
        assert all(line["time"].endswith("Z") for line in told)
        messages = [line["message"] for line in told]
        assert f"the relay of {service} is this process" in messages
        assert any(line["logger"] == "uvicorn.error" and line["level"] == "INFO" for line in told)
    assert "ENROLMENT is heard" in [line["message"] for line in lines(running, "reporting")]
    assert "INTAKE is heard" in [line["message"] for line in lines(running, "enrolment")]


def test_the_figures_for_prometheus(running: Program, answer: httpx.Response) -> None:
    before = figures(running, "enrolment")
    post(running, EVENTS[0], {})
    post(running, {**EVENTS[0], "id": "No good", "type": "made.up.v1"}, {})
    after = figures(running, "enrolment")

    def grown(*name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown("sampan_events_total", "duplicate", "enrolment", "programme.registered.v1", "http") == 1
    assert grown("sampan_events_total", "rejected", "enrolment", "other", "http") == 1
    assert grown("sampan_batch_events_count", "enrolment", "http") == 2
    assert grown("sampan_batch_events_sum", "enrolment", "http") == 2
    assert grown("sampan_handling_seconds_count", "enrolment", "http") == 2
    assert grown("sampan_handling_seconds_sum", "enrolment", "http") > 0
    accepted = sum(value for name, value in after.items() if name[:2] == ("sampan_events_total", "accepted"))
    assert accepted >= 30, "the example's"

    for service in ("enrolment", "certification"):
        told = eventually(partial(_at_rest, running, service))
        assert told["sampan_published_total", service, service.upper()] > 0
    heard = eventually(partial(_at_rest, running, "reporting"))
    for stream in ("ENROLMENT", "CERTIFICATION"):
        assert heard["sampan_consumer_lag", "reporting", stream] == 0
        assert heard["sampan_handling_seconds_count", "reporting", stream] > 0
        assert heard["sampan_batch_messages_sum", "reporting", stream] > 0
        assert heard["sampan_messages_total", "applied", "reporting", stream] > 0


def _at_rest(program: Program, service: str) -> dict[tuple[str, ...], float] | None:
    told = figures(program, service)
    gauges = ("sampan_outbox_depth", "sampan_notices_depth", "sampan_dead_letters")
    return told if all(told.get((name, service)) == 0 for name in gauges) else None


def test_one_post_is_one_trace_over_the_three_services(
    running: Program, answer: httpx.Response, collector: Collector
) -> None:
    def whole() -> list[Span] | None:
        found = [span for span in collector.spans if span.trace == TRACE]
        return found if {span.service for span in found} == {f"sampan-{name}" for name in SERVICES} else None

    eventually(whole)
    wanted = {
        ("sampan-enrolment", "POST /v1/events"),
        ("sampan-enrolment", "publish ENROLMENT"),
        ("sampan-certification", "process ENROLMENT"),
        ("sampan-reporting", "process ENROLMENT"),
    }
    eventually(lambda: wanted <= {(span.service, span.name) for span in collector.spans if span.trace == TRACE})
    spans = [span for span in collector.spans if span.trace == TRACE]
    ids = {span.id: span for span in spans}
    for span in spans:  # every one hangs on another of the trace; the first on the caller's
        assert span.parent in ids or span.name == "POST /v1/events"
    for service in SERVICES:
        statements = [
            span for span in spans if span.service == f"sampan-{service}" and "db.query.text" in span.attributes
        ]
        names = {span.name for span in statements}
        assert "SELECT" in names, service
        assert names & {"INSERT", "WITH"}, service  # reporting adds to the cube in a statement of several parts
    assert {span.attributes.get("sampan.correlation") for span in spans} == {CORRELATION, None}
    told = {span.name for span in collector.spans if "db.query.text" not in span.attributes}
    assert told <= {
        "POST /v1/events",
        "POST /v1/offices",
        "GET /v1/services",
        "GET /v1/position",
        "GET /v1/aggregates",
    } | {
        f"{verb} {stream}"
        for verb in ("publish", "process")
        for stream in ("ENROLMENT", "CERTIFICATION", "RECEIPTS", "INTAKE")
    }, "and none of what is asked all the time, or of what the services do for themselves"


def test_neither_logs_nor_spans_tell_a_name(running: Program, answer: httpx.Response, collector: Collector) -> None:
    names = {
        word
        for event in EVENTS
        if isinstance(person := event["data"].get("person"), dict)
        for word in (
            person["names"]["original"],
            person["names"]["romanised"],
            *(one["number"] for one in person.get("identifiers", [])),
        )
    }
    assert len(names) >= 18, "nine trainees, in two scripts"
    question = httpx.get(
        f"{running.url('reporting')}/v1/aggregates?planted=asked-by-somebody",
        headers={**running.admin, "traceparent": f"00-{'ab' * 16}-00f067aa0ba902b7-01"},
    )
    assert question.status_code == 400
    [asked] = eventually(lambda: [span for span in collector.spans if span.trace == "ab" * 16])
    assert asked.name == "GET /v1/aggregates"
    names.add("asked-by-somebody")
    logs = {log.name: log.read_text(errors="replace") for log in (running.folder / "logs").iterdir()}
    assert collector.raw
    for name in names:
        assert not [log for log, text in logs.items() if name in text or json.dumps(name)[1:-1] in text]
        assert [
            body[max(0, body.index(name.encode()) - 60) :][:160] for body in collector.raw if name.encode() in body
        ] == []
