"""What was accepted can be read again from wherever it is kept: else one event would stop all that rests on it."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.events.codes import TEXT_LIMIT, TIMEZONES, Day, Moment, Text

TEXT, MOMENT, DAY = TypeAdapter(Text), TypeAdapter(Moment), TypeAdapter(Day)
FARTHEST = ["Pacific/Kiritimati", "Etc/GMT+12", "Asia/Yangon"]
"""The zones that are ahead and behind the most, and one of ours."""

# The letters that become two when they are composed, among all others.
LETTERS = st.one_of(st.characters(), st.sampled_from("\u0958\u095f\u0b5c\ufb1d\u2adc\u0344"))
EDGES = st.one_of(
    st.datetimes(datetime(1899, 12, 30), datetime(1900, 1, 5)),  # noqa: DTZ001 - their offset comes beside them
    st.datetimes(datetime(2100, 12, 28), datetime(2101, 1, 3)),  # noqa: DTZ001
)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.text(LETTERS, min_size=1, max_size=TEXT_LIMIT))
def test_a_text(value: str) -> None:
    try:
        kept = TEXT.validate_python(value)
    except ValidationError:
        return
    assert TEXT.validate_python(kept) == kept


def test_a_text_that_grows_beyond_the_limit_when_it_is_composed_is_refused() -> None:
    assert len(TEXT.validate_python("\u0958" * (TEXT_LIMIT // 2))) == TEXT_LIMIT
    with pytest.raises(ValidationError) as refused:
        TEXT.validate_python("\u0958" * TEXT_LIMIT)
    assert refused.value.errors()[0]["type"] == "invalid_data"


@given(EDGES, OFFSETS)
def test_a_moment_has_a_day_in_every_zone(at: datetime, offset: timezone) -> None:
    try:
        kept = MOMENT.validate_python(at.replace(tzinfo=offset))
    except ValidationError:
        return
    assert MOMENT.validate_python(kept.astimezone(UTC)) == kept
    for zone in FARTHEST:
        DAY.validate_python(kept.astimezone(ZoneInfo(zone)).date())


def test_most_moments_are_taken() -> None:
    for written in ("1900-01-02T00:00:00Z", "2100-12-30T23:59:59+00:00", "2025-03-31T09:00:00+08:00"):
        MOMENT.validate_python(written)
    assert set(FARTHEST) <= TIMEZONES
