"""The job, as every peer does it: what to take, what a trainee's record becomes, and what is counted of it. No I/O.

A peer keeps less than the program does: no personal details, rosters, receipts, history or coarser cubes, one record for
each enrolment, and four measures. It takes events from whoever brings them, without HTTP, tokens or rights. All of it is in
its favour.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from bench.judge import UNKNOWN, Row

TYPES = frozenset({
    "centre.registered.v1", "certificate.awarded.v1", "certificate.numbered.v1", "certificate.replaced.v1",
    "cohort.announced.v1", "cohort.changed.v1", "cohort.closed.v1", "cohort.started.v1", "competitor.nominated.v1",
    "competitor.placed.v1", "event.voided.v1", "outcome.reported.v1", "person.corrected.v1", "programme.registered.v1",
    "scheme.registered.v1", "session.held.v1", "trainee.assessed.v1", "trainee.completed.v1", "trainee.declined.v1",
    "trainee.enrolled.v1", "trainee.proposed.v1", "trainee.withdrawn.v1",
})  # fmt: skip
_CODE = re.compile(r"[a-z0-9-]{1,63}")

Record = dict[str, Any]
"""Of one enrolment: country, enrolled, completed, and awards by scheme, occupation and level."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event that can be taken."""

    source: str
    id: str
    type: str
    time: datetime
    data: dict[str, Any]

    @property
    def trainee(self) -> tuple[str, str] | None:
        """Whom it is about: cohort and number."""
        return (self.data["cohort"], self.data["number"]) if "number" in self.data else None


def read(body: bytes) -> Said | None:
    """None of what nobody can take: no known type, no certain time, no real day, no code."""
    try:
        event = json.loads(body)
        time, data = datetime.fromisoformat(event["time"]), event["data"]
        if event["type"] not in TYPES or time.tzinfo is None:
            return None
        if "date" in data:
            date.fromisoformat(data["date"])
        if not all(_CODE.fullmatch(data[name]) for name in ("cohort", "number") if name in data):
            return None
        return Said(event["source"], event["id"], event["type"], time, data)
    except (ValueError, KeyError, TypeError):
        return None


def evolved(record: Record, said: Said) -> Record:
    """The record after one more event, whatever the order in which they come."""
    data = said.data
    match said.type:
        case "trainee.proposed.v1":
            return record | {"country": data["country"]}
        case "trainee.enrolled.v1":
            return record | {"enrolled": data["date"]}
        case "trainee.completed.v1":
            return record | {"completed": data["date"]}
        case "trainee.assessed.v1" if data["result"] == "pass":
            passed = record.get("awards", {}).get(_award(data), {}).get("passed", data["date"])
            return _with_award(record, data, passed=min(passed, data["date"]))
        case "certificate.awarded.v1":
            return _with_award(record, data, awarded=data["date"])
        case "certificate.numbered.v1" | "certificate.replaced.v1":
            moment = said.time.timestamp()
            if record.get("awards", {}).get(_award(data), {}).get("moment", 0) < moment:
                return _with_award(record, data, moment=moment, printed=data["certificate_number"])
    return record


def awards(cohort: str, number: str, record: Record, rules: dict[str, str]) -> list[Row]:
    """The certification records, as the judge looks at them. ``rules`` are the schemes'."""
    return [
        (cohort, number, *key.split(" "), day, award.get("printed"))
        for key, award in record.get("awards", {}).items()
        if (day := _certified(record, key, award, rules))
    ]


def counted(cohort: str, record: Record, rules: dict[str, str]) -> Counter[Row]:
    """What a record adds to each aggregate."""
    cells: Counter[Row] = Counter()
    country = record.get("country", UNKNOWN)
    for measure in ("enrolled", "completed"):
        if day := record.get(measure):
            cells[measure, day[:7], country, cohort] += 1
    for key, award in record.get("awards", {}).items():
        for measure, day in (("passed", award.get("passed")), ("certified", _certified(record, key, award, rules))):
            if day:
                cells[measure, day[:7], country, cohort] += 1
    return cells


def difference(cohort: str, old: Record, new: Record, rules: dict[str, str]) -> list[tuple[Row, int]]:
    """What an aggregate is to be changed by: new - old, always in one order, so that two workers never wait for each other."""
    change = counted(cohort, new, rules)
    change.subtract(counted(cohort, old, rules))
    return sorted((cell, by) for cell, by in change.items() if by)


def _certified(record: Record, key: str, award: Record, rules: dict[str, str]) -> str | None:
    if "awarded" in award:
        return str(award["awarded"])
    passed, completed = award.get("passed"), record.get("completed")
    if rules.get(key.partition(" ")[0]) == "on_pass" and passed and completed:
        return max(str(passed), str(completed))
    return None


def _award(data: dict[str, Any]) -> str:
    return f"{data['scheme']} {data['occupation']} {data['level']}"


def _with_award(record: Record, data: dict[str, Any], **fields: Any) -> Record:
    of_trainee = record.get("awards", {})
    key = _award(data)
    return record | {"awards": of_trainee | {key: of_trainee.get(key, {}) | fields}}
