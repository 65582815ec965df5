"""Files that strangers were shown, judged as anybody could who trusts this installation's keys and its lists as they are now."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import text

from services.certification import showing
from services.certification.documents import Documents
from services.certification.issuer_keys import IssuerKeys, every_key, given_up, good, name_of
from services.certification.operator import Operator
from services.certification.status_lists import OLD, SignedList, signed_list
from shared.database import Database
from shared.vc.trust import StatusList, Trust
from shared.vc.verdict import Verdict, judge

LARGEST_FILE: Final = 4_000_000
"""Bytes: our papers and pictures have a tenth of that."""
ELSEWHERE: Final = (
    "Its issuer, or the key that signed it, is not one of this installation. Ask whoever it names, at an address that you know "
    "to be theirs."
)

NOT_HERE: Final = (
    "It was signed with a key of this installation, which has no certificate at its address, and so cannot say how it stands. "
    "Ask the awarding body for a new file."
)
"""After a restore this is so of what was issued since the backup."""


MOST_WAITING: Final = 16
"""Files that wait for their turn, each a fraction of a second: whoever comes then is asked to come again."""


class Busy(Exception):
    """So many files wait to be judged that another one would wait too long."""


class Judging:
    """Judges one file at a time. It keeps no file, and of lists the last that it saw."""

    def __init__(
        self,
        database: Database,
        keys: IssuerKeys,
        operator: Operator,
        documents: Documents,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._keys = keys
        self._operator = operator
        self._documents = documents
        self._clock = clock
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0
        self._lists: dict[int, tuple[bytes, Mapping[tuple[str, str], StatusList]]] = {}

    async def verdict(self, content: bytes) -> Verdict:
        """What is to be believed of a file of at most ``LARGEST_FILE`` bytes. Raises Busy."""
        if self._waiting > MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:  # a thread for each would take the processor from all that the service does besides
                return await self._verdict(content)
        finally:
            self._waiting -= 1

    async def made_anew(self, content: bytes, found: Verdict) -> bool:
        """Whether a file is one of ours by its verdict, and its certificate's document says something else by now."""
        public_id = self.public_id(found)
        return public_id is not None and await self._documents.says_otherwise(public_id, content, found.document or {})

    def public_id(self, found: Verdict) -> str | None:
        """Of which certificate of ours a file with a good signature is."""
        address = (found.document or {}).get("id")
        before = self._operator.credential("")
        if not isinstance(address, str) or not address.startswith(before):
            return None
        public_id = address.removeprefix(before)
        return public_id if re.fullmatch(showing.PUBLIC_ID, public_id) else None

    async def _verdict(self, content: bytes) -> Verdict:
        found = await self._by_lists(content)
        if found.word == "valid" and not await self._is_here(self.public_id(found)):
            return replace(found, word="status unknown", sentence=NOT_HERE)
        return found

    async def _is_here(self, public_id: str | None) -> bool:
        async with self._database.transaction() as session:
            rows = await session.execute(text("SELECT 1 FROM attestations WHERE public_id = :it"), {"it": public_id})
            return rows.one_or_none() is not None

    async def _by_lists(self, content: bytes) -> Verdict:
        now = self._clock()
        trust = await self._trust(now)
        found = await asyncio.to_thread(judge, content, trust, now)
        if found.word == "unknown issuer" and found.given_up is None:
            return replace(found, sentence=ELSEWHERE)
        number = None if found.document is None else self._operator.number_of(_list_of(found))
        if number is None or found.known_at is not None:
            return found
        signed = await signed_list(self._database, self._keys, self._operator, number, now)
        return found if signed is None else await asyncio.to_thread(self._with, content, trust, number, signed, now)

    async def _trust(self, now: datetime) -> Trust:
        """The keys, and those of the lists that were seen which are still what they were.

        A list's bits follow from what stands in the database, and one of another version is not used: so it tells of this moment,
        whenever it was signed.
        """
        async with self._database.transaction() as session:
            known = await every_key(session)
            keys, gone = good(known), given_up(known)
            rows = await session.execute(
                text(
                    """
                    SELECT list, key, sha256(convert_to(document || reasons, 'UTF8')) AS digest FROM status_lists
                    WHERE signed_version = version AND signed > :old
                    """
                ),
                {"old": now - OLD},
            )
            seen = {row.list: row.digest for row in rows if row.key in keys}
            same = [number for number, (digest, _) in self._lists.items() if seen.get(number) == digest]
        return Trust(
            {self._operator.did: {self._address(number): key for number, key in keys.items()}},
            {place: replace(one, at=now) for number in same for place, one in self._lists[number][1].items()},
            {self._address(number): since for number, since in gone.items()},
        )

    def _address(self, key: int) -> str:
        return f"{self._operator.did}#{name_of(key)}"

    def _with(self, content: bytes, trust: Trust, number: int, signed: SignedList, now: datetime) -> Verdict:
        """The verdict with a list that was not seen before; what its signature is worth is found out once."""
        told = Trust(trust.keys).with_list(signed.bits.json.encode()).with_list(signed.reasons.json.encode())
        lists = {place: replace(one, at=now) for place, one in told.lists.items()}
        self._lists[number] = sha256((signed.bits.json + signed.reasons.json).encode()).digest(), lists
        return judge(content, replace(trust, lists=lists), now)


def _list_of(found: Verdict) -> str:
    """The address of the list that a document names; its signature is good, its form may still be another than ours."""
    entry = (found.document or {}).get("credentialStatus")
    return str(entry.get("statusListCredential", "")) if isinstance(entry, dict) else ""
