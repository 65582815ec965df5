"""What a row says, as the events that say it; and, when an earlier row with its key said something else, what corrects that.

Pure: what an office's earlier files led to comes in as ``Remembered`` and goes out as what to remember from now on.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from shared.rosters.cells import Flaw
from shared.rosters.columns import PARTS
from shared.rosters.rows import Key, Row

Keyed = Callable[[Any], str]
"""A keyed digest of a JSON value as 32 hexadecimal digits: equal for equal values, and nothing to guess from."""

OF_ROWS: Final = "r-"
"""What the ids of events begin with that rows became."""
_PLACE: Final = ("role", "country", "sending_centre", "employer", "trade")
_IDENTIFIERS: Final = {"national_id": "national-id", "passport": "passport", "centre_number": "centre-number"}
_CONTACT: Final = ("phone", "email")
_EVER: Final = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a row says: the event's type, the day it happened, its data without the person."""

    name: str
    type: str
    day: str
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an office's rows with one key led to: the first event of each statement, and keyed digests of what was said last.

    ``carrier`` is the statement that says who the trainee is, ``turn`` counts corrections of the person. ``said`` is of sessions
    only: how each trainee attended, which is no more than the session's event says, and when that was said.
    """

    events: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    carrier: str | None = None
    turn: int = 0
    said: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    at: datetime | None = None
    """When it was said last: sent, or signed where there was no connection."""


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What the record holds besides what a row says (``recognised.py``).

    ``kept`` are, by statement and of the person, fields of events in force that stay when the row corrects these; ``silent`` are
    fields for which the row's file has no column: it says nothing of them. ``told`` is when the office last said who the
    trainee is, ``corrected`` when anybody last corrected that: a correction counts only after both. ``since`` is when each thing
    was last said by no roster, by the names of planned events. ``otherwise`` is whether something that was said by no roster
    differs from the row.
    """

    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    silent: Collection[str] = ()
    told: datetime | None = None
    corrected: datetime | None = None
    since: Mapping[str, datetime] = field(default_factory=dict)
    otherwise: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """One event to post, and what is to be remembered once it is taken."""

    name: str
    fields: Mapping[str, Any] = field(repr=False)
    remember: Callable[[Remembered], Remembered] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a row: events to post, or why it cannot be said as it stands. Nothing when nothing is new."""

    events: tuple[Planned, ...] = ()
    flaw: Flaw | None = None
    overtaken: bool = False
    """Whether the office said something else of it since: that stands, and is not among the events."""
    otherwise: bool = False
    """Whether what is on record was corrected by hand, and differs from the row."""


def statements_of(row: Row) -> list[Statement]:
    """What a row of trainees, assessments or awards says."""
    says = {"trainees": _of_a_trainee, "assessments": _of_an_assessment, "awards": _of_an_award}
    return says[row.kind](row)


def _of_a_trainee(row: Row) -> list[Statement]:
    found = []
    for name in ("proposed", "enrolled"):
        if (day := row.values.get(f"{name}_on")) is not None:
            data = {**row.says("cohort", "number", *_PLACE), "date": day}
            found.append(Statement(name, f"trainee.{name}.v1", day, data))
    return found


def _of_an_assessment(row: Row) -> list[Statement]:
    values = row.values
    parts = []
    for part in PARTS:
        if f"{part}_mark" in values:
            one = {
                "name": part,
                "mark": values[f"{part}_mark"],
                "out_of": values.get(f"{part}_out_of", 100),
                "passed": values.get(f"{part}_passed", "yes") == "yes",
            }
            if (attempt := values.get(f"{part}_from_attempt")) is not None:
                one["carried_over_from"] = attempt
            parts.append(one)
    data = {
        **row.says("cohort", "number", "scheme", "occupation", "level", "date", "assessor", "result"),
        "attempt": values.get("attempt", 1),
        "parts": parts,
    }
    return [Statement("assessed", "trainee.assessed.v1", values["date"], data)]


def _of_an_award(row: Row) -> list[Statement]:
    award = row.says("cohort", "number", "scheme", "occupation", "level")
    found = []
    if (day := row.values.get("awarded_on")) is not None:
        found.append(Statement("awarded", "certificate.awarded.v1", day, {**award, "date": day}))
    if (number := row.values.get("certificate_number")) is not None:
        day = row.values.get("numbered_on", day)
        data = {**award, "certificate_number": number}
        found.append(Statement("numbered", "certificate.numbered.v1", str(day), data))
    return found


def silent_in(row: Row) -> set[str]:
    """The fields for which the row's file has no column."""
    if row.kind == "trainees":
        return set(_PLACE) - row.columns
    if row.kind == "assessments":
        marks = {f"{part}_mark" for part in PARTS}
        return {"assessor"} - row.columns | (set() if marks & row.columns else {"parts"})
    return set()


def silent_of_a_session(terms: Mapping[str, Any], columns: Set[str]) -> set[str]:
    """The fields of a session for which its rows' file has no column."""
    silent = {"mode"} - columns
    if "held_for" not in terms:
        silent |= {"trade"} - columns
    if not {"held_for", "trade"} & {*terms, *({"held_for"} & columns)}:
        silent |= {"group"}
    return silent


def held(key: Key, terms: Mapping[str, Any], rows: Mapping[str, Sequence[Any]]) -> Statement:
    """A session, from what its rows agree on and from who was remarked: by number, how and for how many hours."""
    data: dict[str, Any] = {
        "cohort": key.cohort,
        "session": int(key.part),
        "date": terms["date"],
        "hours": terms["hours"],
    }
    data |= {name: terms[name] for name in ("trade", "mode") if terms.get(name) is not None}
    if terms.get("held_for") == "listed" and rows:
        data["group"] = sorted(rows)
    data["absent"] = sorted(number for number, said in rows.items() if said[0] == "absent")
    data["partial"] = [
        {"number": number, "hours": said[1]} for number, said in sorted(rows.items()) if said[0] == "partly"
    ]
    return Statement("held", "session.held.v1", terms["date"], data)


# --- the person ----------------------------------------------------------------------------------------------------


def person_of(row: Row) -> dict[str, Any]:
    """Who the trainee is, as far as the row says it; empty when it says nothing."""
    values = row.values
    person: dict[str, Any] = {}
    if "name" in values and "name_romanised" in values:
        person["names"] = {"original": values["name"], "romanised": values["name_romanised"]}
        person["names"] |= {"language": values["name_language"]} if "name_language" in values else {}
    identifiers = []
    for name, kind in _IDENTIFIERS.items():
        if name in values:
            # A centre's number means something only at its centre.
            country = row.says("country") if name != "centre_number" else {}
            identifiers.append({"kind": kind, "number": values[name], **country})
    person |= {"identifiers": identifiers} if identifiers else {}
    person |= row.says("sex", "birth_date", "disability")
    contact = row.says(*_CONTACT)
    return person | ({"contact": contact} if contact else {})


def consent_of(row: Row) -> dict[str, Any] | None:
    if "consent_by" not in row.values:
        return None
    return {
        "by": row.values["consent_by"],
        "date": row.values["consent_on"],
        "notice": row.values["consent_notice"],
        "purposes": row.values.get("consent_purposes", []),
    }


# --- planning ------------------------------------------------------------------------------------------------------


def plan(
    source: str,
    key: Key,
    statements: Iterable[Statement],
    before: Remembered,
    standing: Mapping[str, str],
    keyed: Keyed,
    person: Mapping[str, Any] = MappingProxyType({}),
    consent: Mapping[str, Any] | None = None,
    record: OnRecord = OnRecord(),
) -> Plan:
    """The events that bring the record from what was said before to what is said now.

    ``standing`` is, for each event that is remembered, the one that stands for it now; a trainee is a ``person`` too.
    """
    said = list(statements)
    carrier = before.carrier or (said[-1].name if person else None)
    events: list[Planned] = []
    for statement in said:
        digests, old = _digests_of(statement, keyed), _of(statement, before)
        untold = {f"{statement.name}.{name}" for name in record.silent} & old.keys()
        digests = {name: value for name, value in digests.items() if name not in untold}
        first = before.events.get(statement.name)
        carries = statement.name == carrier and bool(person)
        new_person = carries and before.carrier is None
        new_consent = carries and consent is not None and before.digests.get("consent") != keyed(consent)
        changed = says_anew(statement, before, record.silent, keyed)
        if first is not None and not changed and not new_person and not new_consent:
            continue
        more = record.kept.get(statement.name, {}) if first is not None else {}
        nobody = before.carrier == statement.name and not person and "person" not in more
        if first is not None and (nobody or (untold and statement.name not in record.kept)):
            return Plan(flaw=_DETAILS_MISSING)
        data = {**statement.data, **more}
        remembered = {**digests, **{name: old[name] for name in untold}}
        if carries:
            data["person"] = _joined({"sex": "U", **more.get("person", {})}, person)
            data["person"] |= {"consent": consent} if consent else {}
            remembered |= {"consent": keyed(consent)} if consent else {}
            remembered |= digests_of_person(person, keyed) if new_person else {}
        replaced = standing.get(first, first) if first is not None else None
        id_ = f"{OF_ROWS}{keyed([source, *key, statement.name, statement.day, data, replaced])}"
        events.append(
            Planned(
                statement.name,
                _event(source, id_, statement.type, noon(statement.day), data, replaced),
                _remember(statement.name, first or id_, remembered, carrier if carries else None),
            )
        )
    if before.carrier is not None and person:
        correction = _correction(source, key, person, before, said, keyed, record)
        if isinstance(correction, Flaw):
            return Plan(flaw=correction)
        events += [correction] if correction else []
    return Plan(tuple(events), otherwise=record.otherwise)


def says_anew(statement: Statement, before: Remembered, silent: Collection[str], keyed: Keyed) -> bool:
    """Whether it says something else than what is remembered, of what its file has columns for."""
    mine, old = _digests_of(statement, keyed), _of(statement, before)
    untold = {f"{statement.name}.{name}" for name in silent} & old.keys()
    return any(mine.get(name) != old.get(name) for name in (mine.keys() | old.keys()) - untold)


def _digests_of(statement: Statement, keyed: Keyed) -> dict[str, str]:
    return {f"{statement.name}.{name}": keyed(value) for name, value in statement.data.items()}


def _of(statement: Statement, before: Remembered) -> dict[str, str]:
    return {name: value for name, value in before.digests.items() if name.startswith(f"{statement.name}.")}


def in_its_time(planned: Plan, at: datetime, rows: Remembered | None, record: OnRecord) -> Plan:
    """The plan of a row that was signed at this moment, without what the office said otherwise since: in ``rows`` with the same
    key, or another way. What nothing was said of since is taken, however late it comes: an enrolment without the place, where
    that is what a proposal says since."""
    later = rows if rows and rows.at and rows.at > at else Remembered()
    names = {*later.events, *(["corrected"] if later.carrier else [])}
    events = tuple(one for one in planned.events if one.name not in names and record.since.get(one.name, at) <= at)
    overtaken = len(events) < len(planned.events) or (planned.flaw is not None and bool(names))
    flaw = None if overtaken else planned.flaw
    if "proposed" in later.events or record.since.get("proposed", at) > at:
        events = tuple(_without_its_place(one) if one.name == "enrolled" else one for one in events)
        overtaken = overtaken or (planned.otherwise and bool(events))
    return replace(planned, events=events, flaw=flaw, overtaken=overtaken)


def _without_its_place(enrolled: Planned) -> Planned:
    data = {name: value for name, value in enrolled.fields["data"].items() if name not in _PLACE}
    return replace(enrolled, fields={**enrolled.fields, "data": data})


def _correction(
    source: str,
    key: Key,
    person: Mapping[str, Any],
    before: Remembered,
    said: Sequence[Statement],
    keyed: Keyed,
    record: OnRecord,
) -> Planned | Flaw | None:
    """What the row says of the person that it did not say before: enrolment, marks and certificates stand."""
    digests = digests_of_person(person, keyed)
    changed = {name for name, value in digests.items() if before.digests.get(name) != value}
    if not changed:
        return None
    differs = {one.partition("/")[0].removeprefix("person.") for one in changed}
    whole = _joined({name: value for name, value in record.kept.get("person", {}).items() if name in differs}, person)
    data = {name: value for name, value in whole.items() if name in differs}
    there = digests_of_person(data, keyed)
    for listed in ("identifiers", "contact"):
        # These are told as a whole: one that was said before and that nobody here knows would be taken away.
        if listed in data and any(
            name.startswith(f"person.{listed}/") and name not in there for name in before.digests
        ):
            return _DETAILS_MISSING
    turn = before.turn + 1
    day = next((one.day for one in said if one.name == before.carrier), said[-1].day)
    fields = {"cohort": key.cohort, "number": key.number, **data}
    id_ = f"{OF_ROWS}{keyed([source, *key, 'corrected', fields, turn])}"
    return Planned(
        "corrected",
        _event(source, id_, "person.corrected.v1", _later(day, turn, record), fields, None),
        lambda known: replace(known, digests={**known.digests, **digests}, turn=turn),
    )


def _joined(there: Mapping[str, Any], person: Mapping[str, Any]) -> dict[str, Any]:
    """The row's person, with what is known besides: documents of other kinds, ways to reach them, the name's language."""
    joined = {**there, **person}
    for name in ("names", "contact"):
        if name in person and name in there:
            joined[name] = {**there[name], **person[name]}
    if "identifiers" in person:
        kinds = {one["kind"] for one in person["identifiers"]}
        others = [one for one in there.get("identifiers", ()) if one["kind"] not in kinds]
        joined["identifiers"] = [*others, *person["identifiers"]]
    return joined


def digests_of_person(person: Mapping[str, Any], keyed: Keyed) -> dict[str, str]:
    """By part, one for each document and each way to reach them."""
    digests: dict[str, str] = {}
    for name, value in person.items():
        if name == "identifiers":
            digests |= {f"person.identifiers/{one['kind']}": keyed(one) for one in value}
        elif name == "contact":
            digests |= {f"person.contact/{kind}": keyed(one) for kind, one in value.items()}
        else:
            digests[f"person.{name}"] = keyed(value)
    return digests


def _remember(
    name: str, first: str, digests: Mapping[str, str], carrier: str | None
) -> Callable[[Remembered], Remembered]:
    def remember(known: Remembered) -> Remembered:
        others = {key: value for key, value in known.digests.items() if not key.startswith(f"{name}.")}
        return replace(
            known,
            events={**known.events, name: first},
            digests={**others, **digests},
            carrier=known.carrier or carrier,
        )

    return remember


def noon(day: str) -> str:
    """The moment of what a row says happened on a day: noon in Greenwich, which is that day wherever the programme works.

    Only the day is known, and it is the cohort's own; two computers must come to the same moment, wherever they stand.
    """
    return f"{day}T12:00:00+00:00"


def _later(day: str, turn: int, record: OnRecord) -> str:
    """The moment of a row's correction of a person: corrections go by their time, and one from before the event that told who
    the trainee is would change nothing. A second's distance keeps them in the order in which they were made."""
    told = max(datetime.fromisoformat(noon(day)), record.told or _EVER) + timedelta(seconds=turn)
    corrected = (record.corrected or _EVER) + timedelta(seconds=1)
    return max(told, corrected).astimezone(UTC).isoformat()


def _event(
    source: str, id_: str, type_: str, time: str, data: Mapping[str, Any], replaces: str | None
) -> dict[str, Any]:
    fields = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "time": time,
        "datacontenttype": "application/json",
        "data": dict(data),
    }
    return fields | ({"replaces": replaces} if replaces else {})


_DETAILS_MISSING: Final = Flaw(
    "details_missing",
    "An earlier file said more of this trainee, in columns that this row leaves empty: to tell the change, all of it is needed.",
    "Fill in the columns of the earlier file again, with the change.",
)
