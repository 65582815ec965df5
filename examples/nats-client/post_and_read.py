"""Posts a file of events over NATS, one to a line, and prints what became of each.

python post_and_read.py ntti.creds events.ndjson [nats://127.0.0.1:4222]     (needs nats-py and nkeys)
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import nats
from nats.aio.client import RawCredentials


async def main(credentials: str, lines: list[str], url: str = "nats://127.0.0.1:4222") -> None:
    denied = asyncio.get_running_loop().create_future()

    async def on_error(error: Exception) -> None:
        if "permissions violation" in str(error).lower() and not denied.done():
            denied.set_result(str(error).rpartition(" ")[2])
        elif "authorization" in str(error).lower():
            sys.exit("The broker does not accept these credentials: they have expired or were revoked.")

    claims = credentials.splitlines()[1].split(".")[1]
    me = json.loads(base64.urlsafe_b64decode(claims + "==="))["name"].replace("/", "_")  # kh_ntti
    connection = await nats.connect(
        url, user_credentials=RawCredentials(credentials), inbox_prefix=f"_INBOX_{me}", error_cb=on_error
    )
    stream, waiting = connection.jetstream(), set()
    for line in lines:
        event = json.loads(line)
        about = event["data"]["type"] if event["type"] == "event.voided.v1" else event["type"]
        there = about.startswith(("scheme.", "certificate.", "recognition.", "trainee.assessed."))
        subject = f"intake.{'certification' if there else 'enrolment'}." + ".".join(event["source"].split("/")[2:])
        posting = asyncio.create_task(stream.publish(subject, line.encode()))
        await asyncio.wait({posting, denied}, return_when=asyncio.FIRST_COMPLETED)
        if denied.done():
            sys.exit(f"These credentials may not post on {denied.result()}: it is another office's. Post as your own.")
        try:
            await posting
        except nats.js.errors.APIError as error:
            sys.exit(f"The broker does not take it now: {error.description}. Try again later; sending twice is safe.")
        waiting.add(event["id"])
    receipts = await stream.pull_subscribe_bind(me, stream="RECEIPTS")
    while waiting:
        for message in await receipts.fetch(100, timeout=60):
            receipt = json.loads(message.data)["receipt"]
            print(receipt["id"], receipt["status"], receipt["code"], receipt["sentence"])
            waiting.discard(receipt["id"])
            await message.ack()
    await connection.close()


credentials_file, events_file, *address = sys.argv[1:]
lines = Path(events_file).read_text(encoding="utf-8").splitlines()
asyncio.run(main(Path(credentials_file).read_text(), lines, *address))
