"""Certification's only wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from services.certification.api import routes
from services.certification.check import check
from services.certification.handlers import Handlers
from services.certification.settings import Settings
from services.certification.subscribers import subscribe
from services.certification.tables import Office, Token
from shared import signin
from shared.audit import Audit
from shared.bus import Bus
from shared.contracts import show_contract
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.depths import Depths
from shared.http import create_app, tell_addresses, with_heartbeat
from shared.limits import Limits
from shared.offices import Doorkeeper, token_digest
from shared.relay import Relay
from shared.telemetry import configure
from shared.upkeep import administration


def create(settings: Settings) -> FastAPI:
    """Certification as settings say. HTTP answers also when the broker is away."""
    secret = bytes.fromhex(settings.secret_file.read_text().strip())
    administrator = token_digest(settings.admin_token_file.read_text().strip())
    database = Database(settings.database_url, "certification")
    limits = Limits(
        settings.office_requests_per_second, settings.office_events_per_second, settings.office_bytes_per_second
    )
    door = Doorkeeper(database, administrator, Office, Token, limits)
    dead_letters = DeadLetters("certification", secret)
    bus = Bus(
        "certification",
        database,
        dead_letters,
        url=settings.nats_url,
        credentials=settings.nats_credentials_file.read_text(),
        owns=("CERTIFICATION",),
    )
    relay = Relay(database, bus, service="certification", stream="CERTIFICATION")
    audit = Audit(database, secret)
    depths = Depths(database, bus, "CERTIFICATION")
    handlers = Handlers(database, secret, settings.enrolment_url)
    subscribe(bus, handlers)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with bus.running(), relay.running(), depths.running():
                yield
        finally:
            await database.close()

    async def problems() -> list[str]:
        await database.ping()
        return [*bus.health(), *relay.health()]

    app = create_app("Sampan certification", lifespan, problems)
    app.include_router(administration(database, door, dead_letters, bus, partial(check, bus=bus), audit))
    app.include_router(routes(handlers, database, door))
    tell_addresses(
        app,
        door.open,
        {
            "enrolment": settings.enrolment_url,
            "certification": settings.public_url,
            "reporting": settings.reporting_url,
        },
    )
    app.include_router(signin.routes(door, audit, https=settings.public_url.startswith("https:")))
    show_contract(app, door, "certification")
    return app


def from_environment() -> FastAPI:
    """For ``uvicorn --factory``."""
    configure("certification")
    return with_heartbeat(create(Settings()))
