"""What enrolment's receipt codes mean in the officer's words, and what to do next. For programs: ``sentences.py``."""

from collections.abc import Mapping
from typing import Final

from shared.desk import wording
from shared.pages.languages import noted as _

CODES: Final[Mapping[str, str]] = {
    **wording.CODES,
    "details_forgotten": _(
        "The person was forgotten. What this said of them is destroyed; the rest of the record stands."
    ),
    # waiting
    "programme_unknown": _(
        "The programme is not registered yet. Nothing to do: this counts as soon as a coordinator registers it."
    ),
    "centre_unknown": _(
        "The centre is not registered yet. Nothing to do: this counts as soon as a coordinator registers it."
    ),
    "cohort_unknown": _(
        "The cohort is not announced yet. Check its code; this counts as soon as the cohort is announced."
    ),
    "trainee_unknown": _(
        "No trainee has this number yet. Check it; this counts as soon as the trainee is proposed or enrolled."
    ),
    "absentee_unknown": _(
        "A number of this list is no trainee's yet. Correct it, or wait until that trainee is proposed or enrolled."
    ),
    "trainee_not_enrolled": _("The trainee is not enrolled yet. This counts as soon as the trainee is."),
    "proposal_missing": _(
        "Role, country, trade and person are missing. Propose the trainee, or correct this with all of them."
    ),
    "cohort_not_started": _(
        "The host centre has not said yet that the cohort started. This counts as soon as it does."
    ),
    # to be decided
    "not_a_party": _(
        "The cohort does not list your office in the role for this. Ask the office that announced the cohort to add it."
    ),
    "not_your_trainee": _(
        "Another country sends this trainee, and its offices speak for them. Ask them, or check the number."
    ),
    "programme_already_registered": _(
        "This programme was registered before. Correct that entry instead, and withdraw this one."
    ),
    "centre_already_registered": _(
        "This centre was registered before. Correct that entry instead, and withdraw this one."
    ),
    "cohort_already_announced": _(
        "A cohort with this code was announced before. Change that one, or choose another code."
    ),
    "dates_out_of_order": _("The cohort would end before it starts. Give both dates."),
    "already_started": _("The cohort has started already. Correct that entry, or withdraw this one."),
    "cohort_closed": _(
        "The cohort was over before this. Correct the date, or ask the host centre to withdraw the closing."
    ),
    "cohort_cancelled": _("The cohort was cancelled before this. Correct the date, or have the cancelling withdrawn."),
    "session_number_taken": _("Another session has this number. Give this one the next number."),
    "number_taken": _("Another trainee of this cohort has this number. Give this trainee another one."),
    "already_proposed": _("The trainee was proposed before. Correct that entry, or withdraw this one."),
    "already_enrolled": _(
        "The trainee is enrolled already. If the trainee gave up the place, say that the trainee has left."
    ),
    "already_declined": _("The trainee was declined before. Withdraw this entry."),
    "already_withdrawn": _("The trainee has left. If that was a mistake, withdraw the entry that says so."),
    "already_completed": _("The trainee has completed. If that was a mistake, withdraw the entry that says so."),
    "trainee_not_arrived": _(
        "The start of the cohort says that this trainee did not arrive. Correct one of the two entries."
    ),
    "already_nominated": _("The trainee was nominated for this competition and skill before. Withdraw this entry."),
    "already_placed": _("This competition and skill has a result already. Correct that entry, or withdraw this one."),
    "outcome_already_reported": _(
        "This was reported before for so many months. Correct that entry, or withdraw this one."
    ),
    "limit_reached": _("The record is full. Correct what is there instead of adding to it."),
    "belongs_elsewhere": _(
        "What this corrects belongs to another programme, centre or cohort. Withdraw that and say it anew."
    ),
    # not taken
    "forgotten_stays": _("Forgetting somebody cannot be withdrawn or corrected: what is destroyed does not come back."),
    "announcer_not_party": _("List your own office among those that take part, as coordinator or host centre."),
}
