"""How a service's process tells of itself: JSON lines on the standard error, and traces when an endpoint is configured.

A line has fixed fields with ids and numbers in them. An error is its class and place, never its message or a body.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from shared import correlation, tracing
from shared.deadletters import describe

FIELDS: Final = (
    "source",
    "id",
    "office",
    "officer",
    "stream",
    "sequence",
    "events",
    "outcomes",
    "seconds",
    "correlation",
    "correlations",
)
"""What a line may tell besides its message: whatever else a library hangs on a record stays where it is."""
_NEAR_TO_BODIES: Final = ("asyncio", "py.warnings")
"""Their first line says what happened; in the rest stands the error, with its message."""


class JsonLines(logging.Formatter):
    """One JSON object on one line for each record."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name in _NEAR_TO_BODIES:
            message = message.partition("\n")[0]
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": message,
        }
        line |= {name: value for name in FIELDS if (value := record.__dict__.get(name)) is not None}
        if "correlations" not in line and (way := correlation.here()) is not None:
            line.setdefault("correlation", way.correlation)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(service: str) -> None:
    """For the whole process, once, before the service is made: the server's own loggers speak through this too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # One line for each body says more than the server's for each request, which would repeat what was asked.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
    tracing.start(service)
