"""What offices hand in, over HTTP and NATS alike, and how they are answered: the same manners wherever events are taken."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared import correlation
from shared.audit import Act
from shared.bundles import Opened
from shared.correlation import Way
from shared.events.codes import SOURCE_PATTERN
from shared.events.envelope import Event, Refusal
from shared.events.identity import office_of
from shared.events.receipts import DUPLICATE, REFUSALS, Announcement, Receipt, Standing
from shared.events.wire import EVENTS_LIMIT, BodyRefused, Raw, read_message
from shared.offices import Caller
from shared.outbox import Notice

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """One raw event and who hands it in."""

    raw: Raw
    caller: Caller
    known: bool = True
    """Whether the caller's office is registered: over HTTP it is, or it would not have come this far."""
    way: Way | None = None
    """Of its message over NATS; a POST has one for all its events."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one office sent in one NATS message."""

    source: str
    content: list[Raw] | BodyRefused
    way: Way
    body: bytes = field(repr=False)


def portions(service: str, messages: Sequence[tuple[str, bytes]], ways: Sequence[Way] = ()) -> Iterator[list[Message]]:
    """(subject, body) and way (without: a new one each) of ``intake.<service>.<country>.<office>``, read as far as one
    transaction should go.

    A transaction takes about as many events as one body may hold; nothing is read before its turn comes. Raises ValueError for a
    subject that names no office: there is nobody to answer.
    """
    portion: list[Message] = []
    events = 0
    for (subject, body), way in zip(messages, ways or [Way() for _ in messages], strict=True):
        message = Message(_source(service, subject), _content(body), way, body)
        size = 1 if isinstance(message.content, BodyRefused) else len(message.content)
        if portion and events + size > EVENTS_LIMIT:
            yield portion
            portion, events = [], 0
        portion.append(message)
        events += size
    if portion:
        yield portion


def posts_of(
    portion: Sequence[Message], roles: Mapping[str, frozenset[str]], now: datetime
) -> tuple[list[Post], list[tuple[str, Receipt, Way]]]:
    """The events of a portion, and per office the receipts of its bodies that cannot be read, with their way.

    ``roles`` are those of the offices that are registered and not revoked.
    """
    posts: list[Post] = []
    refused: list[tuple[str, Receipt, Way]] = []
    for message in portion:
        if isinstance(message.content, BodyRefused):
            refusal = Refusal(message.content.code, message.content.sentence, message.source)
            refused.append((message.source, rejected(refusal, now), message.way))
            continue
        caller = Caller(message.source, roles.get(message.source, frozenset()), "nats")
        posts += [Post(raw, caller, message.source in roles, message.way) for raw in message.content]
    return posts, refused


def unread(portion: Sequence[Message]) -> Iterator[tuple[str, str, bytes]]:
    """The bodies of a portion that cannot be read: whose, why, and what."""
    for message in portion:
        if isinstance(message.content, BodyRefused):
            yield message.source, message.content.code, message.body


def acts(posts: Sequence[Post]) -> list[Act]:
    """What the audit trail holds of these posts: who handed in how many, in one row each."""
    numbers = Counter(post.caller for post in posts if post.known)
    return [Act(caller, "events.posted", number=number) for caller, number in numbers.items()]


def posts_of_bundle(lines: Sequence[Opened], signers: Mapping[str, Caller], now: datetime) -> Iterator[Post | Receipt]:
    """Each line as a post of the officer who signed it, or the receipt of why it is none.

    ``signers`` are by key: officers of active offices whose keys are good now.
    """
    for line in lines:
        if line.code is not None:
            yield rejected(Refusal(line.code, line.sentence), now, line.place)
        elif line.key not in signers:
            yield rejected(Refusal("signer_unknown", REFUSALS["signer_unknown"]), now, line.place)
        else:
            yield Post(line.event, signers[line.key])


def follow(posts: Sequence[Post], refs: Sequence[tuple[str, str] | None]) -> None:
    """Let what these events (source, id; None: not one) cause go on in the way of the message in which each came."""
    ways = {"/".join(ref): post.way for post, ref in zip(posts, refs, strict=True) if ref and post.way}
    if ways:
        correlation.follow(ways)


def sender_refused(post: Post, event: Event) -> str | None:
    """The code of why this caller may not hand in this event, whatever it says."""
    if not post.known:
        return "office_unknown"
    if not post.caller.may_post_for(event.source):
        log.warning("%s posted an event of %s: refused", post.caller.postedby, event.source)
        return "source_not_yours"
    return None


def refusal(event: Event, code: str, sentence: str) -> Refusal:
    """A refusal of an event that could be read."""
    return Refusal(code, sentence, event.source, event.id, event.type)


def rejected(refusal: Refusal, now: datetime, place: int | None = None) -> Receipt:
    """The receipt of an event that is not taken; ``place`` is where in the body it stood."""
    return Receipt(
        source=refusal.source,
        id=refusal.id,
        type=refusal.type,
        status="rejected",
        code=refusal.code,
        sentence=refusal.sentence,
        recordedtime=now,
        place=place,
    )


def receipt(
    ref: tuple[str, str], type_: str, standing: Standing, recordedtime: datetime, place: int | None = None
) -> Receipt:
    """The receipt of an event that is in the journal, as it stands."""
    return Receipt(
        source=ref[0],
        id=ref[1],
        type=type_,
        status=standing.status,
        code=standing.code,
        sentence=standing.sentence,
        number=standing.number,
        recordedtime=recordedtime,
        place=place,
    )


def duplicate(ref: tuple[str, str], type_: str, standing: Standing, place: int) -> Receipt:
    """The receipt of an event that came before: what it repeats, and how that stands."""
    return Receipt(
        source=ref[0],
        id=ref[1],
        type=type_,
        status="duplicate",
        code="duplicate",
        sentence=DUPLICATE,
        place=place,
        current=standing,
    )


def notice(service: str, source: str, receipt: Receipt, way: Way | None = None) -> Notice:
    """A receipt on its way to its office over NATS; ``way`` is that of the message it answers, if it does."""
    country, office = office_of(source)
    announcement = Announcement(service=service, receipt=receipt)
    return Notice(f"receipts.{country}.{office}", announcement.model_dump(mode="json", exclude_none=True), way)


def _content(body: bytes) -> list[Raw] | BodyRefused:
    try:
        return read_message(body)
    except BodyRefused as refused:
        return refused


def _source(service: str, subject: str) -> str:
    source = "/offices" + subject.removeprefix(f"intake.{service}").replace(".", "/")
    if not re.fullmatch(SOURCE_PATTERN, source):
        raise ValueError("the subject names no office")
    return source
