"""What anybody sees who scans the code on a paper, types in its number and name, or was given a link by an office.

No sign-in, no script, nothing from elsewhere, and no name of anybody who has not agreed to be named in public.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse

from services.certification import showing, wallet
from services.certification.documents_api import file
from services.certification.holders import CERTIFICATION, PUBLIC, Holder, Holders
from services.certification.issuer import opened_document
from services.certification.judging import LARGEST_FILE, Busy, Judging
from services.certification.matching import is_one_of, was_one_of
from services.certification.operator import Operator
from services.certification.printing import Printing
from services.certification.recognitions import worth
from services.certification.showing import Shown
from shared import desk, signin
from shared.database import Database
from shared.http import Problem
from shared.pages.languages import noted as _
from shared.pages.rendering import Frame, Link, Pages
from shared.uploads import multipart
from shared.vc import contents
from shared.vc.embedding import PHOTO
from shared.vc.reading import PART
from shared.visitors import Visitors

TEMPLATES: Final = Path(__file__).parent / "templates"
DESK_TEMPLATES: Final = Path(desk.__file__).parent / "templates"
LINKS: Final = (Link("/check", _("Check a certificate")),)
FORM_BYTES: Final = 8_192
NUMBER_CHARACTERS: Final = 63
NAME_CHARACTERS: Final = 300
COUNTRIES: Final = ("KH", "LA", "MM", "CN", "BN", "ID", "MY", "PH", "SG", "TH", "TL", "VN")
"""Offered to ask what a certificate is worth there: the programme's countries first, then the others of ASEAN."""
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""Asked for where there is no holder, so that no answer is quicker than another."""
LOOKUPS_PER_SECOND: Final = 0.2
"""How often numbers with names may be tried from one address; twenty at once."""
DOCUMENTS_PER_SECOND: Final = 0.5
"""How often what a link leads to may be asked for from one address; fifty at once: a class takes theirs together."""
STANDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "valid": ("good", _("This certificate is valid")),
    "suspended": ("decide-box", _("This certificate is suspended: it is not valid at present")),
    "revoked": ("problem", _("This certificate was revoked: it is not valid")),
    "superseded": ("decide-box", _("This certificate was replaced by a newer one: it is not valid any more")),
    "expired": ("decide-box", _("This certificate has expired: it is not valid any more")),
    "void": ("problem", _("This certificate should never have been issued: it is not valid")),
}
SIGNS: Final = {"good": "\u2713", "decide-box": "!", "problem": "\u2715"}
"""Seen before anything is read, and without telling colours apart."""
VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    **STANDINGS,
    "valid": ("good", _("This file is genuine, and its certificate is valid")),
    "withdrawn": ("problem", _("This certificate is suspended, revoked or replaced: it is not valid")),
    "forged": ("problem", _("This file was changed after it was signed, or was never signed: do not accept it")),
    "not yet valid": ("decide-box", _("This certificate is not valid yet")),
    "status unknown": ("decide-box", _("This file is genuine. How its certificate stands is not known: scan its code")),
    "unknown issuer": (
        "decide-box",
        _(
            "This file was not issued here: scan its code, or ask whoever it names, at an address that you know to be theirs"
        ),
    ),
    "another kind of proof": ("decide-box", _("There is no proof in this file that can be checked here")),
    "not a credential": (
        "decide-box",
        _(
            "There is no signed document in this file. A scan, a photograph or a printed copy has lost it: scan the code instead"
        ),
    ),
}
"""What is said of a file, by its verdict."""
GIVEN_UP: Final = (
    "problem",
    _(
        "The key that signed this file was declared compromised on %(day)s, so anybody may have made it: do not accept it. The "
        "certificate itself may well stand, and its file was signed anew: scan the code on the paper, or ask for the file again"
    ),
)
OF_NOTHING: Final[Mapping[str, tuple[str, str]]] = {
    PART: ("decide-box", _("Only a part of this file is there: ask for it again, and check it then")),
    PHOTO: (
        "decide-box",
        _(
            "This is a photograph or a scan, and there is no signed document in it. Scan the code that it shows, or ask for "
            "the file itself (PDF or PNG)"
        ),
    ),
}
"""What is said of a file that is no credential, where its reason has words of its own."""
SIGNED: Final = {*STANDINGS, "withdrawn", "status unknown"}
"""Verdicts on files whose signature is good and of a key of ours."""
HEADINGS: Final = {404: _("Nothing here"), 410: _("Not kept any more"), 429: _("Too much at once"), 503: _("Not now")}
MESSAGES: Final = {
    400: _("Choose a file first."),
    404: _("There is no certificate at this address. Check it letter by letter, or scan the code again."),
    "link": _("This link has ended, or is not whole. Its holder's office makes a new one in a moment: ask there."),
    "taken_back": STANDINGS["void"][1],
    410: _("The holder of this certificate was forgotten, as they asked. The document cannot be opened by anybody."),
    413: _("This is larger than any certificate."),
    415: _("Use the form on the page."),
    429: _("Too much is asked from your address. Wait %(seconds)s seconds and try again."),
    503: _("The documents cannot be opened just now. Try again in a moment."),
}
PublicId = Annotated[str, InPath(pattern=f"(?i)^{showing.PUBLIC_ID}$")]
Token = Annotated[str, InPath(pattern=f"^{wallet.FORM}$")]


class Matched(NamedTuple):
    """A certificate that is held by somebody of the name that was typed, or of one that was ``corrected`` since."""

    shown: Shown
    corrected: bool


class PublicPages:
    """The pages, and what they are made from."""

    def __init__(
        self, database: Database, holders: Holders, printing: Printing, operator: Operator, judging: Judging
    ) -> None:
        self._database = database
        self._holders = holders
        self._printing = printing
        self._operator = operator
        self._judging = judging
        self._pages = Pages(TEMPLATES, DESK_TEMPLATES)
        self._visitors = Visitors()
        self._lookups = Visitors(LOOKUPS_PER_SECOND)
        self._takers = Visitors(DOCUMENTS_PER_SECOND)

    def routes(self) -> APIRouter:
        """Every page and file that needs no token."""
        router = signin.pages_router(self._refusal)

        @router.get("/C/{public_id}")
        @router.get("/c/{public_id}")
        async def certificate(
            request: Request,
            public_id: PublicId,
            country: Annotated[str | None, Query(alias="in", pattern="^[A-Z]{2}$")] = None,
        ) -> Response:
            await self._visitors.open(request)
            now = datetime.now(UTC)
            # On a paper it is typed from, and some keyboards begin a word with a capital.
            if (address := f"/c/{public_id.lower()}") != request.url.path:
                return RedirectResponse(f"{address}?{request.url.query}".rstrip("?"), 308)
            async with self._database.transaction() as session:
                shown = await showing.by_public_id(session, public_id, now)
                if shown is None:
                    raise Problem(404, "not_found", "")
                counts = shown.status == "valid"
                worths = await worth(session, shown.fact, country, now.date()) if country and counts else ()
                proved = await showing.proved(session, public_id)
            return self._page(
                request,
                "public.html",
                shown=shown,
                holder=await self._holder(shown),
                standings=STANDINGS,
                signs=SIGNS,
                counts=counts,
                country=country,
                countries=COUNTRIES,
                worths=worths,
                proved=proved,
                operator=self._operator,
                now=now,
            )

        @router.get("/check")
        async def check(request: Request) -> Response:
            return self._check_page(request)

        @router.post("/check")
        async def checked(request: Request) -> Response:
            typed = dict(await signin.form(request, FORM_BYTES))
            number, name = typed.get("number", "").strip(), typed.get("name", "").strip()
            await self._lookups.open(request)
            found = await self._matching(number, name)
            return self._check_page(request, answer=found or "no", number=number)

        @router.get("/check/file")
        async def form_again(request: Request) -> Response:
            return RedirectResponse(f"/check?{request.url.query}".rstrip("?"), 303)

        @router.post("/check/file")
        async def file_checked(request: Request) -> Response:
            await self._takers.open(request)
            content = (await multipart(request, LARGEST_FILE))[1]
            if not content:
                raise Problem(400, "invalid_form", "")
            try:
                found = await self._judging.verdict(content)
            except Busy:
                raise Problem(503, "not_now", "", {"Retry-After": "2"}) from None
            public_id = self._judging.public_id(found)
            # By itself a good signature says nothing of the picture around it: anybody can put a document into another file.
            signed = contents.read(found.document) if found.document and found.word in SIGNED else None
            said = GIVEN_UP if found.given_up else OF_NOTHING.get(found.sentence) or VERDICTS[found.word]
            return self._check_page(
                request,
                said=said,
                given_up=found.given_up,
                page=f"/c/{public_id}" if public_id else None,
                signed=signed,
                corrected=bool(public_id and signed and await self._corrected(public_id, signed.names)),
                made_anew=await self._judging.made_anew(content, found),
            )

        @router.get("/w/{token}")
        async def wallet_page(request: Request, token: Token) -> Response:
            certificate, expires = await self._linked(request, token)
            now = datetime.now(UTC)
            async with self._database.transaction() as session:
                shown = await showing.by_certificate(session, certificate, now)
            if shown is None:
                raise Problem(404, "not_found", "")
            return self._page(
                request,
                "wallet.html",
                shown=shown,
                standings=STANDINGS,
                expires=expires,
                base=f"/w/{token}",
            )

        @router.get("/w/{token}/document.pdf")
        async def pdf(request: Request, token: Token) -> Response:
            printable = await self._printing.open((await self._linked(request, token))[0])
            return file(await self._printing.pdf(printable), "application/pdf", printable.shown.fact, "pdf")

        @router.get("/w/{token}/document.png")
        async def png(request: Request, token: Token) -> Response:
            printable = await self._printing.open((await self._linked(request, token))[0])
            return file(await self._printing.png(printable), "image/png", printable.shown.fact, "png")

        @router.get("/w/{token}/credential.json")
        async def credential(request: Request, token: Token) -> Response:
            printable = await self._printing.open((await self._linked(request, token))[0])
            return file(printable.opened.document.json.encode(), "application/vc", printable.shown.fact, "json")

        @router.get("/w/{token}/credential.jwt")
        async def jwt(request: Request, token: Token) -> Response:
            printable = await self._printing.open((await self._linked(request, token))[0])
            return file(printable.opened.document.jwt.encode(), "application/vc+jwt", printable.shown.fact, "jwt")

        return router

    async def _linked(self, request: Request, token: str) -> tuple[str, datetime]:
        await self._takers.open(request)
        async with self._database.transaction() as session:
            found = await wallet.certificate_of(session, token, datetime.now(UTC))
        if found is None:
            raise Problem(404, "link", "")
        return found

    async def _holder(self, shown: Shown) -> Holder:
        """With their names where they agreed to be named in public; unknown while enrolment does not answer."""
        try:
            return await self._holders.one(shown.fact.enrolment, PUBLIC)
        except ConnectionError:
            return Holder("unknown")

    async def _matching(self, number: str, name: str) -> Matched | None:
        """The certificate with this number, if it is held by somebody of this name who agreed to be named on it.

        Also by a name that a paper of it said before it was corrected: who holds that paper knows that name, and learns no other.
        """
        found: list[Shown] = []
        if 0 < len(number) <= NUMBER_CHARACTERS and 0 < len(name) <= NAME_CHARACTERS:
            async with self._database.transaction() as session:
                found = await showing.by_number(session, number, datetime.now(UTC))
        try:
            holders = await self._holders.ask([one.fact.enrolment for one in found] or [NOBODY], CERTIFICATION)
        except ConnectionError:
            raise Problem(503, "unavailable", "", {"Retry-After": "2"}) from None
        for one in found:
            holder = holders[one.fact.enrolment]
            if not one.named or holder.names is None or holder.key is None:
                continue
            if is_one_of(name, (holder.names.original, holder.names.romanised)):
                return Matched(one, corrected=False)
            if was_one_of(name, one.former, holder.key) or is_one_of(name, _served(one, holder)):
                return Matched(one, corrected=True)
        return None

    async def _corrected(self, public_id: str, names: tuple[str, ...]) -> bool:
        """Whether a document of ours says a name that was corrected since; no while enrolment does not answer."""
        async with self._database.transaction() as session:
            shown = await showing.by_public_id(session, public_id, datetime.now(UTC))
        if shown is None or not shown.named:
            return False
        try:
            holder = await self._holders.one(shown.fact.enrolment, CERTIFICATION)
        except ConnectionError:
            return False
        by_now = holder.names
        return by_now is not None and any(not is_one_of(name, (by_now.original, by_now.romanised)) for name in names)

    def _check_page(self, request: Request, **values: Any) -> Response:
        nothing = dict.fromkeys(("answer", "said", "given_up", "page", "signed"))
        return self._page(
            request,
            "check.html",
            standings=STANDINGS,
            **{**nothing, "number": "", "corrected": False, "made_anew": False, **values},
        )

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        query = tuple(request.query_params.multi_items()) if request.method == "GET" else ()
        frame = Frame(request.url.path, signin.language_of(request), query=query, links=LINKS)
        answer = signin.answered(request, self._pages.render(template, frame, **values), status)
        answer.headers["X-Robots-Tag"] = "noindex"
        return answer

    def _refusal(self, request: Request, problem: Problem) -> Response:
        answer = self._page(
            request,
            "refusal.html",
            problem.status,
            heading=HEADINGS.get(problem.status, _("That did not work")),
            message=MESSAGES.get(problem.code) or MESSAGES.get(problem.status, MESSAGES[404]),
            seconds=problem.headers.get("Retry-After", "1"),
        )
        answer.headers.update(problem.headers)
        return answer


def _served(shown: Shown, holder: Holder) -> tuple[str, ...]:
    """The names that a certificate's document still says: for an hour it may be another than enrolment does."""
    if shown.sealed is None:
        return ()
    try:
        return contents.read(json.loads(opened_document(shown.sealed, shown.public_id, holder).json)).names
    except InvalidTag:
        return ()
