"""What certification's receipt codes mean in the officer's words, and what to do next. For programs: ``rules.py``."""

from collections.abc import Mapping
from typing import Final

from shared.desk import wording
from shared.pages.languages import noted as _

CODES: Final[Mapping[str, str]] = {
    **wording.CODES,
    "passed_not_issued": _(
        "The pass is part of the record. No certificate is issued, since the person holds a valid one of this "
        "occupation and level."
    ),
    "attempt_confirmed": _(
        "This attempt is on record already with the same result. It counts once; your entry stands beside the other."
    ),
    # waiting
    "enrolment_unknown": _(
        "This trainee is not known here yet. Check cohort and number; it counts as soon as the trainee is known."
    ),
    "cohort_unknown": _("This trainee's cohort is not known here yet. Nothing to do: it counts as soon as it is."),
    "scheme_unknown": _(
        "This scheme is not registered yet. Check its code; this counts as soon as its awarding body registers it."
    ),
    "award_unknown": _("This trainee has no such certificate yet. This counts as soon as one is awarded."),
    "not_suspended": _(
        "The certificate was not suspended at this time. This counts as soon as a suspension before it comes."
    ),
    # to be decided
    "not_a_party": _(
        "The cohort does not list your office in the role for this. Ask the office that announced the cohort to add it."
    ),
    "occupation_unknown": _("The scheme has no such occupation. Correct the code."),
    "level_unknown": _("The scheme has no such level. Correct the code."),
    "not_the_awarding_body": _("Another office registered this scheme. Only that office can say this."),
    "scheme_already_registered": _(
        "A scheme with this code is registered. Correct that entry, or choose another code."
    ),
    "attempt_already_reported": _(
        "This attempt has its marks already. Give a resit the next number, or correct that entry."
    ),
    "issued_on_pass": _("Under this scheme a pass issues the certificate by itself. Give its number instead."),
    "completion_missing": _(
        "The scheme asks for completion of the course, which is not there. This counts as soon as it is."
    ),
    "assessment_not_passed": _("The marks on record show no pass. This counts as soon as a pass comes."),
    "already_certified": _("The person holds a valid certificate of this occupation and level. The first stays."),
    "number_taken": _("Another certificate of this scheme has this number. Check both and correct the wrong one."),
    "limit_reached": _("There are too many certificates of this award. Withdraw those that should never have been."),
    "already_revoked": _("The certificate is revoked, and that is final. Award a new one."),
    "not_a_country": _("Your office is not registered for a country. Ask the administrator."),
    "recognition_overlaps": _(
        "Something is on record for this occupation, level and framework on some of these days. "
        "End that one first, or correct one of the two."
    ),
    "recognitions_limit_reached": _("There are too many entries on this. Withdraw those that should never have been."),
    "recognition_already_withdrawn": _("This was ended before. Correct the entry that ended it."),
    "recognition_unknown": _(
        "Nothing of this is recognised on that day. Check codes and day; this counts as soon as it is recognised."
    ),
    "already_numbered": _("The certificate has another number already. Correct the entry that gave it."),
}
