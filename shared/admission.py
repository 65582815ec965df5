"""What enrolment has the broker know of offices: whose users are revoked, and through which durables they read receipts."""

import json
from collections.abc import Mapping, Set
from contextlib import suppress
from datetime import datetime

import nats
from nats.aio.client import RawCredentials
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from shared.credentials import Authority, same_claims
from shared.rights import inbox_prefix, office_durable

ANSWER_SECONDS = 5
ACK_WAIT_SECONDS = 60.0
_PAGE = 256  # consumers in one answer of the server


class NotTaken(Exception):
    """The server did not take the claims; the text is its reason."""


async def shut_out(url: str, authority: Authority, revoked: Mapping[str, datetime]) -> bool:
    """Have the server refuse the users with these public keys, and no others of the offices; whether it had to be told.

    The server closes their connections at once and keeps what it was told in its own folder.
    """
    connection = await nats.connect(
        url,
        user_credentials=RawCredentials(authority.system),
        inbox_prefix=inbox_prefix("enrolment"),
        name="sampan-enrolment-claims",
        allow_reconnect=False,
        connect_timeout=ANSWER_SECONDS,
    )
    try:
        claims = f"$SYS.REQ.ACCOUNT.{authority.offices}.CLAIMS"
        wanted = authority.claims(revoked)
        there = (await connection.request(f"{claims}.LOOKUP", timeout=ANSWER_SECONDS)).data.decode()
        if there and same_claims(there, wanted):
            return False
        answer = await connection.request(f"{claims}.UPDATE", wanted.encode(), timeout=ANSWER_SECONDS)
        said = json.loads(answer.data)
        if error := said.get("error"):
            raise NotTaken(error.get("description", "no reason given"))
        return True
    finally:
        await connection.close()


async def keep_durables(js: JetStreamContext, active: Set[tuple[str, str]], revoked: Set[tuple[str, str]]) -> None:
    """Make the durables on RECEIPTS that active offices (country, code) lack, and take away those of revoked ones."""
    there: set[str] = set()
    while len(there) % _PAGE == 0:
        page = {info.name for info in await js.consumers_info("RECEIPTS", offset=len(there))}
        if not page - there:
            break
        there |= page
    for country, office in sorted(active):
        name = office_durable(country, office)
        if name not in there:
            config = ConsumerConfig(
                name=name,
                durable_name=name,
                filter_subject=f"receipts.{country}.{office}",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_SECONDS,
            )
            await js.add_consumer("RECEIPTS", config)
    for country, office in sorted(revoked):
        if (name := office_durable(country, office)) in there:
            with suppress(NotFoundError):
                await js.delete_consumer("RECEIPTS", name)
