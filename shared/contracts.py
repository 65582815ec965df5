"""A service shows its contract: the OpenAPI and AsyncAPI documents, and both as pages.

They are behind the token like everything else. A program sends it as ever; a person in a browser is asked for it by a form.
"""

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from shared import asyncapi, signin
from shared.contract_pages import asyncapi_page, openapi_page
from shared.offices import Caller, Doorkeeper
from shared.openapi import complete
from shared.schemas import Schema
from shared.sessions import Sessions


def show_contract(app: FastAPI, door: Doorkeeper, sessions: Sessions, service: str) -> None:
    """Answer /openapi.json, /asyncapi.json, /docs and /asyncapi; the documents are made when they are first asked for."""
    contract = asyncapi.CONTRACTS[service]
    router = APIRouter()

    @cache
    def over_nats() -> Schema:
        return asyncapi.document(contract)

    @cache
    def over_http() -> Schema:
        document = get_openapi(
            title=app.title,
            version=asyncapi.VERSION,
            description=contract.about,
            license_info=asyncapi.LICENCE,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        return complete(document, contract.takes)

    async def reader(request: Request) -> Caller:
        return await signin.reader(request, sessions, door)

    asked = Annotated[Caller, Depends(reader)]

    @router.get("/openapi.json")
    async def openapi_document(_: asked) -> dict[str, Any]:
        """This document: the service over HTTP, as OpenAPI 3.1."""
        return over_http()

    @router.get("/asyncapi.json")
    async def asyncapi_document(_: asked) -> dict[str, Any]:
        """The service over NATS, as AsyncAPI 3.0."""
        return over_nats()

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return await signin.turned_away(request, sessions, door) or signin.html(openapi_page(over_http()))

    @router.get("/asyncapi", include_in_schema=False)
    async def asyncapi_docs(request: Request) -> Response:
        return await signin.turned_away(request, sessions, door) or signin.html(asyncapi_page(over_nats()))

    app.include_router(router)
    app.openapi = over_http  # type: ignore[method-assign]
