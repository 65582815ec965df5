"""What the codes mean that no guard gives, in the words of a receipt. A guard's own sentence stands in ``rules``."""

from typing import Final

from services.certification import recognising
from shared.events import receipts

SENTENCES: Final[dict[str, str]] = {
    "applied": "Taken: the event is part of the record.",
    "voided": "Taken, and voided since by its own office.",
    "replaced": "Taken, and replaced since by its own office.",
    "passed_not_issued": (
        "Taken, but no certificate is issued for this pass: the person holds a live one of this scheme, occupation and level. "
        "When that one is revoked or voided, this one is issued by itself."
    ),
    "duplicate": receipts.DUPLICATE,
    "event_unknown": "The event to be voided has not come yet. It is voided as soon as it comes.",
    "type_differs": "The event that is meant is of another type. Check its id, and post this again under a new id.",
    "already_voided": "The event was voided before.",
    "already_replaced": "Another event replaces the same one. Void one of the two.",
    "voids_itself": "The voids lead back to this event. Post one under a new id that voids what should go.",
    "replaces_itself": "The replacements lead back to this event. Post the correction under a new id.",
    "scheme_already_registered": (
        "A scheme with this code is registered already: the first stays. Correct it with an event that replaces it, or use "
        "another code."
    ),
} | recognising.SENTENCES
"""What each code means that no guard of ``GUARDS`` gives."""

EVENT_LIMIT: Final = 256 * 1024
"""Bytes of one event. A scheme may have long lists; what is larger could not be told on as one fact."""

REFUSALS: Final[dict[str, str]] = receipts.REFUSALS | {
    "event_too_large": f"The event is larger than {EVENT_LIMIT} bytes. Leave out what it need not say.",
}
"""Why an event is rejected, beyond what reading it refuses. Depends on the event and its credential alone."""
