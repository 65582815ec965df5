"""Why a figure is what it is: the enrolments behind it, the facts that put each there, and what came and went since.

An explanation counts anew, by the same rules as the cube, from the rows as they are or were held; it must come to the same.
"""

import asyncio
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting import history, queries
from services.reporting.comparing import Comparison, compared, parts
from services.reporting.domain import COUNTED, Known, Rows, newest
from services.reporting.history import Heard, Told
from services.reporting.ledger import Asked, Step, step_at
from services.reporting.measures import RULES
from services.reporting.queries import Number
from services.reporting.questions import Question, UnknownQuestion
from services.reporting.rates import RATES
from services.reporting.reckoning import Counted, Reckoner
from services.reporting.tables import CubeCell
from shared.events.certification import CertificateFact
from shared.events.enrolment import TraineeFact
from shared.events.facts import Version

LARGEST = 200_000
"""Enrolments in the cohorts behind a figure: one of more is explained in parts."""
MOST_CHANGED = 10_000
LESS = "Ask for less at a time: a cohort, a month, a country."

_COHORTS_AT_A_TIME = 20
_LINES_AT_A_TIME = 100


class TooLarge(UnknownQuestion):
    """A figure of more enrolments than are explained at once."""


class Rule(BaseModel):
    """What is counted, in a sentence, and by which version of the rules."""

    measure: str
    says: str
    version: int


class Fact(BaseModel):
    """A fact that changed whether or how an enrolment counts: where it stands in its stream, and the office's event behind it."""

    stream: str
    position: int
    kind: str
    key: str
    epoch: int
    revision: int
    time: datetime
    event: str | None
    value: Number
    """What the enrolment counted after it."""


class Line(BaseModel):
    """One enrolment behind a figure (a cohort for places, one of a person's enrolments for people), and what it counts.

    ``of`` is its part of a rate's denominator; ``before`` and ``before_of`` are the same at the moment that is compared with.
    """

    cohort: str
    enrolment: str | None
    person: str | None
    country: str | None
    sending_centre: str | None
    value: Number
    of: int | None = None
    before: Number | None = None
    before_of: int | None = None
    facts: list[Fact] = []


class Explanation(BaseModel):
    """The set behind a figure. ``value`` is the cube's, ``explained`` the sum of all lines, on this page and others.

    ``digest`` is of all lines, keyed, so that nobody finds out by trying which they are: the same figure with the same digest is
    made of the same enrolments. Lines that the caller may not see are ``withheld``, and counted. ``next`` is what to ask the next
    page ``after``.
    """

    rule: Rule
    position: dict[str, int]
    as_of: queries.AsOf | None
    value: Number
    of: int | None
    explained: Number
    enrolments: int
    digest: str
    withheld: int
    compared: Comparison | None
    items: list[Line]
    next: str | None


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose lines somebody may see: everybody's, those of a country (sent or hosted), or nobody's."""

    everything: bool = False
    country: str | None = None

    def sees(self, line: Counted) -> bool:
        return self.everything or (self.country is not None and self.country in (line.country, line.host_country))


async def explain(
    session: AsyncSession,
    question: Question,
    compare: Asked | None,
    sight: Sight,
    *,
    key: bytes,
    after: str = "",
    limit: int = 100,
    most: int = LARGEST,
) -> Explanation:
    """Explain the figure that a question of one measure and no ``by`` has for its answer. The session must see one snapshot.

    ``key`` is that of the digest. Raises ``UnknownQuestion`` for another question, and ``TooLarge`` when ``most`` enrolments are
    not all in its cohorts.
    """
    if len(question.measures) != 1 or question.by:
        raise UnknownQuestion(
            "not_a_cell", "Ask for one measure, and name the cell by values (country=KH) in the place of by."
        )
    reckoner = Reckoner(question)
    measure = reckoner.measure
    answer = await queries.aggregates(session, question, await queries.positions(session))
    step = None if question.as_of is None else await step_at(session, question.as_of)
    cohorts = await _cohorts(session, reckoner, most)
    now = await _counted(session, reckoner, cohorts, step)
    before: dict[str, Counted] = {}
    then = Step()
    facts = _Facts(reckoner, step, Step())
    told = sorted(now)
    if compare is not None:
        then = await step_at(session, compare)
        if step is not None and then.number > step.number:
            raise UnknownQuestion("invalid_moment", "compare lies after as_of.")
        before = await _counted(session, reckoner, cohorts, then)
        told = sorted(key for key in now.keys() | before.keys() if parts(now, key) != parts(before, key))
        if len(told) > MOST_CHANGED:
            raise UnknownQuestion("too_large", f"More than {MOST_CHANGED} enrolments came or went. {LESS}")
        facts = _Facts(reckoner, step, then)
        await facts.read(session, [now.get(key) or before[key] for key in told])
    seen = [key for key in told if sight.sees(now.get(key) or before[key])]
    page = [key for key in seen if key > after][: limit + 1]
    lines = [now.get(key) or replace(before[key], value=0, of=0) for key in page[:limit]]
    if compare is None:
        await facts.read(session, lines)
    rate = measure in RATES
    return Explanation(
        rule=Rule(measure=measure, says=RATES[measure].says if rate else COUNTED[measure].counts, version=RULES),
        position=answer.position,
        as_of=answer.as_of,
        value=answer.totals[f"{measure}_numerator" if rate else measure],
        of=int(answer.totals[f"{measure}_denominator"]) if rate else None,
        explained=reckoner.shown(sum(line.value for line in now.values())),
        enrolments=len(now),
        digest=_digest(key, question, now),
        withheld=len(told) - len(seen),
        compared=None
        if compare is None
        else compared(reckoner, compare, then, now, before, facts.why, frozenset(seen)),
        items=[
            Line(
                cohort=line.cohort,
                enrolment=line.enrolment or None,
                person=line.person,
                country=line.country,
                sending_centre=line.sending_centre,
                value=reckoner.shown(line.value),
                of=line.of if rate else None,
                before=None if compare is None else reckoner.shown(parts(before, line.key)[0]),
                before_of=parts(before, line.key)[1] if rate and compare is not None else None,
                facts=facts.told(line.key),
            )
            for line in lines
        ],
        next=page[limit - 1] if len(page) > limit else None,
    )


async def _cohorts(session: AsyncSession, reckoner: Reckoner, most: int) -> list[str]:
    """Those of which an enrolment is, or ever was, behind the figure: the cube has a cell of each."""
    question = reckoner.question
    conditions = queries.conditions(question, sorted(reckoner.counts), question.basis_of(reckoner.measure))
    statement = select(col(CubeCell.cohort)).where(*conditions).distinct().order_by(col(CubeCell.cohort))
    cohorts = list(await session.scalars(statement))
    if await history.number_of_enrolments(session, cohorts) > most:
        raise TooLarge("too_large", f"More than {most} enrolments are in the cohorts behind this. {LESS}")
    return cohorts


async def _counted(
    session: AsyncSession, reckoner: Reckoner, cohorts: Sequence[str], step: Step | None
) -> dict[str, Counted]:
    """What each enrolment counts, if anything; of a person's one, for people."""
    found: dict[str, Counted] = {}
    persons: set[str | None] = set()
    for first in range(0, len(cohorts), _COHORTS_AT_A_TIME):
        rows = await history.rows_at(
            session, cohorts[first : first + _COHORTS_AT_A_TIME], step, sessions=reckoner.of_sessions
        )
        lines = await asyncio.to_thread(lambda: sorted(reckoner.counted(rows), key=lambda line: line.key))  # noqa: B023
        for line in lines:
            if not (line.value or line.of) or (reckoner.measure == "people" and line.person in persons):
                continue
            persons.add(line.person)
            found[line.key] = line
    return found


def _digest(key: bytes, question: Question, lines: Mapping[str, Counted]) -> str:
    # An enrolment's id follows from its cohort and number, so without a key anybody could try which lines they are that are
    # withheld. Nor are those of two figures ever alike: whether the same one is behind both is not told either.
    figure = (question.measures, sorted((name, sorted(values)) for name, values in question.where))
    months = (question.from_month, question.to_month, question.basis_of(question.measures[0]))
    digest = hmac.new(key, repr((figure, months)).encode(), hashlib.sha256)
    for line in sorted(lines):
        digest.update(f"\n{line} {lines[line].value} {lines[line].of}".encode())
    return digest.hexdigest()


# --- facts


class _Facts:
    """Of some lines, the facts from one step to another that changed what they count."""

    def __init__(self, reckoner: Reckoner, step: Step | None, then: Step) -> None:
        self._reckoner = reckoner
        self._step = step
        self._then = then
        self._told: dict[str, list[Fact]] = {}
        self._unknown_then: set[str] = set()
        """Lines of which nothing had been heard by then."""

    async def read(self, session: AsyncSession, lines: Sequence[Counted]) -> None:
        """A few lines at a time, beside the loop that answers everybody else. Lines of a cohort stand together."""
        sessions = self._reckoner.of_sessions
        # Each fact of a cohort carries all its sessions: where they count, those of one cohort are in hand at a time.
        of_one = [list(part) for _, part in groupby(lines, lambda line: line.cohort)]
        for part in of_one if sessions else [lines]:
            for first in range(0, len(part), _LINES_AT_A_TIME):
                some = part[first : first + _LINES_AT_A_TIME]
                cohorts, enrolments = {line.cohort for line in some}, {line.enrolment for line in some}
                facts = await history.facts_of(session, cohorts, enrolments, self._step, sessions=sessions)
                await asyncio.to_thread(self._reckon, some, facts)

    def _reckon(self, lines: Iterable[Counted], facts: Iterable[Heard]) -> None:
        heard: dict[str, list[Heard]] = defaultdict(list)
        of_enrolments: dict[str, list[Told]] = defaultdict(list)
        for fact in facts:
            if fact.kind == "cohort":
                heard[fact.key].append(fact)
            else:
                known = fact.read()
                assert isinstance(known.data, TraineeFact | CertificateFact)
                of_enrolments[known.data.enrolment].append(Told(known))
        of_cohorts = {code: list(history.of_a_cohort(its)) for code, its in heard.items()}
        for line in lines:
            own = [*of_cohorts.get(line.cohort, ()), *of_enrolments[line.enrolment]]
            own.sort(key=lambda told: history.in_order(told.fact))
            self._told[line.key] = self._changing(own)
            kind = "trainee" if line.enrolment else "cohort"
            if not any(told.fact.kind == kind and not self._is_new(told.fact) for told in own):
                self._unknown_then.add(line.key)

    def told(self, key: str) -> list[Fact]:
        return self._told.get(key, [])

    def why(self, key: str) -> str:
        """Why a line came or went."""
        if key in self._unknown_then:
            return "reached"
        facts = self.told(key)
        return facts[-1].kind if facts else "recounted"

    def _changing(self, own: Iterable[Told]) -> list[Fact]:
        rows = Rows()
        versions: dict[tuple[str, str], Version] = {}
        found: list[Fact] = []
        last = (0, 0)
        for told in own:
            fact = told.fact
            if not newest([fact], versions):
                continue
            versions[fact.kind, fact.key] = fact.version
            rows.put(fact.data)
            value = last
            if told.moved is not None:
                value = last[0] + self._reckoner.moved(rows, *told.moved), 0
            else:
                for line in self._reckoner.counted(rows):
                    value = line.value, line.of
            if value != last:
                last = value
                if self._is_new(fact):
                    found.append(self._fact(fact, value[0]))
        return found

    def _is_new(self, fact: Known) -> bool:
        return fact.step > self._then.number

    def _fact(self, fact: Known, value: int) -> Fact:
        return Fact(
            stream=history.stream_of(fact),
            position=fact.position,
            kind=fact.kind,
            key=fact.key,
            epoch=fact.version.epoch,
            revision=fact.version.revision,
            time=fact.time,
            event=fact.cause,
            value=self._reckoner.shown(value),
        )
