"""Reporting's side of the bus, in small."""

from nats.js import JetStreamContext
from sqlalchemy.ext.asyncio import AsyncSession

from shared.bus import Bus, Delivery
from shared.database import Database
from shared.outbox import heard_positions
from tests.integration.bus.house import House, apply


class Projector:
    """With a handler that fails as the test says."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.batches: list[list[int]] = []
        self.poison: set[int] = set()
        self.slow: set[int] = set()
        self.world: Exception | None = None

    async def project(self, session: AsyncSession, deliveries: list[Delivery]) -> None:
        self.batches.append([delivery.sequence for delivery in deliveries])
        await apply(session, deliveries)
        if self.world is not None:
            raise self.world
        if self.slow & {delivery.sequence for delivery in deliveries}:
            raise TimeoutError
        if self.poison & {delivery.sequence for delivery in deliveries}:
            raise KeyError("n")

    async def position(self) -> int:
        async with self.database.transaction() as session:
            return (await heard_positions(session)).get("ENROLMENT", 0)

    async def at(self, position: int) -> bool:
        return await self.position() == position


async def listener(house: House) -> tuple[Projector, Bus]:
    projector = Projector(await house.database("reporting"))
    bus = house.bus("reporting", projector.database)
    bus.facts("ENROLMENT", projector.project)
    return projector, bus


async def all_acked(js: JetStreamContext, sequence: int) -> bool:
    info = await js.consumer_info("ENROLMENT", "reporting")
    return info.ack_floor is not None and info.ack_floor.stream_seq == sequence
