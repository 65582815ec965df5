"""Enrolment, wired together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from services.enrolment import desk, officers, rosters
from services.enrolment.admissions import Admissions
from services.enrolment.api import routes
from services.enrolment.check import check
from services.enrolment.forgetting import Archive
from services.enrolment.handlers import Handlers
from services.enrolment.holders import Holders
from services.enrolment.people_api import people
from services.enrolment.register import Register
from services.enrolment.registry import Registry
from services.enrolment.settings import Settings
from services.enrolment.subscribers import subscribe
from services.enrolment.tables import KeptFile, Office, Session, Token
from services.enrolment.wording import CODES
from shared import brought, signin, uploads
from shared.asking import Answers
from shared.audit import Audit
from shared.bus import Bus
from shared.contracts import show_contract
from shared.credentials import Authority
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.depths import Depths
from shared.desk.rosters import Rosters
from shared.http import create_app, tell_addresses, tell_browsers, with_heartbeat
from shared.keeping import Keeping
from shared.limits import Limits
from shared.offices import Doorkeeper, token_digest
from shared.rejected import RejectedBodies
from shared.rejections import rejections
from shared.relay import Relay
from shared.rights import HOLDER
from shared.scrubbing import Scrubbing
from shared.sessions import Sessions
from shared.telemetry import configure
from shared.upkeep import administration


def create(settings: Settings) -> FastAPI:
    """The service: takes events and answers from its tables also when the broker is away."""
    secret = bytes.fromhex(settings.secret_file.read_text().strip())
    database = Database(settings.database_url, "enrolment")
    dead_letters = DeadLetters("enrolment", secret)
    bus = Bus(
        "enrolment",
        database,
        dead_letters,
        url=settings.nats_url,
        credentials=settings.nats_credentials_file.read_text(),
        owns=("INTAKE", "RECEIPTS", "ENROLMENT", "DEADLETTERS"),
    )
    relay = Relay(database, bus, service="enrolment", stream="ENROLMENT")
    scrubbing = Scrubbing(database, bus, "ENROLMENT")
    depths = Depths(database, bus, "ENROLMENT")
    authority = Authority.from_text(settings.nats_authority_file.read_text())
    admissions = Admissions(database, bus, settings.nats_url, authority)
    register, audit = Register(secret), Audit(database, secret)
    archive = Archive(RejectedBodies("enrolment", secret), dead_letters)
    handlers = Handlers(database, register, archive, audit, settings.certification_url)
    subscribe(bus, handlers)
    holders = Answers(bus, HOLDER, Holders(database, register).answer)
    bus.sweep(archive.rejected.forget_expired)
    limits = Limits(
        settings.office_requests_per_second, settings.office_events_per_second, settings.office_bytes_per_second
    )
    door = Doorkeeper(database, token_digest(settings.admin_token_file.read_text().strip()), Office, Token, limits)
    sessions = Sessions(database, door, Session, "enrolment")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with (
                bus.running(),
                relay.running(),
                scrubbing.running(),
                admissions.running(),
                depths.running(),
                holders.running(),
            ):
                yield
        finally:
            await database.close()

    async def problems() -> list[str]:
        await database.ping()
        return [*bus.health(), *relay.health(), *scrubbing.health(), *admissions.health()]

    app = create_app("Sampan enrolment", lifespan, problems)
    addresses = {
        "enrolment": settings.public_url,
        "certification": settings.certification_url,
        "reporting": settings.reporting_url,
    }
    tell_addresses(app, door.open, addresses)
    checking = partial(check, bus=bus, register=register)
    app.include_router(administration(database, door, dead_letters, bus, checking, audit))
    registry = Registry(database, authority, audit)
    app.include_router(routes(handlers, database, door))
    app.include_router(officers.routes(registry, admissions, database, door, settings.nats_public_url))
    app.include_router(people(database, register, door, audit))
    app.include_router(rejections(database, door, archive.rejected, audit))
    taking = rosters.desk(handlers, register, database, door, settings.certification_url)
    choices = partial(rosters.choices, database)
    app.include_router(uploads.routes(taking, door, choices))
    app.include_router(brought.routes(taking, audit))
    keeping = Keeping(database, KeptFile, secret)
    bus.sweep(keeping.forget_expired)
    pages = Rosters(taking, keeping, choices, CODES)
    app.include_router(desk.routes(handlers, database, register, audit, sessions, pages, addresses))
    app.include_router(signin.routes(sessions, audit, https=settings.public_url.startswith("https:")))
    tell_browsers(app, signin.nothing_here)
    show_contract(app, door, sessions, "enrolment")
    return app


def from_environment() -> FastAPI:
    """For uvicorn: ``services.enrolment.app:from_environment`` with ``--factory``."""
    configure("enrolment")
    return with_heartbeat(create(Settings()))
