"""What strangers find of a certificate that is being replaced, and what two verifiers say of it: ours, and one of others."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from services.certification.issuer_keys import every_key
from services.certification.signing import did_document
from services.certification.status_lists import signed_list
from shared.evidence import proved
from shared.vc.trust import Trust
from shared.vc.verdict import judge
from tests.integration.chain.issuing import OPERATOR, Chain
from tests.outsiders import accepted


class Found(NamedTuple):
    """The last two public editions as a stranger finds them: how they stand, what our verifier says, what to ask others."""

    editions: int
    standings: list[str]
    own: list[str]
    documents: list[str]
    keys: str
    lists: dict[str, str]


async def found(chain: Chain) -> Found:
    """Each is opened as its holder would; the log must prove how it stands."""
    rows = await chain.rows(
        """
        SELECT public_id, list, attestations.status FROM attestations JOIN certificates USING (certificate)
        WHERE data ->> 'trainee' = '01' AND attestations.status <> 'prepared' ORDER BY (data ->> 'edition')::int
        """
    )
    assert [row["status"] for row in rows[:-1]] == ["superseded"] * (len(rows) - 1)
    last = rows[-2:]
    documents = [(await chain.documents.for_holder(row["public_id"])).document.json for row in last]
    async with chain.own.transaction() as session:
        keys = did_document(OPERATOR, await every_key(session))
        for row in last:
            _, logged = proved(await chain.log.evidence(session, row["public_id"]), await chain.log.key(session))
            assert logged[-1].status == row["status"]
        assert [problem async for problem in chain.log.verify(session)] == []
    lists: dict[str, str] = {}
    for number in {row["list"] for row in last}:
        signed = await signed_list(chain.own, chain.keys, OPERATOR, number, chain.now)
        assert signed is not None
        lists |= {json.loads(one.json)["id"]: one.json for one in (signed.bits, signed.reasons)}
    trust = Trust().with_issuer(keys.encode()).with_lists(one.encode() for one in lists.values())
    own = [str(judge(one.encode(), trust, chain.now + timedelta(minutes=1)).word) for one in documents]
    return Found(len(rows), [row["status"] for row in last], own, documents, keys, lists)


def judged_by_two(states: Sequence[Found]) -> None:
    """In each state both verifiers accept the last public edition, and no edition that it has replaced."""
    for state in states:
        assert state.standings[-1] == "valid"
        assert state.own == state.standings
    for state, others in zip(states, _others(states), strict=True):
        assert others == [standing == "valid" for standing in state.standings]


def _others(states: Sequence[Found]) -> list[list[bool]]:
    """What the verifiers that were not written here say of every state's documents, given the keys and lists of that moment."""
    answers = iter(
        accepted(
            (json.loads(one), {OPERATOR.did: json.loads(state.keys), **_read(state.lists)})
            for state in states
            for one in state.documents
        )
    )
    return [[next(answers) for _ in state.documents] for state in states]


def _read(lists: Mapping[str, str]) -> dict[str, Any]:
    return {address: json.loads(one) for address, one in lists.items()}
