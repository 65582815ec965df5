"""Dead letters, as they are announced on ``deadletter.<service>``: everything but what was in them."""

from shared.events.codes import Model, Moment


class DeadLetterAnnounced(Model):
    """A message that a service could not settle. It keeps the body, sealed, until ``expires``; no other place does.

    ``error`` names the kind of error and its place in the program, and nothing of the message.
    """

    service: str
    id: int
    stream: str
    sequence: int
    subject: str
    error: str
    recordedtime: Moment
    expires: Moment
