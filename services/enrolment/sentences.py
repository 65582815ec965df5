"""What each code of a receipt means and what to do next. The same words every time, so that they can be translated."""

from collections.abc import Mapping

from shared.events import receipts

SENTENCES: Mapping[str, str] = {
    "applied": "The event is part of the record.",
    "voided": "The event was voided by its office and no longer counts.",
    "replaced": "The event was replaced by a later one of its office and no longer counts.",
    "duplicate": receipts.DUPLICATE,
    "details_forgotten": "The person was forgotten: what this event said of them is destroyed; the rest of the record stands.",
    # waiting
    "programme_unknown": "The programme is not registered yet; this event applies as soon as a coordinator registers it.",
    "centre_unknown": "The centre is not registered yet; this event applies as soon as a coordinator registers it.",
    "cohort_unknown": "The cohort is not announced yet; this event applies as soon as it is.",
    "trainee_unknown": "No such trainee is known yet; this event applies once one is proposed or enrolled.",
    "absentee_unknown": "A number in absent, partial or group is no trainee's yet; correct it, or this applies once that trainee "
    "is proposed or enrolled.",
    "trainee_not_enrolled": "The trainee is not enrolled yet; this event applies as soon as trainee.enrolled has come.",
    "proposal_missing": "Role, country, trade and person are needed: they may come with trainee.proposed or in this event.",
    "cohort_not_started": "The cohort has not started; this event applies as soon as cohort.started has come.",
    "event_unknown": "The event that this one voids has not come yet; the void applies as soon as it does.",
    # conflict
    "not_a_party": "The cohort does not list this office in a role that may say this; ask whoever announced it to list you.",
    "not_your_trainee": "Another country sends this trainee, so its offices speak for them; ask them, or check the number.",
    "programme_already_registered": "The programme was registered before; to correct it, post an event that replaces that one.",
    "centre_already_registered": "The centre was registered before; to correct it, post an event that replaces that one.",
    "cohort_already_announced": "A cohort with this code was announced before; change that one, or choose another code.",
    "dates_out_of_order": "With this change the cohort would end before it starts; name both dates.",
    "already_started": "The cohort has started already; to correct its start, post an event that replaces that one.",
    "cohort_closed": "The cohort was closed before this happened; correct the date, or void the closing.",
    "cohort_cancelled": "The cohort was cancelled before this happened; correct the date, or void the cancelling.",
    "session_number_taken": "Another session of this cohort has this number; choose the next one, or replace that event.",
    "number_taken": "Another trainee of this cohort has this number; give this trainee another one.",
    "already_proposed": "The trainee was proposed before; to correct that, post an event that replaces it.",
    "already_enrolled": "The trainee is enrolled already; if the place was given up since, post trainee.withdrawn.",
    "already_declined": "The trainee was declined before.",
    "already_withdrawn": "The trainee has withdrawn; if that was a mistake, void that event.",
    "already_completed": "The trainee has completed; if that was a mistake, void that event.",
    "trainee_not_arrived": "The start of the cohort says that this trainee did not arrive; correct one of the two events.",
    "already_nominated": "The trainee was nominated for this competition and skill before.",
    "already_placed": "A place in this competition and skill was given before; to correct it, replace that event.",
    "outcome_already_reported": "An outcome after so many months was reported before; to correct it, replace that event.",
    "limit_reached": "The record of this cohort or trainee is full; correct what there is by replacing it.",
    "type_differs": "The event that this one names is of another type; name the right event.",
    "already_voided": "The event was voided before.",
    "already_replaced": "The event was replaced before; replace the one that replaced it.",
    "replaces_itself": "The replacements lead back to this event; post the correction under a new id.",
    "voids_itself": "The voids lead back to this event; post one under a new id that voids what should go.",
    "belongs_elsewhere": "The event to be replaced belongs to another programme, centre or cohort; void it and post a new one.",
}
"""Codes of accepted, waiting and conflicting events: they depend on other events and may change."""

REFUSALS: Mapping[str, str] = receipts.REFUSALS | {
    "forgotten_stays": "Forgetting somebody cannot be voided or replaced: what is destroyed does not come back.",
    "announcer_not_party": "The office that announces a cohort lists itself among its parties, as coordinator or host-centre.",
    "event_too_large": "The event is larger than 65536 bytes. Leave out what it need not say, or tell it in several events.",
}
"""Why an event is rejected, beyond what reading it refuses. Depends on the event and its credential alone."""
