"""What each service hears and says over NATS, as an AsyncAPI 3 document.

Made from the models and the streams themselves. FastStream's own document knows a batch of raw messages (array of any) and
nothing of what the relay publishes: docs/decisions/0013.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.correlation import HEADER, TRACEPARENT
from shared.events import certification, enrolment, offices_to_certification, offices_to_enrolment
from shared.events.codes import CODE_PATTERN, Model
from shared.events.deadletters import DeadLetterAnnounced
from shared.events.figures import FiguresMoved
from shared.events.receipts import Announcement
from shared.events.wire import BATCH, BODY_LIMIT, EVENTS_LIMIT, ONE
from shared.rights import CHANGES, FIGURES
from shared.schemas import Schema, events, facts, one_of, ref, schema_description, schemas_of
from shared.streams import DAY, STREAMS

VERSION: Final = "1"
"""Of the contract: it stays while every address and type of version 1 stays."""

LICENCE: Final = {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}

_COUNTRY: Final = "a country in lower case, such as kh"
PARAMETERS: Final[Mapping[str, str]] = {
    "centre": "the centre's code",
    "certificate": "the certificate's id",
    "cohort": "the cohort's code",
    "country": _COUNTRY,
    "number": "the trainee's number in the cohort",
    "office": "the office's code",
    "programme": "the programme's code",
    "recognition": "the recognition's id",
    "scheme": "the scheme's code",
}
"""What stands between the dots of a subject."""


HEADERS: Final[Schema] = {
    "type": "object",
    "properties": {
        HEADER: {
            "type": "string",
            "pattern": CODE_PATTERN,
            "description": "Follows an event through every log and everything that it causes. Without one, a new one is made.",
        },
        TRACEPARENT: {"type": "string", "description": "W3C Trace Context: the trace that it is part of, if it is."},
    },
}
"""What goes beside the payload of each message."""


@dataclass(frozen=True)
class Facts:
    """What a service tells the others: the data and the address of each fact type."""

    service: str
    stream: str
    data: Mapping[str, type[Model]]
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class Contract:
    """What a service takes of offices, tells everyone, and hears of the other services."""

    service: str
    about: str
    takes: Mapping[str, type[Model]]
    tells: Facts | None
    hears: tuple[Facts, ...] = ()


_ENROLMENT = Facts("enrolment", "ENROLMENT", enrolment.DATA, enrolment.ADDRESSES)
_CERTIFICATION = Facts("certification", "CERTIFICATION", certification.DATA, certification.ADDRESSES)

CONTRACTS: Final[Mapping[str, Contract]] = {
    contract.service: contract
    for contract in (
        Contract(
            "enrolment",
            "Cohorts, their trainees and sessions. The only place that knows a name.",
            offices_to_enrolment.TYPES,
            _ENROLMENT,
        ),
        Contract(
            "certification",
            "Certification schemes, assessments, certificates, and what countries recognise of them.",
            offices_to_certification.TYPES,
            _CERTIFICATION,
            (_ENROLMENT,),
        ),
        Contract(
            "reporting",
            "One cube of counts that follows the facts of the other two services.",
            {},
            None,
            (_ENROLMENT, _CERTIFICATION),
        ),
    )
}


def document(contract: Contract) -> Schema:
    """The service's AsyncAPI 3.0 document."""
    made = _Document(contract.service)
    if contract.takes:
        made.intake(contract.takes)
    for told in (contract.tells,) if contract.tells else ():
        made.facts(told, "send")
    for heard in contract.hears:
        made.facts(heard, "receive")
    if contract.service == "reporting":
        made.moves()
    made.dead_letters()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Sampan {contract.service}",
            "version": VERSION,
            "description": f"{contract.about} Every message is JSON in UTF-8; receivers pass over fields that they do not "
            "know. Delivery is at least once: an event is known by its source and id, a fact by epoch and revision. "
            f"What stands in a subject for a name in braces matches {CODE_PATTERN}.",
            "license": LICENCE,
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "{host}:{port}",
                "protocol": "nats",
                "description": "nats-server with JetStream. An office may send its own intake and read its own receipts.",
                "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "4222"}},
                "security": [{"$ref": "#/components/securitySchemes/credentials"}],
            }
        },
        "channels": made.channels,
        "operations": made.operations,
        "components": {
            "schemas": dict(sorted(made.schemas.items())),
            "securitySchemes": {
                "credentials": {
                    "type": "asymmetricEncryption",
                    "description": "A NATS user: its JWT, and its nkey to sign the server's challenge with (a .creds file).",
                }
            },
        },
    }


class _Document:
    """Channels, operations and schemas of one service as they are gathered."""

    def __init__(self, service: str) -> None:
        self.channels: dict[str, Schema] = {}
        self.operations: dict[str, Schema] = {}
        self.schemas: dict[str, Schema] = {}
        self._service = service

    def intake(self, types: Mapping[str, type[Model]]) -> None:
        """Events come in one by one or in batches, and each is answered on its office's receipts."""
        self.schemas |= events(types) | schemas_of([Announcement])
        self._channel(
            "intake",
            f"intake.{self._service}.{{country}}.{{office}}",
            "INTAKE",
            f"Events of one office: one, or a batch, in a message of at most {BODY_LIMIT:,} bytes.",
            {
                **{name: _message(name, ref(name), ONE, schema_description(model)) for name, model in types.items()},
                "batch": _message(
                    "batch",
                    {"type": "array", "maxItems": EVENTS_LIMIT, "items": one_of(types)},
                    BATCH,
                    "Events of any of the types in one message; each gets its own receipt.",
                ),
            },
        )
        self._channel(
            "receipts",
            "receipts.{country}.{office}",
            "RECEIPTS",
            "The receipt of every event of one office, and every later change of it. Both services write here.",
            {"receipt": _message("receipt", ref("Announcement"), "application/json", schema_description(Announcement))},
        )
        self._operation(
            "take-events",
            "receive",
            "intake",
            "Take events of offices. Each is answered on the office's receipts.",
            reply={
                "channel": {"$ref": "#/channels/receipts"},
                "messages": [{"$ref": "#/channels/receipts/messages/receipt"}],
            },
        )
        self._operation("give-receipts", "send", "receipts", "Say what became of an event, now or by what came later.")

    def facts(self, of: Facts, action: str) -> None:
        """One channel for each type of fact."""
        self.schemas |= facts(of.data, of.service)
        for name, model in of.data.items():
            kind, _, version = name.rpartition(".")
            about = schema_description(model)
            self._channel(
                f"{of.service}-{kind}-{version}",
                of.addresses[name],
                of.stream,
                f"What {of.service} holds to be true of one {kind}: the whole of it, each time it changes.",
                {name: _message(name, ref(name), ONE, about)},
            )
            verb = "tell" if action == "send" else "hear"
            said = (
                f"Tell every change of a {kind}." if action == "send" else f"Hear every change of a {kind}, in order."
            )
            self._operation(f"{verb}-{kind}-{version}", action, f"{of.service}-{kind}-{version}", said)

    def moves(self) -> None:
        """Which figures moved; every office may hear it."""
        self.schemas |= schemas_of([FiguresMoved])
        about = schema_description(FiguresMoved)
        message = _message("moved", ref("FiguresMoved"), "application/json", about)
        self._channel("changes", FIGURES, CHANGES, "Which figures moved, and up to which position.", {"moved": message})
        self._operation("announce-changes", "send", "changes", "Say that figures moved.")

    def dead_letters(self) -> None:
        """What could not be settled is announced without its body."""
        self.schemas |= schemas_of([DeadLetterAnnounced])
        about = schema_description(DeadLetterAnnounced)
        self._channel(
            "dead-letters",
            f"deadletter.{self._service}",
            "DEADLETTERS",
            "Messages that the service could not settle.",
            {"dead-letter": _message("dead-letter", ref("DeadLetterAnnounced"), "application/json", about)},
        )
        self._operation("announce-dead-letters", "send", "dead-letters", "Say that a message could not be settled.")

    def _channel(self, name: str, address: str, stream: str, about: str, messages: Mapping[str, Schema]) -> None:
        parameters = {part: {"description": PARAMETERS[part]} for part in re.findall(r"{(\w+)}", address)}
        self.channels[name] = {
            "address": address,
            "description": f"{about} {_kept(stream)}",
            **({"parameters": parameters} if parameters else {}),
            "messages": dict(messages),
            "x-stream": stream,
        }

    def _operation(self, name: str, action: str, channel: str, summary: str, **more: Any) -> None:
        self.operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
            "messages": [
                {"$ref": f"#/channels/{channel}/messages/{message}"} for message in self.channels[channel]["messages"]
            ],
            **more,
        }


def _message(name: str, payload: Schema, content_type: str, about: str) -> Schema:
    return {
        "name": name,
        "contentType": content_type,
        **({"description": about} if about else {}),
        "headers": HEADERS,
        "payload": payload,
    }


def _kept(stream: str) -> str:
    """How long messages stay, as the stream is made."""
    settings = STREAMS[stream]
    if settings.retention == "workqueue":
        return f"The stream {stream} keeps a message until it is taken in."
    if settings.max_age:
        return f"The stream {stream} keeps messages for {settings.max_age / DAY:.0f} days."
    return f"The stream {stream} keeps every message."
