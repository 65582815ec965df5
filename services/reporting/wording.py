"""The readers' words for what is counted, by what, and its values. In English here, in the other languages in the catalogue."""

from collections.abc import Mapping
from typing import Final

from services.reporting.domain import NOT_APPLICABLE, UNKNOWN
from shared.desk.wording import VALUES as OF_OFFICERS
from shared.pages.languages import Language
from shared.pages.languages import noted as _

NAMES: Final[Mapping[str, str]] = {
    "places": _("Places"),
    "proposed": _("Proposed"),
    "declined": _("Declined"),
    "enrolled": _("Enrolled"),
    "started": _("Started"),
    "withdrawn": _("Left"),
    "completed": _("Completed"),
    "assessed": _("Assessed"),
    "passed": _("Passed"),
    "certified": _("Certified"),
    "revoked": _("Certificates revoked"),
    "nominated": _("Nominated to competitions"),
    "placed": _("Placed in competitions"),
    "training_hours": _("Training hours"),
    "outcomes": _("Answers on what they do now"),
    "learners_reached": _("Learners reached"),
    "people": _("People"),
    "completion_rate": _("Completion rate"),
    "pass_rate": _("Pass rate"),
    "certification_rate": _("Certification rate"),
    "womens_share": _("Women's share"),
    "response_rate_1": _("Answered after 1 month"),
    "response_rate_6": _("Answered after 6 months"),
    "employment_rate_1": _("Employed after 1 month"),
    "employment_rate_6": _("Employed after 6 months"),
    "completed_outside": _("Completed without a known start"),
    "passed_outside": _("Passed without a known assessment"),
    "certified_outside": _("Certified by the awarding body alone"),
    "answered_outside": _("Answers that no rate counts"),
}
"""Each measure and each rate, as headings have it."""

MEANINGS: Final[Mapping[str, str]] = {
    "places": _("Places in announced cohorts, per sending country, when the cohort was announced."),
    "proposed": _("Trainees proposed for a place, when they were proposed."),
    "declined": _("Trainees whose proposal was declined, when it was."),
    "enrolled": _("Trainees enrolled, when they were; also those who withdrew later."),
    "started": _(
        "Trainees enrolled in a cohort that started, who arrived and had not left before; when the cohort started."
    ),
    "withdrawn": _("Trainees who withdrew, when they did."),
    "completed": _("Trainees who completed the cohort, when they did."),
    "assessed": _("Trainees assessed, once per scheme and level, at the first assessment."),
    "passed": _("Trainees who passed, once per scheme and level, at the first pass."),
    "certified": _(
        "Trainees awarded a certificate, once per scheme and level, at the first award; a later revocation, "
        "suspension or replacement takes nothing away."
    ),
    "revoked": _("Certificates revoked, once per trainee, scheme and level, at the first revocation."),
    "nominated": _("Nominations to a competition, once per trainee, competition and skill."),
    "placed": _("Placings in a competition, once per trainee, competition and skill."),
    "training_hours": _(
        "Hours of training received: per session and trainee who had started and not left, absences taken off; "
        "in the session's month."
    ),
    "outcomes": _("Reports of what trainees do some months after completion, by the report's date."),
    "learners_reached": _(
        "Learners whom returned trainees have taught since, by the learners' sex and the report's date."
    ),
    "people": _(
        "Distinct people who were enrolled, in the month in which they were. They are counted anew for each row and for the "
        "total: who is in two rows is one person."
    ),
    "completed_outside": _("Trainees who completed, and of whom no start is known: left out of the completion rate."),
    "passed_outside": _(
        "Trainees who passed, and of whom no assessment for the same occupation is known: left out of the pass rate."
    ),
    "certified_outside": _(
        "Trainees awarded a certificate of whom no assessment for the same occupation is known here: the awarding body "
        "judged by itself, so they count as assessed in the certification rate."
    ),
    "answered_outside": _(
        "Answers on what trainees do now from those of whom no completion stands, or a second answer for the same number "
        "of months: left out of the response rates."
    ),
    "completion_rate": _("Of those who started, who completed."),
    "pass_rate": _("Of those assessed, who passed; once per scheme and level."),
    "certification_rate": _(
        "Of those assessed, here or by the awarding body alone, who was awarded a certificate; once per scheme and level."
    ),
    "womens_share": _("Of those enrolled, women."),
    "response_rate_1": _(
        "Of those who completed, who told what they do 1 month after; whoever was asked and did not say has not."
    ),
    "response_rate_6": _(
        "Of those who completed, who told what they do 6 months after; whoever was asked and did not say has not."
    ),
    "employment_rate_1": _("Of those who told what they do 1 month after, who is employed or self-employed."),
    "employment_rate_6": _("Of those who told what they do 6 months after, who is employed or self-employed."),
}
"""What each measure counts and each rate says: the sentences of the rules, so that they are in the catalogue."""

REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("came", "reached"): _("reached us since then"),
    ("came", "trainee"): _("what is on record of them was changed since then, and they count"),
    ("came", "cohort"): _("their cohort was changed since then, and they count"),
    ("came", "certificate"): _("assessments or certificates reached us since then, and they count"),
    ("came", "recounted"): _("they are counted otherwise, and they count"),
    ("went", "reached"): _("they reached us since then, and count less"),
    ("went", "trainee"): _("what is on record of them was changed since then, and they count no more"),
    ("went", "cohort"): _("their cohort was changed since then, and they count no more"),
    ("went", "certificate"): _("assessments or certificates were changed since then, and they count no more"),
    ("went", "recounted"): _("they are counted otherwise, and they count no more"),
}
"""Why enrolments came to a figure, or went from it."""

BASES: Final[Mapping[str, str]] = {
    "": _("Both"),
    "event": _("By the day of each"),
    "cohort": _("By cohorts that end"),
}
"""Links to what the months can mean; without a name, counts by their day and rates by cohorts."""

DIMENSIONS: Final[Mapping[str, str]] = {
    "programme": _("Programme"),
    "country": _("Sending country"),
    "host_country": _("Host country"),
    "sending_centre": _("Sending centre"),
    "host_centre": _("Host centre"),
    "cohort": _("Cohort"),
    "trade": _("Trade"),
    "mode": _("How it is taught"),
    "scheme": _("Certification scheme"),
    "occupation": _("Occupation"),
    "level": _("Level"),
    "sex": _("Sex"),
    "role": _("Role"),
    "age_band": _("Age"),
    "disability": _("Disability"),
    "outcome": _("What they do now"),
    "months_after": _("Months after completion"),
    "month": _("Month"),
    "start_month": _("Month of the first day"),
    "end_month": _("Month of the last day"),
    "from": _("From month"),
    "to": _("To month"),
    "as_of": _("As known at"),
    "basis": _("Months mean"),
}
"""Each dimension, and the months from and to which is counted."""

_VALUES: Final[Mapping[tuple[str, str], str]] = {
    ("sex", "F"): _("women"),
    ("sex", "M"): _("men"),
    ("age_band", "Y_LT15"): _("under 15"),
    ("age_band", "Y_GE65"): _("65 and over"),
    ("disability", "yes"): _("with a disability"),
    ("disability", "no"): _("without a disability"),
}
_NOT_KNOWN: Final = _("not known")
_NOT_APPLICABLE: Final = _("does not apply")
_IN_WORDS: Final = frozenset({"mode", "role", "outcome", "sex", "disability"})
"""Dimensions whose values are words of the language; those of the others are somebody's own codes."""


def value(language: Language, dimension: str, code: str) -> str:
    """A dimension's value as a reader of this language reads it."""
    if code == NOT_APPLICABLE:
        return language.say(_NOT_APPLICABLE)
    if code == UNKNOWN:
        return language.say(_NOT_KNOWN)
    if word := _VALUES.get((dimension, code)):
        return language.say(word)
    if dimension in ("country", "host_country"):
        return language.country(code)
    if dimension in ("month", "start_month", "end_month", "from", "to"):
        return language.month(code)
    if dimension == "basis":
        return language.say(BASES.get(code, code))
    if dimension == "age_band":
        return code.removeprefix("Y").replace("T", "–")
    if dimension == "months_after" and code.isdecimal():
        return language.number(int(code))
    if dimension in _IN_WORDS and code in OF_OFFICERS:
        return language.say(OF_OFFICERS[code])
    return code
