"""Receipts: the answer to one event, over HTTP and on ``receipts.<country>.<office>`` alike."""

from typing import Literal

from shared.events.codes import Model, Moment

Status = Literal["accepted", "duplicate", "waiting", "conflict", "rejected"]


class Standing(Model):
    """What an event's status is by now; ``number`` counts its changes from 1."""

    status: Literal["accepted", "waiting", "conflict"]
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
