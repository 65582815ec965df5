"""Every stream that reporting hears."""

from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import ledger, projection
from shared.bus import Bus, Delivery


def subscribe(bus: Bus) -> None:
    """Hear all facts of both streams: in order, each once in the eyes of the database."""
    bus.facts("ENROLMENT", _project, _project_late)
    bus.facts("CERTIFICATION", _project, _project_late)


async def _project(session: AsyncSession, deliveries: list[Delivery]) -> None:
    """Rows and cube follow the facts; one that cannot be read raises, and the bus makes it a dead letter."""
    await projection.apply(session, [projection.read(delivery.body, delivery.sequence) for delivery in deliveries])


async def _project_late(session: AsyncSession, deliveries: list[Delivery]) -> None:
    """What a replayed dead letter says may be told with the figures, as names are, and moves neither figures nor position."""
    await projection.lock_projection(session)
    await _project(session, deliveries)
    await ledger.renew(session)
