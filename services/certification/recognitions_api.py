"""The register of recognitions over HTTP: it holds what countries state in public, so nobody is asked who they are."""

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from services.certification import queries
from shared.database import Database
from shared.events.certification import RecognitionFact
from shared.events.codes import CODE_PATTERN
from shared.lists import Page, Paged
from shared.openapi import OPEN, refusals
from shared.visitors import Visitors

Filter = Annotated[str | None, Query(pattern=CODE_PATTERN)]
FILTERS: Final = ("scheme", "occupation", "level", "country")


def routes(database: Database, visitors: Visitors) -> APIRouter:
    """The register's one address."""
    router = APIRouter(dependencies=[Depends(visitors.open)])

    @router.get("/v1/recognitions", openapi_extra=OPEN, responses=refusals(429, 503))
    async def recognitions(
        paging: Paged,
        scheme: Filter = None,
        occupation: Filter = None,
        level: Filter = None,
        country: Annotated[str | None, Query(pattern="^[A-Z]{2}$", description="The one that recognises.")] = None,
        on: Annotated[
            date | None, Query(description="Only what held on this day; without it, all that ever did.")
        ] = None,
    ) -> Page[RecognitionFact]:
        """What countries recognise: a scheme's occupation and level as a level of their own framework.

        Nothing here means that no recognition is recorded; it says nothing against a certificate.
        """
        filters = dict(zip(FILTERS, (scheme, occupation, level, country), strict=True))
        async with database.transaction() as session:
            return await queries.recognitions(session, paging, filters, on)

    return router
