"""Posts a file of events over NATS, one to a line, and prints what became of each.

python post_and_read.py ntti.creds events.ndjson [nats://127.0.0.1:4222]     (needs nats-py and nkeys)
"""

import asyncio
import base64
import json
import os
import sys
from pathlib import Path

import nats
from nats.aio.client import RawCredentials

OF_CERTIFICATION = ("scheme.", "certificate.", "recognition.", "trainee.assessed.")


async def on_error(error: Exception) -> None:
    said = str(error).lower()
    if "permissions violation" in said:
        stop(f"These credentials may not post on {said.split()[-1]}: it is another office's. Post as your own.")
    if "authorization" in said:
        stop("The broker does not accept these credentials: they have expired or were revoked.")


def stop(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
    os._exit(1)  # from the library's own task, where an exception would be one of many


async def main(credentials: str, lines: list[str], url: str = "nats://127.0.0.1:4222") -> None:
    claims = credentials.splitlines()[1].split(".")[1]
    me = json.loads(base64.urlsafe_b64decode(claims + "==="))["name"].replace("/", "_")  # kh_ntti
    nc = await nats.connect(
        url, user_credentials=RawCredentials(credentials), inbox_prefix=f"_INBOX_{me}", error_cb=on_error
    )
    stream, waiting = nc.jetstream(), set()
    for line in lines:
        event = json.loads(line)
        about = event["data"]["type"] if event["type"] == "event.voided.v1" else event["type"]
        service = "certification" if about.startswith(OF_CERTIFICATION) else "enrolment"
        try:
            await stream.publish(f"intake.{service}.{'.'.join(event['source'].split('/')[2:])}", line.encode())
        except nats.js.errors.APIError as error:
            stop(f"The broker does not take it now: {error.description}. Try again later; sending twice is safe.")
        waiting.add(event["id"])
    receipts = await stream.pull_subscribe_bind(me, stream="RECEIPTS")
    while waiting:
        for message in await receipts.fetch(100, timeout=60):
            receipt = json.loads(message.data)["receipt"]
            print(receipt["id"], receipt["status"], receipt["code"], receipt["sentence"], flush=True)
            waiting.discard(receipt["id"])
            await message.ack()
    await nc.close()


credentials_file, events_file, *address = sys.argv[1:]
asyncio.run(
    main(Path(credentials_file).read_text(), Path(events_file).read_text(encoding="utf-8").splitlines(), *address)
)
