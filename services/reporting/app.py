"""Reporting, wired together."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from services.reporting import exporting, exports_api, periods_api, public_api
from services.reporting.announcer import Announcer
from services.reporting.api import routes
from services.reporting.changes_api import routes as changes
from services.reporting.check import check
from services.reporting.coarse import Rolling
from services.reporting.explain_api import EXPLAINED_AT_ONCE, Turns, digest_key
from services.reporting.formats.dhis2 import Ids
from services.reporting.formats.iati import Publisher
from services.reporting.live import Live
from services.reporting.pages import ReportingPages
from services.reporting.rebuild import Rebuilding, lacking
from services.reporting.settings import Settings
from services.reporting.subscribers import subscribe
from services.reporting.tables import Office, Session, Token
from shared import signin
from shared.audit import Audit
from shared.bus import Bus
from shared.contracts import show_contract
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.depths import Depths
from shared.http import create_app, tell_addresses, tell_browsers, with_heartbeat
from shared.limits import Limits
from shared.offices import Doorkeeper, token_digest
from shared.relay import Relay
from shared.rights import CHANGES
from shared.sessions import Sessions
from shared.telemetry import configure
from shared.upkeep import administration
from shared.visitors import Visitors


def create(settings: Settings) -> FastAPI:
    """The service: answers from its tables also when the broker is away."""
    database = Database(settings.database_url, "reporting")
    secret = bytes.fromhex(settings.secret_file.read_text().strip())
    dead_letters, audit = DeadLetters("reporting", secret), Audit(database, secret)
    bus = Bus(
        "reporting",
        database,
        dead_letters,
        url=settings.nats_url,
        credentials=settings.nats_credentials_file.read_text(),
        owns=(CHANGES,),
    )
    relay = Relay(database, bus, service="reporting", stream=None)
    depths, rolling, rebuilding = Depths(database, bus, None), Rolling(database), Rebuilding(database, bus)
    subscribe(bus)
    live = Live(database)
    announcer = Announcer(database, bus, live)
    limits = Limits(settings.office_requests_per_second)
    door = Doorkeeper(database, token_digest(settings.admin_token_file.read_text().strip()), Office, Token, limits)
    sessions = Sessions(database, door, Session, "reporting")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with (
                bus.running(),
                relay.running(),
                depths.running(),
                rolling.running(),
                rebuilding.running(),
                live.running(),
                announcer.running(),
            ):
                yield
        finally:
            await database.close()

    async def problems() -> list[str]:
        async with database.probe() as session:
            return [*bus.health(), *relay.health(), *await lacking(session)]

    app = create_app("Sampan reporting", lifespan, problems)
    tell_addresses(
        app,
        door.open,
        {
            "enrolment": settings.enrolment_url,
            "certification": settings.certification_url,
            "reporting": settings.public_url,
        },
    )
    checking = partial(check, bus=bus)
    app.include_router(administration(database, door, dead_letters, bus, checking, audit))
    https = settings.public_url.startswith("https:")
    explaining, key = Turns(EXPLAINED_AT_ONCE), digest_key(secret)
    outlets = exporting.Outlets(_ids(settings), _publisher(settings))
    elsewhere = {"enrolment": settings.enrolment_url, "certification": settings.certification_url}
    for part in (
        routes(
            database, door, sessions, audit, bus.extent, https=https, explaining=explaining, key=key, outlets=outlets
        ),
        exports_api.routes(database, door),
        public_api.routes(database, door, audit, Visitors()),
        periods_api.routes(database, door, audit, explaining),
        changes(live, door, sessions),
        ReportingPages(database, sessions, door, elsewhere, explaining, key).routes(),
    ):
        app.include_router(part)
    tell_browsers(app, signin.nothing_here)
    show_contract(app, door, sessions, "reporting")
    return app


def _ids(settings: Settings) -> Ids | None:
    file = settings.dhis2_mapping_file
    return None if file is None else Ids.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))


def _publisher(settings: Settings) -> Publisher | None:
    if not settings.iati_organisation:
        return None
    return Publisher(settings.iati_organisation, settings.iati_organisation_kind, settings.operator_name)


def from_environment() -> FastAPI:
    """For uvicorn: ``services.reporting.app:from_environment`` with ``--factory``."""
    configure("reporting")
    return with_heartbeat(create(Settings()))
