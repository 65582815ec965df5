"""The demo: the offices of a file of events post them, each with a token of its own, and reporting shows what came of it."""

import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from services.client import Client
from services.eventfiles import Line, ServiceName, batches
from shared.events.codes import SOURCE_PATTERN, Role

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "wuxi-2025" / "events.ndjson"
DIMENSIONS = ("trade", "role", "sex")

SERVICES: tuple[ServiceName, ...] = ("enrolment", "certification")
ATTESTED_WITHIN = 30.0
"""Seconds that the demo waits for signatures before it says what there is to see."""
_SOURCE = re.compile(SOURCE_PATTERN)
_ROLES = frozenset(get_args(Role))
_REGISTERS = {
    "programme.registered.v1": "coordinator",
    "centre.registered.v1": "coordinator",
    "scheme.registered.v1": "awarding-body",
    "recognition.granted.v1": "recognition-authority",
    "recognition.withdrawn.v1": "recognition-authority",
}


def post_as_offices(administrator: Client, lines: list[Line], say: Callable[[str], None]) -> Counter[str]:
    """Register the file's offices, post every line as its own office, and wait until reporting has it all.

    Lines without a readable source are posted by the administrator, so that their receipts say what is wrong. The counts are of
    receipts by status.
    """
    roles = offices_of(lines)
    tokens = {}
    for source, held in roles.items():
        country, code = source.split("/")[2:4]
        office = {"office": source, "name": f"{code} ({country})", "roles": sorted(held), "officer": "demo"}
        tokens[source] = administrator.add_office(office)["token"]
    administrator.wait_until_certification_heard()  # from here on it knows the tokens
    counts: Counter[str] = Counter()
    posted_by: dict[str | None, list[Line]] = defaultdict(list)
    for line in lines:
        posted_by[line.source if line.source in roles else None].append(line)
    for poster, own in posted_by.items():
        client = administrator.as_officer(tokens[poster]) if poster else administrator
        for batch in batches(sorted(own, key=lambda line: line.service)):
            receipts = client.post_events(batch)["receipts"]
            counts.update(receipt["status"] for receipt in receipts)
            for receipt, line in zip(receipts, batch, strict=True):
                if receipt["status"] == "rejected":
                    say(f"{line.file}:{line.place}: rejected, {receipt['code']}: {receipt['sentence']}")
        say(f"{poster or 'the administrator'} posted {len(own)} events")
    administrator.wait_until_reported()
    return counts


def every_measure(administrator: Client) -> dict[str, Any]:
    """The aggregates by trade, role and sex of every measure: by these, people are counted only when they are named."""
    measures = administrator.get("reporting", "/v1/aggregates")["measures"]
    asked = [*(("measure", name) for name in measures), *(("by", name) for name in DIMENSIONS)]
    report: dict[str, Any] = administrator.get("reporting", "/v1/aggregates", asked)
    return report


def say_what_is_open(administrator: Client, say: Callable[[str], None]) -> int:
    """Name every event that waits or conflicts by now, and say how many they are."""
    found = 0
    for service in SERVICES:
        for status in ("waiting", "conflict"):
            for event in administrator.every(service, "/v1/events", [("status", status)]):
                found += 1
                current = event["current"]
                say(f"{event['source']} {event['id']}: {status}, {current['code']}: {current['sentence']}")
    return found


def attested(administrator: Client) -> dict[str, Any] | None:
    """A certificate that is public, once all are that will be; None where none is within a while."""
    deadline = time.monotonic() + ATTESTED_WITHIN
    while time.monotonic() < deadline and administrator.get("certification", "/v1/issuer")["waiting"]:
        time.sleep(0.2)
    found = administrator.every("certification", "/v1/certificates", [("status", "issued")])
    return next((one for one in found if one["attestation"]), None)


def offices_of(lines: list[Line]) -> dict[str, set[str]]:
    """The offices that a file's events come from, with the roles that its cohorts and registrations give them."""
    roles: dict[str, set[str]] = {}
    given: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        event = _fields(line)
        source = event.get("source")
        if isinstance(source, str) and _SOURCE.fullmatch(source):
            roles.setdefault(source, set())
            if role := _REGISTERS.get(str(event.get("type"))):
                given[source].add(role)
        data = event.get("data")
        parties = data.get("parties") if isinstance(data, dict) else None
        for party in parties if isinstance(parties, list) else []:
            role = party.get("role") if isinstance(party, dict) else None
            if isinstance(role, str) and role in _ROLES:
                given[str(party.get("office"))].add(role)
    return {source: given[source] or {"reader"} for source in roles}


def _fields(line: Line) -> dict[str, Any]:
    try:
        fields = json.loads(line.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
