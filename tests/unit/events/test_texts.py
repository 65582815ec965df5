"""Names as people write them, and texts that only look like names."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.events.codes import TEXT_LIMIT
from shared.events.envelope import Event, Refusal, read_event
from shared.events.offices_to_enrolment import TYPES, CentreRegistered
from shared.events.wire import ONE, read_body


def named(name: Any, language: str = "km") -> Event | Refusal:
    event = {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/offices/kh/ntti",
        "type": "centre.registered.v1",
        "time": "2025-01-01T00:00:00Z",
        "data": {"centre": "a", "names": {language: name}, "country": "KH", "kind": "school"},
    }
    raw = read_body(ONE, json.dumps(event).encode())[0]
    return read_event(raw, types=TYPES, elsewhere={}, now=datetime(2025, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "name",
    [
        "Sok Dara",
        "សុខ ដារ៉ា",
        "វិទ្យាស្ថាន\u200bជាតិ",
        "ສົມສັກ ພົມມະຈັນ",
        "မောင်\u200bမောင်",
        "สมชาย ใจดี",
        "无锡技师学院",
        "Nguyễn Thị Minh Khai",
        "Nguyen\u0302\u0303",
        "عبد\u200cالله",
        "O'Connor-Müller, Jr.",
        "<b>Robert'); DROP TABLE students;--</b>",
        "=HYPERLINK(1)",
        "\U00020bb7野家",
        "👩🏽\u200d🏫",
        "។",
        "x" * TEXT_LIMIT,
        "ក" * TEXT_LIMIT,
    ],
)
def test_a_name_round_trips(name: str) -> None:
    event = named(name)
    assert isinstance(event, Event), event
    assert isinstance(event.data, CentreRegistered)
    kept = CentreRegistered.model_validate_json(event.data.model_dump_json()).names["km"]
    assert kept == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", ["e\u0301", "\u1021\u102d\u102f", "ក\u17d2ក"])
def test_two_writings_of_one_name_are_kept_as_one(name: str) -> None:
    composed, decomposed = (named(unicodedata.normalize(form, name)) for form in ("NFC", "NFD"))
    assert isinstance(composed, Event)
    assert isinstance(decomposed, Event)
    assert composed.data == decomposed.data


@pytest.mark.parametrize(
    "name",
    [
        "a\u202eb",
        "\u202aa",
        "a\u2066b\u2069",
        "a\nb",
        "a\tb",
        "a\rb",
        "a\x1bb",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        " ",
        "\u200b\u200b",
        "\u3000",
        "\ufeff",
        "Sok\ufffe",
        "a\uffffb",
        "a\ufdd0",
        "a\U0001fffe",
        "a\U0010ffff",
    ],
)
def test_no_name(name: str) -> None:
    refusal = named(name)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_text"


def test_what_a_journal_holds_is_read_again_whatever_is_refused_by_now() -> None:
    stored = {"centre": "a", "names": {"km": "Sok\uffff"}, "country": "KH", "kind": "school"}

    assert CentreRegistered.model_validate(stored).names["km"] == "Sok\uffff"


@pytest.mark.parametrize("name", ["", "x" * (TEXT_LIMIT + 1), "ក" * 10_000, "e" + "\u0301" * 10_000, None, 5, ["a"]])
def test_a_name_of_another_length_or_kind(name: Any) -> None:
    refusal = named(name)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_data"
    assert len(refusal.sentence) < 200


@pytest.mark.parametrize("language", ["km", "zh-Hans", "zh-Hans-CN", "khm"])
def test_a_language(language: str) -> None:
    assert isinstance(named("a", language), Event)


@pytest.mark.parametrize("language", ["", "k", "km_KH", "Khmer", "km\n", "ខ្មែរ", "km-", "Sok Dara"])
def test_no_language(language: str) -> None:
    refusal = named("a", language)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_code"
    assert refusal.sentence.startswith("data.names.?.")
