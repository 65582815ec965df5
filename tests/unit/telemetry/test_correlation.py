"""The way of an event: what is taken of headers, and what goes on from several at once."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import correlation
from shared.correlation import Way, way_of
from shared.events.codes import CODE_PATTERN

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SIBLING = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01"
OTHER = "00-0000000000000000000000000000abcd-0000000000000001-01"


@given(st.dictionaries(st.sampled_from(["X-Correlation-Id", "x-correlation-id", "traceparent"]), st.text(max_size=80)))
def test_whatever_the_headers_hold_the_id_is_fit_for_a_log_and_a_header(headers: dict[str, str]) -> None:
    way = way_of(headers)
    assert re.fullmatch(CODE_PATTERN, way.correlation)
    assert way_of(way.headers) == way


@pytest.mark.parametrize(
    "bad", ["", "00-zz", TRACE + "-more", TRACE.upper(), "00-" + "0" * 32 + "-00f067aa0ba902b7-01"]
)
def test_a_trace_that_is_none_is_left_out(bad: str) -> None:
    assert way_of({"traceparent": bad}).traceparent is None
    assert way_of({"traceparent": TRACE}).traceparent == TRACE


def test_what_is_caused_goes_on_in_the_way_of_its_cause() -> None:
    with correlation.on(Way("batch", TRACE)):
        correlation.follow({"/offices/kh/a/1": Way("one", SIBLING), "/offices/kh/a/2": Way("two", OTHER)})
        assert correlation.leading_to("/offices/kh/a/1") == Way("one", TRACE), "it hangs on what is done now"
        assert correlation.leading_to("/offices/kh/a/2") == Way("two", OTHER), "it stays in a trace of its own"
        assert correlation.leading_to("/offices/kh/a/3") == Way("batch", TRACE)
        assert correlation.id_of(("/offices/kh/a", "2")) == "two"
        with correlation.on(Way("inner")):
            assert correlation.leading_to("/offices/kh/a/1") == Way("inner")
        assert correlation.leading_to("/offices/kh/a/2") == Way("two", OTHER)
    assert correlation.leading_to("/offices/kh/a/1") is None
