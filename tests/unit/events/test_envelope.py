"""One event by itself: what is taken, and the code and sentence of what is not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events.envelope import CLOCK_TOLERANCE, Event, Refusal, canonical, digest, read_event
from shared.events.offices_to_certification import TYPES as CERTIFICATION
from shared.events.offices_to_enrolment import TYPES as ENROLMENT
from shared.events.wire import ONE, read_body

NOW = datetime(2025, 6, 1, tzinfo=UTC)
ELSEWHERE = {name: "http://127.0.0.1:8002" for name in CERTIFICATION if name not in ENROLMENT}
STARTED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "started-1",
    "source": "/offices/cn/wuxi-institute",
    "type": "cohort.started.v1",
    "time": "2025-03-31T09:00:00+08:00",
    "data": {"cohort": "wuxi-2025-1", "date": "2025-03-31"},
}
CENTRE: dict[str, Any] = {
    **STARTED,
    "type": "centre.registered.v1",
    "data": {"centre": "wuxi-institute", "names": {"en": "Wuxi Institute"}, "country": "CN", "kind": "school"},
}


def read(event: dict[str, Any], now: datetime = NOW) -> Event | Refusal:
    return read_event(read_body(ONE, json.dumps(event).encode())[0], types=ENROLMENT, elsewhere=ELSEWHERE, now=now)


def accepted(event: dict[str, Any]) -> Event:
    read_as = read(event)
    assert isinstance(read_as, Event), read_as
    return read_as


def refused(event: dict[str, Any]) -> Refusal:
    read_as = read(event)
    assert isinstance(read_as, Refusal), read_as
    assert read_as.sentence.endswith(".")
    return read_as


def code(event: dict[str, Any]) -> str:
    return refused(event).code


def without(event: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != field}


def started(**data: Any) -> dict[str, Any]:
    return {**STARTED, "data": {**STARTED["data"], **data}}


def test_an_event_is_read() -> None:
    event = accepted(STARTED)
    assert event.ref == ("/offices/cn/wuxi-institute", "started-1")
    assert event.time.isoformat() == "2025-03-31T09:00:00+08:00"
    assert event.fields == STARTED


@pytest.mark.parametrize("field", ["specversion", "id", "source", "type", "time", "data"])
def test_an_event_lacks_a_field(field: str) -> None:
    refusal = refused(without(STARTED, field))
    assert (refusal.code, refusal.sentence) == ("invalid_envelope", f"{field}: Field required.")


def test_nothing_but_an_empty_object() -> None:
    assert refused({}).sentence == "specversion: Field required (5 more)."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("datacontenttype", "text/xml"),
        ("data", []),
        ("data", None),
        ("data", "{}"),
        ("id", 1),
        ("id", None),
        ("type", ["cohort.started.v1"]),
    ],
)
def test_a_field_of_the_envelope_is_of_another_kind(field: str, value: Any) -> None:
    assert code({**STARTED, field: value}) == "invalid_envelope"


def test_unknown_fields_are_passed_over() -> None:
    assert accepted({**STARTED, "traceparent": "00-0-0-00"}).data == accepted(STARTED).data
    assert accepted(started(remark="of tomorrow")).data == accepted(STARTED).data


# Types


@pytest.mark.parametrize("name", ["cohort.begun.v1", "cohort", "v1", "started.cohort.v1", "person.renamed.v1", "."])
def test_an_unknown_type(name: str) -> None:
    assert code({**STARTED, "type": name}) == "unknown_type"


@pytest.mark.parametrize("version", ["v2", "v0", "v01", "v", "v1-beta", "1"])
def test_an_unknown_version(version: str) -> None:
    assert code({**STARTED, "type": f"cohort.started.{version}"}) == "unknown_version"
    assert code({**STARTED, "type": f"certificate.awarded.{version}"}) == "unknown_version"


def test_the_other_services_type_names_the_right_address() -> None:
    refusal = refused({**STARTED, "type": "certificate.awarded.v1"})
    assert refusal.code == "wrong_service"
    assert "http://127.0.0.1:8002/v1/events" in refusal.sentence


def test_a_void_goes_where_its_type_is_owned() -> None:
    void = {**STARTED, "type": "event.voided.v1"}
    data = {"event": "a-1", "reason": "said-twice"}
    assert accepted({**void, "data": {**data, "type": "cohort.started.v1"}})
    assert code({**void, "data": {**data, "type": "certificate.awarded.v1"}}) == "wrong_service"
    assert code({**void, "data": {**data, "type": "cohort.begun.v1"}}) == "unknown_type"
    again = {**data, "type": "event.voided.v1"}
    assert accepted({**void, "data": again})
    assert accepted({**void, "data": {**again, "about": "cohort.started.v1"}})
    assert code({**void, "data": {**again, "about": "certificate.awarded.v1"}}) == "wrong_service"


@pytest.mark.parametrize("replaces", ["started-1", "Started 0", 7])
def test_an_event_replaces_another_one(replaces: Any) -> None:
    assert accepted({**STARTED, "replaces": "started-0"}).replaces == "started-0"
    assert isinstance(read({**STARTED, "replaces": replaces}), Refusal)


# Time and days


@pytest.mark.parametrize(
    "time",
    [
        "2025-03-31T09:00:00+08:00",
        "2025-03-31T01:00:00Z",
        "2025-03-31T01:00:00.5Z",
        "2025-03-31T01:00:00.123456789Z",
        "2024-02-29T23:59:59-11:00",
        "1900-01-02T00:00:00Z",
    ],
)
def test_a_time(time: str) -> None:
    assert accepted({**CENTRE, "time": time}).time.utcoffset() is not None


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2025-03-31T09:00:00", "missing_offset"),
        ("2025-03-31", "time_impossible"),
        ("2025-03-31 09:00:00+08:00", "time_impossible"),
        ("2025-03-31T09:00+08:00", "time_impossible"),
        ("2025-03-31T09:00:00+08:00\n", "time_impossible"),
        (" 2025-03-31T09:00:00+08:00", "time_impossible"),
        ("2025-03-31T09:00:00+0800", "time_impossible"),
        ("2025-02-29T09:00:00+08:00", "time_impossible"),
        ("2025-04-31T09:00:00+08:00", "time_impossible"),
        ("2025-13-01T09:00:00+08:00", "time_impossible"),
        ("2025-03-31T25:00:00+08:00", "time_impossible"),
        ("2025-03-31T09:61:00+08:00", "time_impossible"),
        ("2025-03-31T09:00:60+08:00", "time_impossible"),
        ("2025-03-31T09:00:00+25:00", "time_impossible"),
        ("２０２５-03-31T09:00:00+08:00", "time_impossible"),
        ("yesterday", "time_impossible"),
        ("", "time_impossible"),
        (1743382800, "time_impossible"),
        (None, "time_impossible"),
        ("2568-03-31T09:00:00+07:00", "date_impossible"),
        ("0000-03-31T09:00:00+07:00", "date_impossible"),
        ("0001-01-01T00:00:00+14:00", "date_impossible"),
        ("1899-12-31T23:59:59Z", "date_impossible"),
        ("1900-01-01T00:00:00+14:00", "date_impossible"),
        ("9999-12-31T23:59:59-11:00", "date_impossible"),
    ],
)
def test_no_time(time: Any, expected: str) -> None:
    assert code({**CENTRE, "time": time}) == expected


def test_a_time_to_come_is_refused_beyond_what_clocks_differ() -> None:
    at_the_limit = (NOW + CLOCK_TOLERANCE).isoformat()
    assert accepted({**STARTED, "time": at_the_limit})
    beyond = (NOW + CLOCK_TOLERANCE + timedelta(seconds=1)).isoformat()
    assert code({**STARTED, "time": beyond}) == "time_in_future"
    assert code({**STARTED, "time": "2100-12-30T12:59:59-11:00"}) == "time_in_future"


@pytest.mark.parametrize("day", ["2025-03-31", "2024-02-29", "1900-01-01", "2025-04-01"])
def test_a_day(day: str) -> None:
    assert accepted(started(date=day)).fields["data"]["date"] == day


@pytest.mark.parametrize(
    "day",
    [
        "2025-02-29",
        "1900-02-29",
        "2025-02-30",
        "2025-00-10",
        "2025-12-00",
        "0000-01-01",
        "0001-01-01",
        "1899-12-31",
        "2101-01-01",
        "2569-01-01",
        "2567-02-29",
        "9999-12-31",
        "25-03-31",
        "2025-3-31",
        "2025-W14-1",
        "20250331",
        "2025-03-31T00:00:00Z",
        "2025-03-31\n",
        "๒๕๖๘-01-01",
        "31.03.2025",
        "",
        20250331,
        None,
        True,
        ["2025-03-31"],
    ],
)
def test_no_day(day: Any) -> None:
    assert code(started(date=day)) == "date_impossible"


def test_the_buddhist_era_gets_a_hint() -> None:
    assert "543 less" in refused(started(date="2568-03-31")).sentence
    assert "1900 to 2100" in refused(started(date="1066-10-14")).sentence


def test_a_date_after_the_event_itself_is_a_mistake() -> None:
    assert code(started(date="2025-04-02")) == "date_after_time"


def test_dates_of_a_cohort_are_in_order() -> None:
    data = {"cohort": "wuxi-2025-1", "starts_on": "2025-04-13", "ends_on": "2025-03-31"}
    refusal = refused({**STARTED, "type": "cohort.changed.v1", "data": data})
    assert (refusal.code, refusal.sentence) == ("invalid_data", "data: ends_on lies before starts_on.")


# Codes


CODES = ["a", "0", "-", "wuxi-2025-1", "a" * 63]
NO_CODES = [
    "",
    "a" * 64,
    "Wuxi",
    "a b",
    "a.b",
    "*",
    ">",
    "a>",
    "a\n",
    "\na",
    "a\r",
    "a_b",
    "a/b",
    "វូស៊ី",
    "é",
    "１",
    "a\u200b",
    "'",
]


@pytest.mark.parametrize("value", CODES)
def test_a_code(value: str) -> None:
    assert accepted({**started(cohort=value), "id": value})


@pytest.mark.parametrize("value", NO_CODES)
def test_no_code(value: str) -> None:
    assert code(started(cohort=value)) == "invalid_code"
    assert code({**STARTED, "id": value}) == "invalid_code"
    assert code(started(not_arrived=["kh-001", value])) == "invalid_code"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/offices/KH/ntti",
        "/offices/khm/ntti",
        "/offices/kh/ntti/",
        "/offices/kh/ntti\n",
        "offices/kh/ntti",
        "/offices/kh/",
        "/offices/kh/nt.ti",
        "/offices/kh/>",
        "/offices/*/ntti",
        "/offices/kh/nt ti",
        "/offices/kh/" + "a" * 64,
        "/services/enrolment",
        "https://example.org/offices/kh/ntti",
    ],
)
def test_no_source(source: str) -> None:
    assert code({**STARTED, "source": source}) == "invalid_code"


@pytest.mark.parametrize("country", ["kh", "KHM", "XX", "UK", "", "K", "KH ", "ＫＨ", "កម"])
def test_no_country(country: str) -> None:
    assert code({**CENTRE, "data": {**CENTRE["data"], "country": country}}) == "unknown_country"


def test_nothing_is_coerced() -> None:
    assert code(started(cohort=2025)) == "invalid_data"
    assert code(started(not_arrived="kh-001")) == "invalid_data"
    session = {"cohort": "wuxi-2025-1", "session": 1, "date": "2025-03-31", "hours": 6}
    held = {**STARTED, "type": "session.held.v1"}
    assert accepted({**held, "data": session})
    for wrong in (
        {"session": "1"},
        {"session": 1.0},
        {"session": True},
        {"hours": "6"},
        {"hours": 6.125},
        {"hours": 0},
    ):
        assert code({**held, "data": {**session, **wrong}}) == "invalid_data"


@pytest.mark.parametrize("hours", [6.5, 1.234])
def test_nobody_is_present_longer_than_a_session_or_in_thousandths(hours: float) -> None:
    held = {"cohort": "wuxi-2025-1", "session": 1, "date": "2025-03-31", "hours": 6}
    partly = {**STARTED, "type": "session.held.v1", "data": {**held, "partial": [{"number": "01", "hours": 5.25}]}}
    assert accepted(partly)
    wrong = {**held, "partial": [{"number": "01", "hours": hours}]}
    assert code({**partly, "data": wrong}) == "invalid_data"


def test_an_event_does_not_print_what_an_office_wrote() -> None:
    said = {**STARTED, "subject": "Sok Dara", "data": {**STARTED["data"], "note": "Sok Dara", "not_arrived": ["sok"]}}
    (raw,) = read_body(ONE, json.dumps(said).encode())
    assert "Sok" not in repr(raw)
    assert "sok" not in repr(accepted(said)).lower()


# One event, two writings


def test_the_order_of_keys_is_not_content() -> None:
    assert digest(b"k", canonical(STARTED)) == digest(b"k", canonical(dict(reversed(STARTED.items()))))
    assert digest(b"k", canonical(STARTED)) != digest(b"k", canonical({**STARTED, "subject": "other"}))
    assert digest(b"k", canonical({"a": [1, 2]})) != digest(b"k", canonical({"a": [2, 1]}))
    assert digest(b"k", canonical({"a": "1"})) != digest(b"k", canonical({"a": 1}))
    assert digest(b"k", canonical(STARTED)) != digest(b"another", canonical(STARTED))


def test_a_trainee_is_named_one_way_or_the_other() -> None:
    completed = {**STARTED, "type": "trainee.completed.v1"}
    both = {"cohort": "wuxi-2025-1", "number": "kh-001"}
    data = accepted({**completed, "data": {**both, "date": "2025-03-31"}}).data
    enrolment = data.enrolment_id  # type: ignore[attr-defined]
    by_id = accepted({**completed, "data": {"enrolment": enrolment, "date": "2025-03-31"}}).data
    assert by_id.enrolment_id == enrolment  # type: ignore[attr-defined]
    assert accepted({**completed, "data": {**both, "enrolment": enrolment, "date": "2025-03-31"}})
    for wrong in ({}, {"cohort": "wuxi-2025-1"}, {"number": "kh-001"}, {**both, "enrolment": "another"}):
        assert code({**completed, "data": {**wrong, "date": "2025-03-31"}}) == "invalid_data"
