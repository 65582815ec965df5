"""A line of the log: JSON with ids in it, and no way for a body to get there."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared import correlation
from shared.correlation import Way
from shared.telemetry import JsonLines

A_NAME = "Chanthavong"
ROOT = Path(__file__).resolve().parents[3]


def line(record: logging.LogRecord) -> dict[str, Any]:
    written = JsonLines("enrolment").format(record)
    assert "\n" not in written
    told: dict[str, Any] = json.loads(written)
    return told


def record(message: str, *arguments: object, logger: str = "shared.relay", **more: Any) -> logging.LogRecord:
    return logging.getLogger(logger).makeRecord(
        logger, logging.WARNING, "", 0, message, arguments, more.pop("exc_info", None), extra=more
    )


def test_a_line_has_its_time_and_where_it_is_from() -> None:
    told = line(record("%s: %d messages", "INTAKE", 3, stream="INTAKE", sequence=7))
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "WARNING",
        "service": "enrolment",
        "logger": "shared.relay",
        "message": "INTAKE: 3 messages",
        "stream": "INTAKE",
        "sequence": 7,
    }


def test_what_is_not_one_of_the_fields_is_left_out() -> None:
    assert A_NAME not in json.dumps(line(record("a request", body=A_NAME, color_message=A_NAME)))


def test_an_error_is_its_class_and_place_and_not_its_message() -> None:
    try:
        int(A_NAME)
    except ValueError:
        told = line(record("it failed", exc_info=sys.exc_info()))
    assert told["error"].startswith("ValueError at ")
    assert A_NAME not in json.dumps(told)


def test_what_asyncio_says_of_a_lost_error_is_cut_before_the_error() -> None:
    told = line(record(f"Task exception was never retrieved\nfuture: <Task {A_NAME}>", logger="asyncio"))
    assert told["message"] == "Task exception was never retrieved"


def test_a_line_tells_the_id_of_what_is_being_handled() -> None:
    with correlation.on(Way("the-one")):
        assert line(record("something"))["correlation"] == "the-one"
        several = line(record("many", correlations=["a", "b"]))
    assert (several["correlations"], "correlation" in several) == (["a", "b"], False)
    assert "correlation" not in line(record("something"))


@pytest.mark.long
def test_a_process_that_is_told_no_endpoint_does_not_load_opentelemetry() -> None:
    # The bare interfaces come with FastAPI.
    begin = "import sys; from shared.telemetry import configure; configure('enrolment');"
    services = "import services.enrolment.app, services.certification.app, services.reporting.app;"
    end = "sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))"
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    for program, told, loaded in ((begin + services + end, {}, 0), (begin + end, endpoint, 1)):
        ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=told, check=False)
        assert ended.returncode == loaded
