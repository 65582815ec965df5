"""Whoever hosts has the papers of those who agree to training; whoever sends or awards has them all the same."""

import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import nullcontext

import httpx
import pytest

from services.certification import documents_api, wallet_api
from services.certification.documents import Names
from services.certification.links import Links
from services.certification.printing import Printing
from services.certification.tables import Office, Session, Token
from shared.audit import Audit
from shared.http import Problem, create_app
from shared.offices import Caller, Doorkeeper, token_digest
from shared.sessions import Sessions
from tests.integration.certification.given import an_office, tell
from tests.integration.chain.issuing import OPERATOR, SECRET, Chain
from tests.unit.certification.given import BODY
from tests.unit.enrolment.story import HOST, SENDER, trainee

NO_TRAINING = trainee("consent.withdrawn", "01", 50, by="self", date="2025-04-19", purposes=["training"])
OFFICES = {HOST: "host-centre", SENDER: "sending-office", BODY: "awarding-body"}


class Asking(httpx.AsyncClient):
    """Each office's token is its own name."""

    async def of(self, office: str, path: str, method: str = "GET") -> httpx.Response:
        return await self.request(method, path, headers={"Authorization": f"Bearer {office}"})


@pytest.fixture
async def papers(chain: Chain) -> AsyncIterator[Asking]:
    async def no_problems() -> list[str]:
        return []

    door = Doorkeeper(chain.own, token_digest("nobody"), Office, Token)
    audit, names = Audit(chain.own, SECRET), Names(chain.own, chain.holders)
    printing = Printing(chain.own, chain.documents, OPERATOR)
    sessions = Sessions(chain.own, door, Session, "certification")
    app = create_app("Papers", lambda _: nullcontext(), no_problems)
    app.include_router(documents_api.routes(printing, names, door, sessions, audit))
    app.include_router(wallet_api.routes(Links(OPERATOR.url, chain.own, names, audit), door))
    await tell(chain.own, *(an_office(office, office, [role]) for office, role in OFFICES.items()))
    async with Asking(transport=httpx.ASGITransport(app=app), base_url="http://it") as client:
        yield client


async def certificate_of(chain: Chain, number: str) -> str:
    rows = await chain.rows("SELECT certificate FROM certificates WHERE data ->> 'trainee' = :number", number=number)
    return str(rows[0]["certificate"])


async def in_zip(papers: Asking, office: str) -> set[str]:
    """The numbers of the trainees whose papers are in the file."""
    answer = await papers.of(office, "/v1/cohorts/wuxi-2025/documents.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return {name.split("_")[1] for name in packed.namelist()}


async def test_who_does_not_agree_to_training_is_named_to_who_sends_or_awards_and_not_to_who_hosts(
    chain: Chain, papers: Asking
) -> None:
    """One who agreed to a document and to nothing else; the other one's document names nobody."""
    named, nameless = await certificate_of(chain, "01"), await certificate_of(chain, "02")
    link = f"/v1/certificates/{named}/wallet-links"
    assert (await papers.of(HOST, link, "POST")).status_code == 201, "as long as they agree"
    await chain.live(NO_TRAINING)
    public_id = await chain.public_id("01")
    for office, role in OFFICES.items():
        caller, may = Caller(office, frozenset({role}), "an-officer"), office != HOST
        paper = await papers.of(office, f"/v1/certificates/{named}/document.png")
        assert paper.status_code == (200 if may else 404), office
        made = await papers.of(office, link, "POST")
        assert made.status_code == (201 if may else 404), office
        if may:
            assert (await chain.documents.for_caller(public_id, caller)).holder.names is not None
        else:
            with pytest.raises(Problem, match="No certificate has this address"):
                await chain.documents.for_caller(public_id, caller)
    assert await in_zip(papers, HOST) == {"02"}
    assert await in_zip(papers, BODY) == {"01", "02"}
    assert (await papers.of(HOST, f"/v1/certificates/{nameless}/document.png")).status_code == 200
    outlives = await papers.of(HOST, f"/v1/certificates/{nameless}/wallet-links", "POST")
    assert outlives.status_code == 404, "a later document may name them"
    assert (await papers.of(HOST, link, "DELETE")).json() == {"ended": 3}, "also one that it made before"


async def test_what_a_host_may_see_is_not_told_while_enrolment_is_away(chain: Chain, papers: Asking) -> None:
    named = await certificate_of(chain, "01")
    chain.enrolment_answers = False
    assert (await papers.of(HOST, f"/v1/certificates/{named}/wallet-links", "POST")).status_code == 503
    assert (await papers.of(BODY, f"/v1/certificates/{named}/wallet-links", "POST")).status_code == 201
