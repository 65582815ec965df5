"""Every subject that certification hears."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import handlers
from services.certification.handlers import Handlers, Told
from shared import correlation
from shared.bus import Bus, Delivery
from shared.events.enrolment import CentreFact, CohortFact, OfficeFact, TraineeFact
from shared.events.facts import FactEnvelope

HEARD: dict[str, type[CentreFact | OfficeFact | CohortFact | TraineeFact]] = {
    "centre.v1": CentreFact,
    "office.v1": OfficeFact,
    "cohort.v1": CohortFact,
    "trainee.v1": TraineeFact,
}
"""What is heard of enrolment; programmes mean nothing here."""


def subscribe(bus: Bus, handling: Handlers) -> None:
    """Take events of offices, and hear all facts of enrolment."""

    async def take(deliveries: list[Delivery]) -> None:
        await handling.take_messages(
            [(delivery.subject, delivery.body) for delivery in deliveries], [delivery.way for delivery in deliveries]
        )

    bus.intake("intake.certification.>", take)
    bus.facts("ENROLMENT", hear)


async def hear(session: AsyncSession, deliveries: list[Delivery]) -> None:
    """Raises on what cannot be read: the bus makes it a dead letter."""
    told = [read(delivery.body) for delivery in deliveries]
    ways = zip(told, deliveries, strict=True)
    correlation.follow({fact.cause: delivery.way for fact, delivery in ways if fact and fact.cause})
    await handlers.hear(session, [fact for fact in told if fact], datetime.now(UTC))


def read(body: bytes) -> Told | None:
    """A fact of enrolment, or None when it is of no matter here. Raises ``ValidationError`` when it cannot be read."""
    envelope = FactEnvelope.model_validate_json(body)
    model = HEARD.get(envelope.type)
    if model is None:
        return None
    return Told(model.model_validate(envelope.data), envelope.epoch, envelope.revision, envelope.cause)
