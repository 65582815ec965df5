"""What services hear of each other and of offices, with bytes changed: it is read, or refused as what cannot be read."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.certification import subscribers
from services.reporting import projection
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.envelope import Event, Refusal, read_event
from shared.events.wire import BodyRefused, read_message
from tests.contract.models import EVENTS, FACTS, example
from tests.faults.mutations import mutated
from tests.properties import examples

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TYPES = {**offices_to_enrolment.TYPES, **offices_to_certification.TYPES}


def near(names: dict[str, object]) -> st.SearchStrategy[bytes]:
    return st.sampled_from(sorted(names)).flatmap(lambda name: mutated(json.dumps(example(name)).encode()))


@examples(100)
@pytest.mark.parametrize("read", [projection.read, subscribers.read])
@given(body=near(dict(FACTS)))
def test_a_fact_is_read_or_becomes_a_dead_letter(read: Callable[[bytes], object], body: bytes) -> None:
    with suppress(ValueError, LookupError):  # nothing that would be taken for the world's fault and tried for ever
        read(body)


@examples(100)
@given(body=near(dict(EVENTS)))
def test_an_event_is_read_or_refused(body: bytes) -> None:
    with suppress(BodyRefused):
        for raw in read_message(body):
            assert isinstance(read_event(raw, types=TYPES, elsewhere={}, now=NOW), Event | Refusal)
