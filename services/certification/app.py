"""Certification's only wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import NamedTuple

from fastapi import FastAPI

from services.certification import (
    credentials_api,
    desk,
    documents_api,
    issuer_api,
    judging_api,
    log_api,
    recognitions_api,
    rosters,
    wallet_api,
)
from services.certification.api import routes
from services.certification.attested import Attested
from services.certification.check import check
from services.certification.documents import Documents, Names
from services.certification.handlers import Handlers
from services.certification.holders import Holders
from services.certification.issuer import Issuer
from services.certification.issuer_keys import IssuerKeys
from services.certification.judging import Judging
from services.certification.links import Links
from services.certification.log import Log
from services.certification.operator import Operator
from services.certification.printing import Printing
from services.certification.public_pages import PublicPages
from services.certification.settings import Settings
from services.certification.subscribers import subscribe
from services.certification.tables import KeptFile, Office, Session, Token
from services.certification.wording import CODES
from shared import brought, signin, uploads
from shared.asking import ask
from shared.audit import Audit
from shared.bus import Bus
from shared.contracts import show_contract
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.depths import Depths
from shared.desk.rosters import Rosters
from shared.http import create_app, tell_addresses, tell_browsers, with_heartbeat
from shared.keeping import Keeping
from shared.limits import Limits
from shared.offices import Doorkeeper, token_digest
from shared.rejections import rejections
from shared.relay import Relay
from shared.rights import HOLDER
from shared.scrubbing import Scrubbing
from shared.sessions import Sessions
from shared.telemetry import configure
from shared.upkeep import administration
from shared.visitors import Visitors


class _Issuing(NamedTuple):
    """What makes and serves credentials: none of it before there is a public address."""

    transparency: Log | None = None
    issuer: Issuer | None = None
    documents: Documents | None = None
    attested: Attested | None = None
    printing: Printing | None = None
    judging: Judging | None = None


def _issuing(
    database: Database, secret: bytes, keys: IssuerKeys, holders: Holders, operator: Operator | None
) -> _Issuing:
    if operator is None:
        return _Issuing()
    transparency = Log(secret, operator.host)
    issuer = Issuer(database, keys, holders, operator, transparency.append)
    documents = Documents(database, holders, issuer)
    return _Issuing(
        transparency,
        issuer,
        documents,
        Attested(holders, transparency),
        Printing(database, documents, operator),
        Judging(database, keys, operator, documents),
    )


def create(settings: Settings) -> FastAPI:
    """Certification as settings say. HTTP answers also when the broker is away."""
    secret = bytes.fromhex(settings.secret_file.read_text().strip())
    administrator = token_digest(settings.admin_token_file.read_text().strip())
    database = Database(settings.database_url, "certification")
    limits = Limits(
        settings.office_requests_per_second, settings.office_events_per_second, settings.office_bytes_per_second
    )
    door = Doorkeeper(database, administrator, Office, Token, limits)
    sessions = Sessions(database, door, Session, "certification")
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
    scrubbing = Scrubbing(database, bus, "CERTIFICATION")
    audit = Audit(database, secret)
    depths = Depths(database, bus, "CERTIFICATION")
    handlers = Handlers(database, secret, settings.enrolment_url)
    subscribe(bus, handlers)
    bus.sweep(handlers.rejected.forget_expired)
    keys = IssuerKeys(secret)
    operator = Operator.at(settings.public_url, settings.operator_name) if settings.public_url else None
    holders = Holders(partial(ask, bus, HOLDER))
    transparency, issuer, documents, attested, printing, judging = _issuing(database, secret, keys, holders, operator)
    names = Names(database, holders)
    links = Links(operator.url if operator else None, database, names, audit)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with (
                bus.running(),
                relay.running(),
                scrubbing.running(),
                depths.running(),
                issuer.running() if issuer else nullcontext(),
            ):
                yield
        finally:
            await database.close()

    async def problems() -> list[str]:
        await database.ping()
        return [*bus.health(), *relay.health(), *scrubbing.health()]

    app = create_app("Sampan certification", lifespan, problems)
    for part in (
        administration(database, door, dead_letters, bus, partial(check, bus=bus, attested=attested), audit),
        routes(handlers, database, door, audit),
        issuer_api.routes(database, door, audit, operator, keys, issuer),
        credentials_api.routes(database, door, operator, keys, documents, audit, Visitors()),
        judging_api.routes(judging, Visitors()),
        log_api.routes(transparency, database, Visitors()),
        recognitions_api.routes(database, Visitors()),
        documents_api.routes(printing, names, door, sessions, audit),
        wallet_api.routes(links, door),
        rejections(database, door, handlers.rejected, audit),
    ):
        app.include_router(part)
    addresses = {
        "enrolment": settings.enrolment_url,
        "certification": settings.address,
        "reporting": settings.reporting_url,
    }
    tell_addresses(app, door.open, addresses)
    taking = rosters.desk(handlers, secret, database, door, settings.enrolment_url)
    choices = partial(rosters.choices, database)
    keeping = Keeping(database, KeptFile, secret)
    bus.sweep(keeping.forget_expired)
    pages = Rosters(taking, keeping, choices, CODES)
    for part in (
        uploads.routes(taking, door, choices),
        brought.routes(taking, audit),
        desk.routes(handlers, database, sessions, pages, addresses, links),
        signin.routes(sessions, audit, https=settings.address.startswith("https:")),
    ):
        app.include_router(part)
    tell_browsers(app, signin.nothing_here)
    if operator and printing and judging:
        app.include_router(PublicPages(database, holders, printing, operator, judging).routes())
    show_contract(app, door, sessions, "certification")
    return app


def from_environment() -> FastAPI:
    """For ``uvicorn --factory``."""
    configure("certification")
    return with_heartbeat(create(Settings()))
