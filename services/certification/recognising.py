"""What a country recognises: the states of the fold, and what can stand in the way of a recognition or of its end.

A country is that of the office that speaks: nobody can recognise anything for another one. Recognitions hang together where they
say something of the same: one country and framework, and a scheme's occupation at one level.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal, cast

from services.certification.awards import Ref
from shared.events.certification import RecognitionFact, SchemeFact
from shared.events.codes import ISO_COUNTRIES
from shared.events.envelope import Event
from shared.events.identity import office_of, recognised_id, recognition_id
from shared.events.offices_to_certification import RecognitionGranted, RecognitionRef, RecognitionWithdrawn

RECOGNITIONS_LIMIT: Final = 50
"""Recognitions of the same, one after the other: a bound on what one country's events can cost."""


def country_of(event: Event) -> str:
    """The country for which an authority speaks."""
    return office_of(event.source)[0].upper()


def recognised_by(event: Event) -> str:
    """The id of what an event recognises, or recognises no more."""
    data = cast(RecognitionRef, event.data)
    return recognised_id(country_of(event).lower(), data.framework, data.scheme, data.occupation, data.level)


@dataclass(frozen=True, slots=True)
class Span:
    """One recognition: from its first day, and to its last if there is one."""

    granted: Event
    withdrawn: RecognitionWithdrawn | None = None

    @property
    def data(self) -> RecognitionGranted:
        return cast(RecognitionGranted, self.granted.data)

    @property
    def ends_on(self) -> date:
        return (self.withdrawn.ends_on if self.withdrawn else self.data.ends_on) or date.max

    def fact(self) -> RecognitionFact:
        """What is told of it."""
        return RecognitionFact(
            **{
                **dict(self.data),
                "recognition": recognition_id(recognised_by(self.granted), self.data.starts_on),
                "country": country_of(self.granted),
                "office": self.granted.source,
                "status": "withdrawn" if self.withdrawn else "granted",
                "ends_on": None if self.ends_on == date.max else self.ends_on,
                "reason": self.withdrawn.reason if self.withdrawn else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Case:
    """An event on what its country recognises, in the state it meets. Guards may rely on those before them."""

    spans: Sequence[Span]
    scheme: SchemeFact | None
    event: Event

    @property
    def said(self) -> RecognitionRef:
        return cast(RecognitionRef, self.event.data)

    @property
    def known(self) -> SchemeFact:
        assert self.scheme is not None
        return self.scheme

    @property
    def meant(self) -> Span | None:
        """The recognition that a withdrawal ends: the last one that had begun by then."""
        day = cast(RecognitionWithdrawn, self.event.data).ends_on
        begun = [span for span in self.spans if span.data.starts_on <= day]
        return max(begun, key=lambda span: span.data.starts_on, default=None)


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule by name. ``blocks(case)`` says whether it stands in the event's way."""

    code: str
    status: Literal["waiting", "conflict"]
    blocks: Callable[[Case], bool]


def _overlaps(case: Case) -> bool:
    data = cast(RecognitionGranted, case.event.data)
    last = data.ends_on or date.max
    return any(span.data.starts_on <= last and data.starts_on <= span.ends_on for span in case.spans)


def _withdrawn_already(case: Case) -> bool:
    return case.meant is not None and case.meant.withdrawn is not None


def _nothing_to_withdraw(case: Case) -> bool:
    day = cast(RecognitionWithdrawn, case.event.data).ends_on
    return case.meant is None or case.meant.ends_on < day


_KNOWN: Final = (
    Guard("not_a_country", "conflict", lambda case: country_of(case.event) not in ISO_COUNTRIES),
    Guard("scheme_unknown", "waiting", lambda case: case.scheme is None or case.scheme.status == "void"),
    Guard(
        "occupation_unknown",
        "conflict",
        lambda case: all(case.said.occupation != one.occupation for one in case.known.occupations),
    ),
    Guard("level_unknown", "conflict", lambda case: all(case.said.level != one.level for one in case.known.levels)),
)
"""What no other recognition can take out of the way."""

GUARDS: Final[dict[str, tuple[Guard, ...]]] = {
    "recognition.granted.v1": (
        *_KNOWN,
        Guard("recognition_overlaps", "conflict", _overlaps),
        Guard("recognitions_limit_reached", "conflict", lambda case: len(case.spans) >= RECOGNITIONS_LIMIT),
    ),
    "recognition.withdrawn.v1": (
        *_KNOWN,
        Guard("recognition_already_withdrawn", "conflict", _withdrawn_already),
        Guard("recognition_unknown", "waiting", _nothing_to_withdraw),
    ),
}
"""What can stand in the way of each type, in the order in which it is asked. The first that does gives the code."""

SENTENCES: Final[dict[str, str]] = {
    "not_a_country": (
        "The office's country is none of ISO 3166-1: only a country's own authority recognises something for it."
    ),
    "recognition_overlaps": (
        "Something is recorded for this occupation, level and framework on some of these days already: the first stays. Withdraw "
        "that one, or correct one of the two; this one is taken up by itself once the days are free."
    ),
    "recognitions_limit_reached": (
        f"There are {RECOGNITIONS_LIMIT} recognitions of this already. Void those that should never have been."
    ),
    "recognition_already_withdrawn": (
        "This recognition is withdrawn already: the first stays. Correct it with an event that replaces the one that withdrew it."
    ),
    "recognition_unknown": (
        "No recognition of this holds on that day. It is taken up as soon as one is granted; check the codes and the day."
    ),
}
"""What the codes mean that only recognitions have."""


def decide(events: Sequence[Event], scheme: SchemeFact | None) -> tuple[list[Span], dict[Ref, Guard]]:
    """The recognitions that events on the same lead to, and what stands in the way of those that do not apply.

    ``events`` are in the order of the fold; one that is in the way of another may be the reason why that one applies later.
    """
    spans: list[Span] = []
    pending: list[Event] = []
    stuck: dict[Ref, Guard] = {}
    for event in events:
        case = Case(spans, scheme, event)
        if settled := next((guard for guard in _KNOWN if guard.blocks(case)), None):
            stuck[event.ref] = settled
        elif obstacle(case):
            pending.append(event)
        else:
            _apply(spans, event)
            while ready := next((one for one in pending if not obstacle(Case(spans, scheme, one))), None):
                pending.remove(ready)
                _apply(spans, ready)
    for event in pending:
        guard = obstacle(Case(spans, scheme, event))
        assert guard is not None  # or it would not be pending
        stuck[event.ref] = guard
    return spans, stuck


def obstacle(case: Case) -> Guard | None:
    """The first guard in an event's way that another event could take out of it."""
    return next((guard for guard in GUARDS[case.event.type] if guard not in _KNOWN and guard.blocks(case)), None)


def _apply(spans: list[Span], event: Event) -> None:
    if isinstance(event.data, RecognitionWithdrawn):
        meant = Case(spans, None, event).meant
        assert meant is not None  # or it would not apply
        spans[spans.index(meant)] = replace(meant, withdrawn=event.data)
    else:
        spans.append(Span(event))
