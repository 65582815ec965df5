"""Moments as credentials write them: xsd:dateTimeStamp, whole seconds of UTC."""

from datetime import UTC, date, datetime, time
from typing import Any


def moment(at: datetime) -> str:
    """An aware moment."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def start_of(day: date) -> str:
    """A day, as the moment in which it begins: credentials know no days."""
    return f"{day.isoformat()}T00:00:00Z"


def end_of(day: date) -> datetime:
    """A last day, as the moment in which it ends."""
    return datetime.combine(day, time(23, 59, 59), UTC)


def read(text: Any) -> datetime:
    """A moment with its offset. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("not a moment")  # noqa: TRY004 - what strangers wrote, not what was called
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment without an offset")
    return at
