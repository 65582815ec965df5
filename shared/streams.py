"""The streams: their names, subjects and limits on one page, and how they are made."""

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

DAY = 24 * 60 * 60.0
INTAKE_LIMIT = 5_000
"""Messages of one office to one service that wait to be taken in. One more is refused, and that office is told so at once."""
MESSAGE_LIMIT = 5 * 1024 * 1024
"""Bytes of one message of an office: a body and its headers. With INTAKE_LIMIT it bounds what an office can put on the disk."""
WAY_OUT = "stop the services and restore the newer database, or a backup; do not delete the stream (docs/backup.md)"
"""Of a stream that has another history than its journal. Who hears it has applied some of that: what a stream made anew says
under the same numbers is not heard."""

STREAMS = {
    stream.name or "": stream
    for stream in (
        # Emptied as it is taken in: personal details leave the bus once they are in the register. Subjects that no service
        # hears are not its own: whoever mistypes one gets no acknowledgement, rather than a message that stays for ever.
        StreamConfig(
            name="INTAKE",
            subjects=["intake.enrolment.>", "intake.certification.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            # One office cannot fill the stream for the others.
            max_msgs_per_subject=INTAKE_LIMIT,
            max_msg_size=MESSAGE_LIMIT,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            # The least there is. A message id is compared across offices: one would silence another by using its ids.
            duplicate_window=0.1,
        ),
        StreamConfig(name="RECEIPTS", subjects=["receipts.>"], max_age=90 * DAY, allow_atomic=True),
        StreamConfig(name="ENROLMENT", subjects=["enrolment.>"], allow_atomic=True),
        StreamConfig(name="CERTIFICATION", subjects=["certification.>"], allow_atomic=True),
        StreamConfig(name="CHANGES", subjects=["changes.>"], max_age=7 * DAY),
        StreamConfig(
            name="DEADLETTERS",
            # The server's advisory is a backstop: it names messages that a consumer gave up without us.
            subjects=["deadletter.>", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"],
            max_age=90 * DAY,
            allow_atomic=True,
        ),
    )
}
for _stream in STREAMS.values():
    _stream.storage = StorageType.FILE
    _stream.retention = _stream.retention or RetentionPolicy.LIMITS

_NAME_IN_USE = 10058


def stream_of(subject: str) -> str:
    """The stream that keeps messages on a subject. Raises LookupError when none does."""
    for name in STREAMS:
        if any(subject.startswith(prefix) for prefix in prefixes(name)):
            return name
    raise LookupError(f"no stream keeps {subject}")


def prefixes(stream: str) -> list[str]:
    """How the subjects begin that a stream keeps."""
    return [pattern.removesuffix(">") for pattern in STREAMS[stream].subjects or ()]


async def ensure_stream(js: JetStreamContext, name: str) -> None:
    """Create a stream, or bring the one that is there to the configuration above."""
    try:
        await js.add_stream(STREAMS[name])
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        await js.update_stream(STREAMS[name])
