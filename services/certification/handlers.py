"""What certification does: take events from offices, hear facts of enrolment. One call, one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import journal, recognitions, store, wallet
from services.certification.awards import Ref
from services.certification.domain import Outcome, fold, fold_recognitions, fold_schemes
from services.certification.journal import Taken
from services.certification.recognising import recognised_by
from services.certification.rules import refusal as role_refused
from services.certification.sentences import EVENT_LIMIT, REFUSALS
from services.certification.store import Loaded
from services.certification.tables import CentreRow, CohortRow, Office, SigningKey, Token, TraineeRow
from shared import metrics
from shared.audit import Act, Audit
from shared.bundles import opened
from shared.correlation import Way
from shared.database import Database
from shared.events import offices_to_enrolment
from shared.events.certification import CertificateFact, certificate_fact, recognition_fact, scheme_fact
from shared.events.enrolment import CentreFact, CohortFact, OfficeFact, TraineeFact
from shared.events.envelope import Event, Refusal, digest, read_event
from shared.events.facts import Fact
from shared.events.offices_to_certification import TYPES, AwardRef, RecognitionRef, SchemeRegistered
from shared.events.receipts import Receipt, Receipts, Standing
from shared.events.wire import Raw
from shared.offices import Caller, apply_office
from shared.outbox import Notice, notify, publish
from shared.posts import (
    Message,
    Post,
    acts,
    duplicate,
    follow,
    notice,
    portions,
    posts_of,
    posts_of_bundle,
    receipt,
    refusal,
    rejected,
    sender_refused,
    unread,
)
from shared.rejected import RejectedBodies, Said
from shared.secrets import derive

T = TypeVar("T")
SERVICE = "certification"


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of enrolment."""

    data: CentreFact | OfficeFact | CohortFact | TraineeFact
    epoch: int
    revision: int
    cause: str | None


class Handlers:
    """Takes events, from HTTP and NATS alike."""

    def __init__(
        self,
        database: Database,
        secret: bytes,
        enrolment_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``secret`` is the service's own; ``enrolment_url`` is told to offices that post enrolment's events here."""
        self._database = database
        self._content = derive(secret, "content")
        self._audit = Audit(database, secret)
        self._elsewhere = dict.fromkeys(offices_to_enrolment.TYPES.keys() - TYPES.keys(), enrolment_url)
        self.rejected = RejectedBodies(SERVICE, secret, self._elsewhere)
        self._clock = clock

    async def take(self, raws: Sequence[Raw], caller: Caller) -> Receipts:
        """Take the events of one body: one receipt each, as they stand after all of them."""

        async def work(session: AsyncSession) -> Receipts:
            now = self._clock()
            posts = [Post(raw, caller) for raw in raws]
            receipts, facts = await self._take(session, posts, now, answer=False)
            position = await publish(session, SERVICE, facts)
            await self._audit.record(session, *acts(posts))
            return Receipts(receipts=receipts, position={"CERTIFICATION": position.position})

        started = monotonic()
        receipts = await self._database.run(work)
        metrics.taken(SERVICE, "http", receipts.receipts, started, postedby=caller.postedby)
        return receipts

    async def refused(self, caller: Caller, code: str, body: bytes) -> None:
        """Keep a body that could not be read."""
        said, now = Said.unread(0, code, body), self._clock()
        await self._database.run(
            lambda session: self.rejected.keep(session, caller.source, caller.postedby, [said], now)
        )

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """One transaction, for ``take_within``."""
        return await self._database.run(work)

    async def take_within(
        self, session: AsyncSession, raws: Sequence[Raw], caller: Caller, *, publishing: bool, telling: bool = False
    ) -> Sequence[Receipt]:
        """Take events within a transaction of ``run``. One that is rolled back at its end need not be ``publishing``."""
        posts = [Post(raw, caller) for raw in raws]
        receipts, facts = await self._take(session, posts, self._clock(), answer=telling)
        if publishing:
            await publish(session, SERVICE, facts)
            await self._audit.record(session, *acts(posts))
        return receipts

    async def take_bundle(self, raws: Sequence[Raw], courier: Caller) -> Receipts:
        """Take the lines of a bundle, each as an event of the officer who signed it; the offices are told over NATS too."""
        started = monotonic()
        lines = await asyncio.to_thread(opened, raws)

        async def work(session: AsyncSession) -> Receipts:
            now = self._clock()
            signers = await store.signers(session, {line.key for line in lines})
            read = list(posts_of_bundle(lines, signers, now))
            posts = [one for one in read if isinstance(one, Post)]
            taken, facts = await self._take(session, posts, now, answer=True)
            position = await publish(session, SERVICE, facts)
            await self._audit.record(session, *acts(posts), Act(courier, "bundle.brought", number=len(raws)))
            answers = iter(taken)
            receipts = [next(answers) if isinstance(one, Post) else one for one in read]
            return Receipts(receipts=receipts, position={"CERTIFICATION": position.position})

        receipts = await self._database.run(work)
        metrics.taken(SERVICE, "http", receipts.receipts, started, postedby=courier.postedby)
        return receipts

    async def take_messages(self, messages: Sequence[tuple[str, bytes]], ways: Sequence[Way] = ()) -> None:
        """Take (subject, body) of ``intake.certification.<country>.<office>``; the receipts go out as notices.

        ``ways`` are those of the messages; without them each gets one of its own.

        Raises ValueError for a subject that names no office: there is nobody to answer.
        """
        for portion in portions(SERVICE, messages, ways):
            started = monotonic()
            receipts = await self._database.run(partial(self._take_portion, portion))
            metrics.taken(SERVICE, "nats", receipts, started, ways=[message.way for message in portion])

    async def _take_portion(self, portion: Sequence[Message], session: AsyncSession) -> list[Receipt]:
        now = self._clock()
        roles = await store.roles(session, [message.source for message in portion])
        posts, refused = posts_of(portion, roles, now)
        await notify(session, [notice(SERVICE, *one) for one in refused])
        for source, code, body in unread(portion):
            await self.rejected.keep(session, source, f"{source}#nats", [Said.unread(0, code, body)], now)
        receipts, facts = await self._take(session, posts, now, answer=True)
        await publish(session, SERVICE, facts)
        await self._audit.record(session, *acts(posts))
        return [*receipts, *(receipt for _, receipt, _ in refused)]

    async def _take(
        self, session: AsyncSession, posts: Sequence[Post], now: datetime, *, answer: bool
    ) -> tuple[list[Receipt], list[Fact]]:
        """The receipts and the facts that follow; with ``answer`` the receipts are notices too."""
        read = [self._read(post, now) for post in posts]
        follow(posts, [one.ref if isinstance(one, Event) else None for one in read])
        await journal.lock(session)
        known = await journal.digests(session, {one.ref for one in read if isinstance(one, Event)})
        fresh: dict[Ref, Taken] = {}
        reused: list[Taken] = []
        repeated: set[int] = set()
        for index, (post, one) in enumerate(zip(posts, read, strict=True)):
            if isinstance(one, Refusal):
                continue
            taken = Taken(one, digest(self._content, one.written), post.caller)
            if one.ref not in known:
                known[one.ref] = taken.content
                fresh[one.ref] = taken
            elif known[one.ref] == taken.content:
                repeated.add(index)
            else:
                reused.append(taken)
                read[index] = refusal(one, "id_reused", REFUSALS["id_reused"])
        await self._keep(session, list(zip(posts, read, strict=True)), now)
        await journal.keep_refused(session, reused, now)
        changed, facts = await _decide(session, set(), fresh, {}, now, store.About())
        others = {one.ref for one in read if isinstance(one, Event)} - changed.keys()
        standings = changed | (await journal.standings(session, others) if others else {})
        receipts = [
            rejected(one, now, post.raw.place)
            if isinstance(one, Refusal)
            else _answer(one.ref, standings[one.ref], post.raw.place, repeated=index in repeated)
            for index, (post, one) in enumerate(zip(posts, read, strict=True))
        ]
        notices = [_changed(ref, now_so) for ref, now_so in changed.items() if ref not in fresh]
        if answer:
            notices += [
                notice(SERVICE, post.caller.source, answered, post.way)
                for post, answered in zip(posts, receipts, strict=True)
                if post.caller.source is not None
            ]
        await notify(session, notices)
        return receipts, facts

    async def _keep(self, session: AsyncSession, posts: Sequence[tuple[Post, Event | Refusal]], now: datetime) -> None:
        """Keep what is rejected, sealed; but nothing of another service's types: it may hold names, and only enrolment can
        forget them."""
        by_caller: dict[tuple[str | None, str], list[Said]] = {}
        for post, one in posts:
            ours = post.raw.written is not None or _type_of(post.raw) in TYPES
            if isinstance(one, Refusal) and one.code != "id_reused" and ours:
                whose = post.caller.source, post.caller.postedby
                by_caller.setdefault(whose, []).append(Said.of(post.raw, one.code))
        for (source, postedby), events in by_caller.items():
            await self.rejected.keep(session, source, postedby, events, now)

    def _read(self, post: Post, now: datetime) -> Event | Refusal:
        read = read_event(post.raw, types=TYPES, elsewhere=self._elsewhere, now=now)
        if isinstance(read, Refusal):
            return read
        code = sender_refused(post, read)
        if code is None and not post.caller.administrator:
            code = role_refused(read, post.caller.roles)
        if code is None and len(read.written) > EVENT_LIMIT:
            code = "event_too_large"
        return refusal(read, code, REFUSALS[code]) if code else read


async def hear(session: AsyncSession, told: Sequence[Told], now: datetime) -> None:
    """Take up what enrolment tells, in the transaction that also says how far it is heard."""
    for fact in told:
        if isinstance(fact.data, OfficeFact):
            await wallet.end_of_revoked(session, fact.data, fact.epoch, fact.revision, now)
            await apply_office(session, Office, Token, fact.data, fact.epoch, fact.revision, SigningKey)
    trainees = [(fact, fact.data) for fact in told if isinstance(fact.data, TraineeFact)]
    cohorts = [(fact, fact.data) for fact in told if isinstance(fact.data, CohortFact)]
    centres = [(fact, fact.data) for fact in told if isinstance(fact.data, CentreFact)]
    if not trainees and not cohorts and not centres:
        return
    await journal.lock(session)
    lines = [(store.centre_values(data), fact.epoch, fact.revision) for fact, data in centres]
    renamed = await store.put(session, CentreRow, lines)
    # What is news to others only (sessions, outcomes) changes nothing that is held here, and decides nothing.
    lines = [(store.trainee_values(data), fact.epoch, fact.revision) for fact, data in trainees]
    before = await store.put(session, TraineeRow, lines)
    causes = {data.enrolment: fact.cause for fact, data in trainees if data.enrolment in before and fact.cause}
    # Of most trainees no event speaks yet: nothing is decided of them, nor anew of the same person's other enrolments.
    touched = await store.spoken_of(session, before)
    # Whoever is found to be another person leaves the others' certificates behind: those are decided again too.
    touched |= await store.enrolments_of(session, {person for key in touched if (person := before[key])})
    parties = {data.cohort: fact.cause for fact, data in cohorts}
    lines = [(store.cohort_values(data), fact.epoch, fact.revision) for fact, data in cohorts]
    differing = await store.put(session, CohortRow, lines)
    for cohort in differing:
        there = await store.enrolments_in(session, [cohort])
        touched |= there
        causes |= dict.fromkeys(there, cause) if (cause := parties[cohort]) else {}
    told_anew = store.About(cohorts=differing, hosts=renamed)
    if not touched:
        await store.hold(session, told_anew)
        await store.look_again(session, told_anew)
        return
    changed, facts = await _decide(session, touched, {}, causes, now, told_anew)
    await notify(session, [_changed(ref, standing) for ref, standing in changed.items()])
    await publish(session, SERVICE, facts)


async def _decide(
    session: AsyncSession,
    enrolments: set[str],
    fresh: Mapping[Ref, Taken],
    causes: dict[str, str],
    now: datetime,
    told_anew: store.About,
) -> tuple[dict[Ref, journal.Standing], list[Fact]]:
    """Decide the units of these enrolments and fresh events anew, write those into the journal, and save what changed.

    ``causes`` says which event is behind a change, by enrolment; of ``told_anew`` documents may have to say something else.
    Answers the standings that changed, and the facts.
    """
    new = [store.Stored(taken.event, place, journal.NEW, 0) for place, taken in enumerate(fresh.values())]
    loaded = await store.load(session, enrolments, (), new)
    registered = fold_schemes(one.event for one in loaded.events.values())
    held = await store.schemes(session, registered.schemes)
    schemes = {
        code: scheme
        for code, scheme in registered.schemes.items()
        if held.get(code) != scheme and (code in held or scheme.status == "registered")
    }
    if schemes:
        await store.save_schemes(session, schemes.values())
        under, recognised = (
            await store.enrolments_under(session, schemes),
            await recognitions.recognised_under(session, schemes),
        )
        if not (under <= loaded.enrolments and recognised <= loaded.recognised):
            loaded = await store.load(session, enrolments | under, (), new, recognised)
    events, world = [one.event for one in loaded.events.values()], await store.world(session, loaded)
    decided, recognising = fold(events, world), fold_recognitions(events, world.schemes)
    outcomes = decided.outcomes | registered.outcomes | recognising.outcomes
    standings = await _save_outcomes(session, loaded, fresh, outcomes, now)
    await store.hold(session, told_anew._replace(enrolments=loaded.enrolments, schemes=schemes))
    certificates = await _save_certificates(session, loaded, decided.certificates)
    recognised_now = await recognitions.save(session, loaded.recognised, recognising.recognitions)
    causes = causes | _causes(loaded, fresh)
    await store.look_again(session, told_anew._replace(enrolments=causes, schemes=schemes))
    facts = [scheme_fact(scheme, causes.get(f"scheme {scheme.scheme}")) for scheme in schemes.values()]
    facts += [certificate_fact(one, causes.get(one.enrolment)) for one in certificates]
    facts += [recognition_fact(one, causes.get(recognitions.recognised_of(one))) for one in recognised_now]
    return standings, facts


async def _save_outcomes(
    session: AsyncSession,
    loaded: Loaded,
    fresh: Mapping[Ref, Taken],
    outcomes: Mapping[Ref, Outcome],
    now: datetime,
) -> dict[Ref, journal.Standing]:
    changed = {
        ref: journal.Standing(stored.event.type, outcomes[ref], stored.receipt + 1, now)
        for ref, stored in sorted(loaded.events.items(), key=lambda item: (item[0] in fresh, item[1].place))
        if ref in outcomes and outcomes[ref] != stored.outcome
    }
    await journal.add(session, list(fresh.values()), changed)
    await journal.save_outcomes(session, {ref: standing for ref, standing in changed.items() if ref not in fresh})
    return changed


async def _save_certificates(
    session: AsyncSession, loaded: Loaded, certificates: Mapping[str, CertificateFact]
) -> list[CertificateFact]:
    held = await store.certificates(session, loaded.enrolments)
    gone = [_void(fact) for key, fact in held.items() if key not in certificates and fact.status != "void"]
    changed = [fact for key, fact in certificates.items() if held.get(key) != fact] + gone
    await store.save_certificates(session, changed)
    numbered = {fact.enrolment for fact in changed for one in (fact, held.get(fact.certificate)) if one and one.number}
    await store.save_numbers(session, numbered)
    return changed


def _void(fact: CertificateFact) -> CertificateFact:
    """What is left of a certificate on which nothing that was said stands any more."""
    kept = (
        "certificate",
        "enrolment",
        "cohort",
        "trainee",
        "person",
        "country",
        "scheme",
        "occupation",
        "level",
        "edition",
    )
    return CertificateFact(**{name: getattr(fact, name) for name in kept}, status="void")


def _causes(loaded: Loaded, fresh: Iterable[Ref]) -> dict[str, str]:
    """The last fresh event that spoke of each enrolment (or scheme, or what is recognised), also by voiding or replacing."""
    causes = {}
    for ref in fresh:
        event = loaded.events[ref].event
        for one in _with_what_it_acts_on(loaded, event):
            if isinstance(one.data, AwardRef):
                causes[one.data.enrolment_id] = "/".join(ref)
            elif isinstance(one.data, SchemeRegistered):
                causes[f"scheme {one.data.scheme}"] = "/".join(ref)
            elif isinstance(one.data, RecognitionRef):
                causes[recognised_by(one)] = "/".join(ref)
    return causes


def _type_of(raw: Raw) -> str:
    type_ = raw.fields.get("type")
    return type_ if isinstance(type_, str) else ""


def _with_what_it_acts_on(loaded: Loaded, event: Event) -> Iterator[Event]:
    """The event, what it voids or replaces, and so on: a void of a void brings back what that one took out."""
    met: set[Ref] = set()
    while event.ref not in met:
        yield event
        met.add(event.ref)
        target = loaded.events.get((event.source, journal.target_of(event) or ""))
        event = target.event if target else event


def _standing(standing: journal.Standing) -> Standing:
    outcome = standing.outcome
    return Standing(status=outcome.status, code=outcome.code, sentence=outcome.sentence, number=standing.number)


def _answer(ref: Ref, standing: journal.Standing, place: int, *, repeated: bool) -> Receipt:
    if repeated:
        return duplicate(ref, standing.type, _standing(standing), place)
    return receipt(ref, standing.type, _standing(standing), standing.recordedtime, place)


def _changed(ref: Ref, standing: journal.Standing) -> Notice:
    return notice(SERVICE, ref[0], receipt(ref, standing.type, _standing(standing), standing.recordedtime))
