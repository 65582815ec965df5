"""What anybody may ask about certificates, without a token: the issuer's keys, the status lists, and documents."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from services.certification import store
from services.certification.documents import Documents, Opened, PublicStanding
from services.certification.issuer_keys import IssuerKeys, every_key
from services.certification.operator import Operator
from services.certification.signing import did_document
from services.certification.status_lists import SignedList, signed_list
from shared.audit import Act, Audit
from shared.database import Database
from shared.events.certification import SchemeFact
from shared.events.codes import CODE_PATTERN
from shared.http import Problem, holds
from shared.offices import Doorkeeper
from shared.openapi import OPEN, refusals
from shared.visitors import Visitors

VC: Final = "application/vc"
JWT: Final = "application/vc+jwt"
DID: Final = "application/did+json"
LIST_SECONDS: Final = 1
"""How long a copy of a status list may be used without asking whether it is still good: asking costs a few hundred bytes."""
KEYS_SECONDS: Final = 300
PublicId = Annotated[
    str, Path(pattern="^[a-z2-7]{26}$", description="The 26 letters and digits of a certificate's address.")
]
SchemeCode = Annotated[str, Path(pattern=CODE_PATTERN)]
ListNumber = Annotated[int, Path(ge=1, le=10**6)]


def routes(
    database: Database,
    door: Doorkeeper,
    operator: Operator | None,
    keys: IssuerKeys,
    documents: Documents | None,
    audit: Audit,
    visitors: Visitors,
) -> APIRouter:
    """The public addresses. Without an operator's address they all say that nothing is issued here."""
    router = APIRouter(dependencies=[Depends(visitors.open)])
    answers = refusals(404, 429, 503)

    def issuing() -> tuple[Operator, Documents]:
        if operator is None or documents is None:
            raise Problem(404, "nothing_issued", "This installation issues nothing: its public address is not set.")
        return operator, documents

    @router.get("/.well-known/did.json", openapi_extra=OPEN, responses=answers, response_class=Response)
    @router.get("/did.json", include_in_schema=False)
    async def did(request: Request) -> Response:
        """The issuer's keys (did:web): those that sign, those whose signatures are still good, and which were given up when."""
        there, _ = issuing()
        async with database.transaction() as session:
            content = did_document(there, await every_key(session))
        return _cached(request, content, DID, f"public, max-age={KEYS_SECONDS}")

    async def the_list(number: int) -> SignedList:
        there, _ = issuing()
        found = await signed_list(database, keys, there, number, datetime.now(UTC))
        if found is None:
            raise Problem(404, "not_found", "There is no status list of this number.")
        return found

    # What ends in .jwt before what does not: the first that fits is taken.
    @router.get("/v1/status/{number}.jwt", openapi_extra=OPEN, responses=answers, response_class=Response)
    async def status_list_jwt(number: ListNumber, request: Request) -> Response:
        """The status list as a signed JWT."""
        return _cached(request, (await the_list(number)).bits.jwt, JWT, f"public, max-age={LIST_SECONDS}")

    @router.get("/v1/status/{number}", openapi_extra=OPEN, responses=answers, response_class=Response)
    async def status_list(number: ListNumber, request: Request) -> Response:
        """A status list: a signed credential with one bit for each document; a set bit says that nobody should accept it."""
        return _cached(request, (await the_list(number)).bits.json, VC, f"public, max-age={LIST_SECONDS}")

    @router.get("/v1/status/{number}/reasons.jwt", openapi_extra=OPEN, responses=answers, response_class=Response)
    async def reasons_jwt(number: ListNumber, request: Request) -> Response:
        """The list of reasons as a signed JWT."""
        return _cached(request, (await the_list(number)).reasons.jwt, JWT, f"public, max-age={LIST_SECONDS}")

    @router.get("/v1/status/{number}/reasons", openapi_extra=OPEN, responses=answers, response_class=Response)
    async def reasons(number: ListNumber, request: Request) -> Response:
        """Why bits of the list are set: revoked, suspended, superseded or void, in four bits for each place."""
        return _cached(request, (await the_list(number)).reasons.json, VC, f"public, max-age={LIST_SECONDS}")

    @router.get("/v1/credentials/{public_id}/standing", openapi_extra=OPEN, responses=answers)
    async def standing(public_id: PublicId, response: Response) -> PublicStanding:
        """How a certificate stands now. It says nothing of its holder."""
        _, there = issuing()
        response.headers["Cache-Control"] = "no-cache"
        return await there.standing(public_id)

    @router.get("/v1/schemes/{scheme}", openapi_extra=OPEN, responses=answers)
    async def scheme(scheme: SchemeCode, response: Response) -> SchemeFact:
        """A scheme with its occupations, levels and awarding body: what the identifiers in a credential lead to.

        Behind ``#`` an identifier has an occupation, a level or both (``occupation.level``), or the part of an assessment.
        """
        issuing()
        async with database.transaction() as session:
            found = (await store.schemes(session, [scheme])).get(scheme)
        if found is None or found.status == "void":
            raise Problem(404, "not_found", "No scheme has this code.")
        response.headers["Cache-Control"] = f"public, max-age={KEYS_SECONDS}"
        response.headers["Access-Control-Allow-Origin"] = "*"
        return found

    async def opened(public_id: str, request: Request) -> Opened:
        _, there = issuing()
        if "authorization" in request.headers:
            caller = await door.open(request)
            found = await there.for_caller(public_id, caller)
            await audit.record_alone(Act(caller, "documents.taken", found.certificate))
            return found
        return await there.for_anybody(public_id)

    with_document: dict[str, Any] = {"responses": refusals(401, 403, 404, 410, 429, 503), "openapi_extra": OPEN}

    @router.get("/v1/credentials/{public_id}.jwt", response_class=Response, **with_document)
    async def credential_jwt(public_id: PublicId, request: Request) -> Response:
        """The signed document as a JWT."""
        return _private(request, (await opened(public_id, request)).document.jwt, JWT)

    @router.get("/v1/credentials/{public_id}", response_class=Response, **with_document)
    async def credential(public_id: PublicId, request: Request) -> Response:
        """The signed document: an Open Badge 3.0 with its proof.

        One that names its holder needs a token of an office that may see the name, or the holder's consent to its being public.
        """
        return _private(request, (await opened(public_id, request)).document.json, VC)

    return router


def _private(request: Request, content: str, media_type: str) -> Response:
    return _cached(request, content, media_type, "private, no-cache")


def _cached(request: Request, content: str, media_type: str, cache_control: str) -> Response:
    """The content, or that it has not changed since it was asked for last."""
    etag = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache_control, "Access-Control-Allow-Origin": "*"}
    if holds(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
