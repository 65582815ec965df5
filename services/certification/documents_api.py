"""A certificate's documents, for the offices that may see its holder's name."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import StreamingResponse

from services.certification.documents import Names
from services.certification.printing import NOT_THERE, Printable, Printing
from shared.audit import Act, Audit
from shared.events.certification import CertificateFact
from shared.events.codes import CODE_PATTERN
from shared.http import Problem
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.sessions import Sessions
from shared.signin import reader

Named = Annotated[str, Path(pattern=CODE_PATTERN)]
NOT_KEPT: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
NO_NAMES: Final = (
    "Your office sees figures and no names. "
    "Ask the office that sent the trainee, hosted the course or awarded the certificate."
)


def routes(printing: Printing | None, names: Names, door: Doorkeeper, sessions: Sessions, audit: Audit) -> APIRouter:
    """Every address of documents for offices. Without an address of the installation they all say that nothing is issued."""
    router = APIRouter()

    async def office(request: Request) -> Caller:
        """By token, or by the cookie of a page that links here."""
        caller = await reader(request, sessions, door)
        if caller.only_reads():
            raise Problem(403, "no_names", NO_NAMES)
        return caller

    Office = Annotated[Caller, Depends(office)]  # noqa: N806 - a type

    def press() -> Printing:
        if printing is None:
            raise Problem(404, "nothing_issued", "This installation issues nothing: its public address is not set.")
        return printing

    async def opened(caller: Caller, certificate: str) -> Printable:
        if not await names.certificates(caller, certificate=certificate):
            raise Problem(404, "not_found", NOT_THERE)
        printable = await press().open(certificate)
        await audit.record_alone(Act(caller, "documents.taken", certificate))
        return printable

    @router.get("/v1/certificates/{certificate}/document.pdf", **_answers("application/pdf"))
    async def pdf(certificate: Named, caller: Office) -> Response:
        """The certificate's page to print, with the signed credential in the file."""
        printable = await opened(caller, certificate)
        return file(await press().pdf(printable), "application/pdf", printable.shown.fact, "pdf")

    @router.get("/v1/certificates/{certificate}/document.png", **_answers("image/png"))
    async def png(certificate: Named, caller: Office) -> Response:
        """The same page as a picture, with the signed credential in the file."""
        printable = await opened(caller, certificate)
        return file(await press().png(printable), "image/png", printable.shown.fact, "png")

    @router.get("/v1/cohorts/{cohort}/documents.zip", **_answers("application/zip"))
    async def bundle(cohort: Named, caller: Office) -> Response:
        """Every certificate's page of a cohort that the office may see, as one zip that begins at once and takes its time."""
        found = await names.certificates(caller, cohort=cohort)
        if not found:
            raise Problem(404, "not_found", NOT_THERE)
        await audit.record_alone(Act(caller, "documents.taken", cohort, len(found)))
        packed = press().bundle([(fact.certificate, f"{file_name(fact)}.pdf") for fact in found])
        first = await anext(packed)  # what goes wrong at once is answered as a problem, and not as half a file

        async def all_of_it() -> AsyncIterator[bytes]:
            yield first
            async for part in packed:
                yield part

        headers = {**NOT_KEPT, "Content-Disposition": f'attachment; filename="{cohort}.zip"'}
        return StreamingResponse(all_of_it(), media_type="application/zip", headers=headers)

    return router


def file_name(fact: CertificateFact) -> str:
    """What a document's file is called: codes and no name, since names of files are shown everywhere.

    No code has a ``_``, so no two documents have one name.
    """
    return "_".join((fact.cohort, fact.trainee, fact.scheme, fact.occupation, fact.level, str(fact.edition)))


def file(content: bytes, kind: str, fact: CertificateFact, suffix: str) -> Response:
    """A document to be kept where whoever asked for it wants."""
    headers = {**NOT_KEPT, "Content-Disposition": f'attachment; filename="{file_name(fact)}.{suffix}"'}
    return Response(content, media_type=kind, headers=headers)


def _answers(kind: str) -> dict[str, Any]:
    """What the contract says of an address that answers with a file."""
    about: dict[int | str, dict[str, Any]] = {
        200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}},
        410: {
            "description": "The holder was forgotten, or the certificate was taken back: nobody can open the document."
        },
    }
    return {"response_class": Response, "responses": about | refusals(403)}
