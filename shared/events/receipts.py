"""Receipts: the answer to one event, over HTTP and on ``receipts.<country>.<office>`` alike."""

from typing import Final, Literal, get_args

from shared.events.codes import Model, Moment

Status = Literal["accepted", "duplicate", "waiting", "conflict", "rejected"]
Stands = Literal["accepted", "waiting", "conflict"]
"""How an event that was taken may stand."""
STANDINGS: Final[tuple[Stands, ...]] = get_args(Stands)


REFUSALS: Final[dict[str, str]] = {
    "source_not_yours": "The event's source is another office than the one that posts it. Post with that office's credential.",
    "role_not_allowed": "The office's registered roles do not allow this type of event. Ask the administrator for the role.",
    "office_unknown": "The office of this subject is not registered, or it was revoked. Ask the administrator, then send again.",
    "bundle_unreadable": "This is no line of a bundle. `sampan post --offline` writes bundles: send one as it was written.",
    "signature_wrong": "The line is not as it was signed. Fetch the bundle again from where it was written.",
    "signer_unknown": "The key that signed this line is no active office's, has expired or was revoked. Sign again with new "
    "credentials: `sampan post FILE --offline BUNDLE`.",
    "id_reused": "This id was used before for an event with other content, which stays. Post this one under a new id.",
}
"""Why an event is rejected for who sends it or for its id, in every service alike."""
DUPLICATE: Final = "The same event came before and is not taken twice. `current` says what it is by now."


class Standing(Model):
    """What an event's status is by now; ``number`` counts its changes from 1."""

    status: Stands
    code: str
    sentence: str
    number: int


class Receipt(Model):
    """The answer to one event.

    ``place`` is its place in the body (from 1), ``current`` the standing of the event that a duplicate repeats.
    ``number`` counts the changes of this event's receipt; a rejection has none, since nothing can change it.
    """

    source: str | None = None
    id: str | None = None
    type: str | None = None
    status: Status
    code: str
    sentence: str
    number: int | None = None
    recordedtime: Moment | None = None
    place: int | None = None
    current: Standing | None = None


class Receipts(Model):
    """The answer to a POST: one receipt per event in the body's order, and the place in the service's stream up to which
    the facts that follow from them reach."""

    receipts: list[Receipt]
    position: dict[str, int]


class Announcement(Model):
    """A receipt on NATS, or a later change of one: which service gave it, and in what order."""

    service: str
    receipt: Receipt
