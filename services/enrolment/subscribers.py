"""NATS to handlers: every subject that enrolment hears."""

from services.enrolment.handlers import Handlers
from shared.bus import Bus, Delivery


def subscribe(bus: Bus, handlers: Handlers) -> None:
    """Hear what offices post over NATS."""

    async def take(deliveries: list[Delivery]) -> None:
        await handlers.take_messages(
            [(delivery.subject, delivery.body) for delivery in deliveries], [delivery.way for delivery in deliveries]
        )

    bus.intake("intake.enrolment.>", take)
