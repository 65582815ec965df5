"""What an office said before in another way than by a roster (by the desk's forms, by a program), as a row with its key finds it.

A row that tells the same is a row that was sent before; one that tells something else corrects that. What the row leaves empty
says nothing here: the other way may have had more to say than a spreadsheet has columns for. Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.persons import Consent
from shared.rosters.columns import PARTS
from shared.rosters.rows import Row
from shared.rosters.statements import (
    OF_ROWS,
    Keyed,
    OnRecord,
    Remembered,
    Statement,
    consent_of,
    digests_of_person,
    person_of,
    says_anew,
    silent_in,
    statements_of,
)

NAMES: Final[Mapping[str, str]] = {
    "trainee.proposed.v1": "proposed",
    "trainee.enrolled.v1": "enrolled",
    "person.corrected.v1": "corrected",
    "session.held.v1": "held",
    "trainee.assessed.v1": "assessed",
    "certificate.awarded.v1": "awarded",
    "certificate.numbered.v1": "numbered",
}
"""The types that a roster's rows say, by what a row calls them."""
OUT: Final = (
    "voided",
    "replaced",
    "already_replaced",
    "replaces_itself",
    "type_differs",
    "belongs_elsewhere",
    "details_forgotten",
)
"""Codes of events that stand for nothing: no row is about these."""
_TYPES: Final = {**offices_to_enrolment.TYPES, **offices_to_certification.TYPES}
_SAID_EMPTY: Final = ("absent", "partial")
"""Lists that say something when nothing is in them: nobody was absent."""
_PLACES: Final = (timedelta(hours=-12), timedelta(0), timedelta(hours=14))


@dataclass(frozen=True, slots=True)
class Said:
    """An event that nothing took back, as it was said: a row's office's own, or, of corrections of a person, anybody's."""

    id: str
    type: str
    time: datetime
    recorded: datetime
    own: bool
    stands: bool
    """Whether it is on record, or may be once what it waits for has come."""
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a row stands for by now: its statements, what is remembered of them, and what the record holds besides."""

    statements: Sequence[Statement]
    before: Remembered | None
    record: OnRecord
    person: Mapping[str, Any] = field(default_factory=dict, repr=False)
    consent: Mapping[str, Any] | None = field(default=None, repr=False)


def recognise(
    said: Iterable[Said],
    statements: Sequence[Statement],
    keyed: Keyed,
    before: Remembered | None = None,
    *,
    person: Mapping[str, Any] | None = None,
    consent: Mapping[str, Any] | None = None,
    empty: Collection[str] = (),
    silent: Collection[str] = (),
) -> Recognised:
    """The row that says ``statements`` of this ``person``, against what was ``said``; the last of each type counts.

    What rows with its key led to comes as ``before``, and counts before what was said otherwise. ``empty`` are fields of which
    the row says that they have nothing in them, ``silent`` those for which its file has no column.
    """
    said = _of_its_level(said, statements, before)
    last = {NAMES[one.type]: one for one in said if one.own}
    statements = _numbered_with_its_award(statements, last)
    known = {name: _whole(one) for name, one in last.items() if name != "corrected"}
    if "enrolled" in known and "proposed" in known:  # an enrolment names only what differs from the proposal
        known["enrolled"] = {**known["proposed"], "person": None, "date": None, **_named(known["enrolled"])}
    told = _told(last, known)
    otherwise = False
    if known:
        adopted = _as_remembered(last, known, told, statements, keyed, person or {}, consent, empty)
        otherwise = any(
            says_anew(one, adopted, silent, keyed)
            for one in statements
            if one.name in known and not last[one.name].id.startswith(OF_ROWS)
        )
        otherwise |= _person_by_hand(said) and any(
            adopted.digests.get(name) != digest for name, digest in digests_of_person(person or {}, keyed).items()
        )
        before = adopted if before is None else _filled(before, adopted)
    if before is None:
        return Recognised(statements, None, OnRecord())
    kept = {
        statement.name: {
            name: value
            for name, value in _named(known[statement.name]).items()
            if name not in (*_SAID_EMPTY, *empty, "enrolment")
            and statement.data.get(name) in (None, [])
            and (name in silent or f"{statement.name}.{name}" not in before.digests)
        }
        for statement in statements
        if statement.name in known
    }
    record = OnRecord(
        {**kept, "person": _named(told)},
        silent,
        max((one.time for one in said if one.own and one.data.get("person")), default=None),
        max((one.time for one in said if one.type == "person.corrected.v1"), default=None),
        _since(said),
        otherwise,
    )
    return Recognised(statements, before, record)


def _of_its_level(said: Iterable[Said], statements: Iterable[Statement], before: Remembered | None) -> list[Said]:
    """What was said of these levels: another level is another award. Marks that a row gave another level are corrected by it; but
    not those that the office gave a third one by hand."""
    said = list(said)
    levels = {statement.data.get("level") for statement in statements} - {None}
    own = [one for one in said if not levels or one.data.get("level") in levels]
    moved = before is not None and "assessed" in before.events and not any(NAMES[one.type] == "assessed" for one in own)
    given = [one for one in said if moved and NAMES[one.type] == "assessed"]
    return own + ([one for one in given if one.id.startswith(OF_ROWS)] or given)


def _since(said: Iterable[Said]) -> dict[str, datetime]:
    """When the office last said each thing by no roster, whose rows are remembered with when they were signed."""
    since: dict[str, datetime] = {}
    for one in said:
        if one.own and one.stands and not one.id.startswith(OF_ROWS):
            for name in {NAMES[one.type], *(["corrected"] if one.data.get("person") else [])}:
                since[name] = max(one.recorded, since.get(name, one.recorded))
    return since


def of_row(row: Row, said: Iterable[Said], before: Remembered | None, keyed: Keyed) -> Recognised:
    """The same for a row of trainees, assessments or awards."""
    statements = statements_of(row)
    said = _of_its_level(said, statements, before)
    person, consent = _with_what_was_said(row, said, before, keyed) if row.kind == "trainees" else ({}, None)
    statements = [_with_parts(one, said, row.columns) if one.name == "assessed" else one for one in statements]
    silent = silent_in(row)
    found = recognise(said, statements, keyed, before, person=person, consent=consent, silent=silent)
    return replace(found, person=person, consent=consent)


def _with_what_was_said(
    row: Row, said: Sequence[Said], before: Remembered | None, keyed: Keyed
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The row's person and consent, with what was said of them and the row's file has no column for: the name's language, the
    country of a document, what the consent is for."""
    person, consent = person_of(row), consent_of(row)
    persons = [one.data.get("person") or one.data for one in reversed(said) if one.own]
    digests = before.digests if before is not None else {}

    def whole(name: str, mine: dict[str, Any], part: str, others: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        told = [{**mine, part: other[part]} for other in others if other.get(part) is not None] or [mine]
        # The last one that was told, but for a row that says what an earlier one said: then it was as that one said it.
        return next((one for one in (*told, mine) if keyed(one) == digests.get(name)), told[0])

    if "names" in person and "name_language" not in row.columns:
        others = [other.get("names") or {} for other in persons]
        person["names"] = whole("person.names", person["names"], "language", others)
    if "identifiers" in person and "country" not in row.columns:
        documents = [one for other in persons for one in other.get("identifiers") or ()]
        person["identifiers"] = [
            whole(
                f"person.identifiers/{one['kind']}", one, "country", [o for o in documents if o["kind"] == one["kind"]]
            )
            for one in person["identifiers"]
        ]
    if not person or consent is None or "consent_purposes" in row.columns:
        return person, consent if person else None
    return person, whole("consent", consent, "purposes", [other.get("consent") or {} for other in persons])


def _with_parts(statement: Statement, said: Sequence[Said], columns: Set[str]) -> Statement:
    """An assessment with what was said of its parts and the row's file has no column for."""
    last = next((one.data for one in reversed(said) if one.own and NAMES[one.type] == statement.name), None)
    if last is None:
        return statement
    told = {part["name"]: whole_numbers(part) for part in last.get("parts") or ()}
    parts = {name: part for name, part in told.items() if f"{name}_mark" not in columns}
    for part in statement.data["parts"]:
        there = told.get(part["name"], {})
        fields = {"out_of": "out_of", "carried_over_from": "from_attempt"}
        if last["result"] == statement.data["result"]:
            fields["passed"] = "passed"
        silent = {name for name, column in fields.items() if f"{part['name']}_{column}" not in columns}
        parts[part["name"]] = {**part, **{name: there[name] for name in silent & there.keys()}}
    ordered = sorted(parts, key=lambda name: (PARTS.index(name) if name in PARTS else len(PARTS), name))
    return replace(statement, data={**statement.data, "parts": [parts[name] for name in ordered]})


def _filled(before: Remembered, adopted: Remembered) -> Remembered:
    """What rows led to, with what was never said by one."""
    by_rows = {name.partition(".")[0] for name in before.digests}
    names = adopted.events.keys() - by_rows
    if before.carrier is None and adopted.carrier:
        names |= {"person", "consent"}
    return replace(
        before,
        events={name: id_ for name, id_ in adopted.events.items() if name in names} | dict(before.events),
        digests={name: one for name, one in adopted.digests.items() if name.partition(".")[0] in names}
        | dict(before.digests),
        carrier=before.carrier or adopted.carrier,
    )


def _as_remembered(
    last: Mapping[str, Said],
    known: Mapping[str, Mapping[str, Any]],
    told: Mapping[str, Any],
    statements: Iterable[Statement],
    keyed: Keyed,
    person: Mapping[str, Any],
    consent: Mapping[str, Any] | None,
    empty: Collection[str],
) -> Remembered:
    """As if a row like this one had been sent, and had said what was said."""
    digests: dict[str, str] = {}
    for statement in statements:
        if statement.name not in known:
            continue
        there, mine = known[statement.name], _whole_of(statement.type, statement.data)
        for name, value in statement.data.items():
            silent = value in (None, []) and name not in _SAID_EMPTY
            same = silent or _alike(name, mine.get(name), there.get(name), last[statement.name].time)
            digests[f"{statement.name}.{name}"] = keyed(value if same else ["another", name])
        digests |= {f"{statement.name}.{name}": keyed(["another", name]) for name in empty if there.get(name)}
    carrier = next((name for name in ("enrolled", "proposed") if _person_in(known, name)), None)
    if carrier:
        digests |= _person(told, person, consent, keyed)
    return Remembered({name: last[name].id for name in known}, digests, carrier)


def _person_by_hand(said: Iterable[Said]) -> bool:
    """Whether who the trainee is was last said by no roster."""
    told = [one for one in said if one.own and (one.type == "person.corrected.v1" or one.data.get("person"))]
    return bool(told) and not told[-1].id.startswith(OF_ROWS)


def _person_in(known: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return known.get(name, {}).get("person") or {}


def _told(last: Mapping[str, Said], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Who the trainee is, as the office last said it."""
    told: dict[str, Any] = {}
    for name in ("proposed", "enrolled"):
        for part, value in _person_in(known, name).items():
            if part == "identifiers":
                told[part] = [*(one for one in told.get(part, []) if one not in value), *value]
            elif value not in (None, "not-stated") or part not in told:
                told[part] = value
    corrected = _whole(last["corrected"]) if "corrected" in last else {}
    return told | {name: value for name, value in corrected.items() if value is not None}


def _person(
    told: Mapping[str, Any], person: Mapping[str, Any], consent: Mapping[str, Any] | None, keyed: Keyed
) -> dict[str, str]:
    """Digests of a person as the row would have given them: the row's own where it says the same."""
    digests: dict[str, str] = {}
    for name, value in person.items():
        if name == "identifiers":
            others = list(told.get(name) or ())
            for one in value:
                found = any(_same_document(other, one) for other in others)
                digests[f"person.{name}/{one['kind']}"] = keyed(one if found else ["another", one["kind"]])
        elif name == "contact":
            there = told.get(name) or {}
            digests |= {
                f"person.{name}/{kind}": keyed(one if there.get(kind) == one else ["another", kind])
                for kind, one in value.items()
            }
        elif name == "names":
            digests[f"person.{name}"] = keyed(value if _covers(told.get(name) or {}, value) else ["another", name])
        else:
            digests[f"person.{name}"] = keyed(value if told.get(name) == value else ["another", name])
    # What only the other way told, and a correction that is told whole would take away.
    for one in told.get("identifiers") or ():
        digests.setdefault(f"person.identifiers/{one['kind']}", keyed(one))
    for kind, one in (told.get("contact") or {}).items():
        if one is not None:
            digests.setdefault(f"person.contact/{kind}", keyed(one))
    if consent is not None and told.get("consent"):
        mine = Consent.model_validate(consent).model_dump(mode="json")
        digests["consent"] = keyed(consent if told["consent"] == mine else ["another", "consent"])
    return digests


def _covers(there: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
    """Whether all that the row says here was said."""
    return all(there.get(name) == value for name, value in mine.items())


def _same_document(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    countries = {one.get("country"), other.get("country")} - {None}  # a centre's number has none in a row
    return (one["kind"], one["number"]) == (other["kind"], other["number"]) and len(countries) < 2


def _alike(name: str, mine: Any, there: Any, time: datetime) -> bool:
    if name in ("cohort", "number", "attempt", "session"):
        return True  # it was found by these
    if name == "date" and there is None:  # the day of its moment, which depends on the place
        return mine in {(time + place).date().isoformat() for place in _PLACES}
    if name == "parts":
        return _by_name(mine) == _by_name(there)
    if name in ("absent", "group", "partial"):
        return sorted(map(str, mine or ())) == sorted(map(str, there or ()))
    return bool(mine == there)


def _by_name(parts: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return sorted(parts or (), key=lambda part: str(part["name"]))


def _numbered_with_its_award(statements: Sequence[Statement], last: Mapping[str, Said]) -> Sequence[Statement]:
    """A number that was given with the award is the award's, wherever the row has it."""
    award = last.get("awarded")
    number = next((one for one in statements if one.name == "numbered"), None)
    if award is None or number is None or "numbered" in last or not award.data.get("certificate_number"):
        return statements
    given = next((one for one in statements if one.name == "awarded"), None)
    if given is None:
        day = award.data["date"]
        given = Statement("awarded", award.type, day, {**number.data, "date": day})
    both = replace(given, data={**given.data, "certificate_number": number.data["certificate_number"]})
    return [both]


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have something in them."""
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _whole(said: Said) -> dict[str, Any]:
    return _whole_of(said.type, said.data)


def _whole_of(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """As reading it makes it: every field, in one form."""
    try:
        return _TYPES[type_].model_validate(data).model_dump(mode="json")
    except ValidationError:  # the row's: it is refused where it is taken
        return dict(data)


def remarked_in(said: Iterable[Said]) -> dict[str, list[Any]]:
    """Who was absent or partly there in a session, as its rows would say it."""
    held = next((one for one in reversed(list(said)) if one.own and one.type == "session.held.v1"), None)
    if held is None:
        return {}
    absent = {number: ["absent", None] for number in held.data.get("absent") or ()}
    return absent | {one["number"]: ["partly", whole_numbers(one)["hours"]] for one in held.data.get("partial") or ()}


def whole_numbers(said: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a row says them: whole numbers are whole, and what is not there is not named."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in said.items()
        if value is not None
    }
