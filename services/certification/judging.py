"""Files that strangers were shown, judged as anybody could who trusts this installation's keys and its lists as they are now."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from services.certification.issuer_keys import IssuerKeys, name_of, published
from services.certification.operator import Operator
from services.certification.status_lists import SignedList, signed_list
from shared.database import Database
from shared.vc.trust import Trust
from shared.vc.verdict import Verdict, judge

LARGEST_FILE: Final = 4_000_000
"""Bytes: our papers and pictures have a tenth of that."""
ELSEWHERE: Final = (
    "Its issuer, or the key that signed it, is not one of this installation. Ask whoever it names, at an address that you know "
    "to be theirs."
)


class Judging:
    """Judges one file at a time. It keeps no file, and of lists the last that it saw."""

    def __init__(
        self,
        database: Database,
        keys: IssuerKeys,
        operator: Operator,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._keys = keys
        self._operator = operator
        self._clock = clock
        self._lists: dict[int, tuple[SignedList, Trust]] = {}

    async def verdict(self, content: bytes) -> Verdict:
        """What is to be believed of a file of at most ``LARGEST_FILE`` bytes."""
        now = self._clock()
        async with self._database.transaction() as session:
            good = {f"{self._operator.did}#{name_of(row.id)}": row.public for row in await published(session)}
        trust = Trust({self._operator.did: good})
        found = await asyncio.to_thread(judge, content, trust, now)
        if found.word == "unknown issuer":
            return replace(found, sentence=ELSEWHERE)
        number = None if found.document is None else self._operator.number_of(_list_of(found))
        signed = None if number is None else await signed_list(self._database, self._keys, self._operator, number, now)
        if number is None or signed is None:
            return found
        lists = await asyncio.to_thread(self._trusted, number, signed, trust)
        return await asyncio.to_thread(judge, content, Trust(trust.keys, lists.lists), now)

    def _trusted(self, number: int, signed: SignedList, trust: Trust) -> Trust:
        """A list with what its signature is worth, which is found out once for each that is signed."""
        known = self._lists.get(number)
        if known is None or known[0] != signed:
            known = signed, trust.with_list(signed.bits.json.encode()).with_list(signed.reasons.json.encode())
            self._lists[number] = known
        return known[1]


def _list_of(found: Verdict) -> str:
    """The address of the list that a document names; its signature is good, its form may still be another than ours."""
    entry = (found.document or {}).get("credentialStatus")
    return str(entry.get("statusListCredential", "")) if isinstance(entry, dict) else ""
