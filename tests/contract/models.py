"""Every message of the contract by the name of its frozen schema: a type with its version, or an envelope."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from shared.events import certification, enrolment, offices_to_certification, offices_to_enrolment
from shared.events.codes import Model
from shared.events.deadletters import DeadLetterAnnounced
from shared.events.envelope import Envelope
from shared.events.facts import FactEnvelope
from shared.events.figures import FiguresMoved
from shared.events.receipts import Announcement, Receipts

SCHEMAS = Path(__file__).parent / "schemas"
EXAMPLES = Path(__file__).parent / "examples"

EVENTS: dict[str, type[Model]] = {**offices_to_enrolment.TYPES, **offices_to_certification.TYPES}
FACTS: dict[str, type[Model]] = {**enrolment.DATA, **certification.DATA}
ENVELOPES: dict[str, type[Model]] = {
    "event": Envelope,
    "fact": FactEnvelope,
    "receipts": Receipts,
    "announcement": Announcement,
    "deadletter": DeadLetterAnnounced,
    "moved": FiguresMoved,
}
MODELS: dict[str, type[Model]] = {**EVENTS, **FACTS, **ENVELOPES}


@cache
def schema(model: type[Model]) -> dict[str, Any]:
    """Today's JSON Schema of a message as it is read."""
    return model.model_json_schema(mode="validation")


def frozen(name: str) -> dict[str, Any]:
    """The schema that others rely on."""
    text: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return text


def example(name: str) -> dict[str, Any]:
    """A message as it was sent when its schema was frozen: whole, in its envelope."""
    text: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return text


def payload(name: str) -> dict[str, Any]:
    """The part of the example that the schema of this name describes."""
    whole = example(name)
    data: dict[str, Any] = whole["data"] if name in EVENTS or name in FACTS else whole
    return data
