"""What an office said, as an officer reads it: an entry, how it stands, and what can be done about it."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from typing import Any, Protocol

from shared.desk.wording import KINDS, RESOLVED_BY, STANDINGS
from shared.events.codes import CODE_PATTERN, SOURCE_PATTERN
from shared.events.identity import office_of
from shared.events.receipts import Standing
from shared.offices import Caller

VOID = "event.voided.v1"
ENDED = frozenset({"voided", "replaced"})
"""Codes of entries that no longer count, so that there is nothing left to correct."""
STAYS = frozenset({"person.forgotten.v1"})
"""Types that cannot be taken back: what is destroyed does not come back."""


class Answered(Protocol):
    """An event with its standing, as every service answers it."""

    source: str
    id: str
    type: str
    recordedtime: datetime
    postedby: str
    since: datetime | None
    current: Standing
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """An event, and where it stands in the order of recording."""

    answered: Answered
    place: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry for a page. Texts are to be translated."""

    id: str
    type: str
    source: str
    kind: str
    about: str
    status: str
    standing: str
    code: str
    sentence: str
    recordedtime: datetime
    postedby: str
    data: Mapping[str, Any]
    time: datetime
    replaces: str | None
    since: datetime
    resolver: str | None
    """The type that would resolve it, if this office may say that."""
    may_correct: bool
    """Whether this office may say such a thing, or one in its place; it could when it said this."""

    @property
    def href(self) -> str:
        return f"/said/{self.source.removeprefix('/offices/')}/{self.id}"

    @property
    def named(self) -> str:
        """How a link names it: country, office, id."""
        return f"{self.source.removeprefix('/offices/')}/{self.id}"

    @property
    def is_void(self) -> bool:
        return self.type == VOID

    @property
    def target(self) -> str | None:
        """The id of the entry that it corrects or withdraws."""
        return str(self.data["event"]) if self.is_void else self.replaces

    @property
    def counts(self) -> bool:
        """Whether there is something left to correct or withdraw."""
        return self.code not in ENDED and self.type not in STAYS

    @property
    def known(self) -> dict[str, str]:
        """What a form that resolves it can be filled in with."""
        names = ("programme", "cohort", "number", "scheme", "occupation", "level", "framework")
        return {name: str(self.data[name]) for name in names if self.data.get(name)}


def entry(said: Answered, codes: Mapping[str, str], may_say: frozenset[str]) -> Entry:
    """An event as an entry; ``codes`` are the service's sentences, ``may_say`` the types that this office may say."""
    data, code = said.event.get("data", {}), said.current.code
    resolver = RESOLVED_BY.get(code)
    when = said.event.get("time", said.recordedtime)
    return Entry(
        id=said.id,
        type=said.type,
        source=said.source,
        kind=KINDS.get(said.type, said.type),
        about=_about(data),
        status=said.current.status,
        standing=STANDINGS[said.current.status],
        code=code,
        sentence=codes.get(code, said.current.sentence),
        recordedtime=said.recordedtime,
        postedby=said.postedby.rpartition("#")[2],
        data=data,
        time=datetime.fromisoformat(when) if isinstance(when, str) else when,
        replaces=said.event.get("replaces"),
        since=said.since or said.recordedtime,
        resolver=resolver if resolver in may_say else None,
        may_correct=said.type in may_say and said.type != VOID,
    )


def new_id() -> str:
    """The id of an entry that is made in a form. The form carries it, so that sending it twice says it once."""
    return f"desk-{secrets.token_hex(10)}"


def envelope(
    type_: str,
    source: str,
    id_: str,
    data: Mapping[str, Any],
    at: datetime,
    replaces: str | None = None,
) -> dict[str, Any]:
    """The event that a form says."""
    fields = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "time": at.isoformat(timespec="seconds"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return fields | ({"replaces": replaces} if replaces else {})


def moment_on(day: date, now: datetime, zone: tzinfo, before: datetime | None = None) -> datetime:
    """When something happened of which an officer knows the day: now if it is today, else at noon of the place.

    A correction that keeps the day keeps the moment (``before``): what came after it stays after it.
    """
    if before is not None and before.astimezone(zone).date() == day:
        return before.astimezone(zone)
    here = now.astimezone(zone)
    return here if here.date() == day else datetime.combine(day, time(12), zone)


def own_source(caller: Caller, office: str) -> str:
    """For which office a form speaks: the caller's own; an administrator says which."""
    return (
        caller.source
        if caller.source is not None
        else f"/offices/{office.strip().strip('/').lower().removeprefix('offices/')}"
    )


def country_of(source: str) -> str | None:
    """The country of a source; None where it is not one (any more than a form is)."""
    return office_of(source)[0] if re.fullmatch(SOURCE_PATTERN, source) else None


def is_code(text: str) -> bool:
    """Whether it could be the id of an event, as those say it that come over the API."""
    return re.fullmatch(CODE_PATTERN, text) is not None


def _about(data: Mapping[str, Any]) -> str:
    """What an entry is about, in the codes that the office gave."""
    names = ("programme", "cohort", "number", "session", "centre", "scheme", "level", "competition", "event")
    shown = [str(data[name]) for name in names if data.get(name) not in (None, "")]
    if data.get("cohort"):  # the programme of a cohort says nothing more
        shown = [one for one in shown if one != data.get("programme")]
    shown += [f"{one['cohort']} {one['number']}" for one in data.get("enrolments", ()) if one.get("cohort")]
    return " · ".join(shown)
