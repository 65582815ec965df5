"""The words in which is counted: measures, dimensions, and the cell that a measure and a place in each dimension make. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

NOT_APPLICABLE = "_Z"
"""SDMX: the dimension does not apply to the measure."""
UNKNOWN = "_U"
"""SDMX: the dimension applies, and its value is not known."""
NO_ANSWER = "no-answer"
"""The outcome of whoever was asked and did not say."""
TOTAL = "_T"
"""SDMX: whatever the value is. Only people are counted so, once for all values and once for each."""


class Cell(NamedTuple):
    """One cell of the cube: a measure and its place in every dimension."""

    measure: str = ""
    programme: str = NOT_APPLICABLE
    country: str = NOT_APPLICABLE
    host_country: str = NOT_APPLICABLE
    sending_centre: str = NOT_APPLICABLE
    host_centre: str = NOT_APPLICABLE
    cohort: str = NOT_APPLICABLE
    trade: str = NOT_APPLICABLE
    mode: str = NOT_APPLICABLE
    scheme: str = NOT_APPLICABLE
    occupation: str = NOT_APPLICABLE
    level: str = NOT_APPLICABLE
    sex: str = NOT_APPLICABLE
    role: str = NOT_APPLICABLE
    age_band: str = NOT_APPLICABLE
    disability: str = NOT_APPLICABLE
    outcome: str = NOT_APPLICABLE
    months_after: str = NOT_APPLICABLE
    month: str = NOT_APPLICABLE
    start_month: str = NOT_APPLICABLE
    end_month: str = NOT_APPLICABLE


DIMENSIONS: Mapping[str, str] = {
    "programme": "The cohort's programme.",
    "country": "The sending country, ISO 3166-1 alpha-2.",
    "host_country": "The country that hosts the cohort, ISO 3166-1 alpha-2.",
    "sending_centre": "The centre that sent the trainee; _U when none was named.",
    "host_centre": "The centre that hosts the cohort.",
    "cohort": "The cohort.",
    "trade": "The trainee's trade.",
    "mode": "How the cohort is taught: in-person, online or blended.",
    "scheme": "The certification scheme.",
    "occupation": "The occupation, by the scheme's own code.",
    "level": "The scheme's level, by name.",
    "sex": "F, M, or U when not known. For learners_reached the learners', not the teacher's.",
    "role": "What the trainee is: student, teacher, worker, official or coach.",
    "age_band": "Age in completed years on the cohort's first day; _U when the birth date is not known.",
    "disability": "yes, no or not-stated.",
    "outcome": "What the trainee does some months after completion.",
    "months_after": "How many months after completion an outcome was reported for.",
    "month": "The month in which it happened, YYYY-MM, at the cohort's place.",
    "start_month": "The month in which the cohort was to start, YYYY-MM.",
    "end_month": "The month in which the cohort was to end, YYYY-MM.",
}
"""Each dimension, and what its values say."""

_OF_COHORT = ("programme", "host_country", "host_centre", "cohort", "mode", "month", "start_month", "end_month")
_OF_PLACES = (*_OF_COHORT, "country")
_OF_TRAINEE = (*_OF_PLACES, "sending_centre", "trade", "sex", "role", "age_band", "disability")
_OF_AWARD = (*_OF_TRAINEE, "scheme", "occupation", "level")
_OF_OUTCOME = (*_OF_TRAINEE, "outcome", "months_after")
_OF_LEARNERS = tuple(name for name in _OF_OUTCOME if name not in ("age_band", "disability"))


@dataclass(frozen=True, slots=True)
class Measure:
    """What is counted, in a sentence; the dimensions that apply; in what parts of one it is kept."""

    counts: str
    dimensions: tuple[str, ...]
    parts: int = 1


MEASURES: Mapping[str, Measure] = {
    "places": Measure("Places in announced cohorts, per sending country, when the cohort was announced.", _OF_PLACES),
    "proposed": Measure("Trainees proposed for a place, when they were proposed.", _OF_TRAINEE),
    "declined": Measure("Trainees whose proposal was declined, when it was.", _OF_TRAINEE),
    "enrolled": Measure("Trainees enrolled, when they were; also those who withdrew later.", _OF_TRAINEE),
    "started": Measure(
        "Trainees enrolled in a cohort that started, who arrived and had not left before; when the cohort started.",
        _OF_TRAINEE,
    ),
    "withdrawn": Measure("Trainees who withdrew, when they did.", _OF_TRAINEE),
    "completed": Measure("Trainees who completed the cohort, when they did.", _OF_TRAINEE),
    "assessed": Measure("Trainees assessed, once per scheme and level, at the first assessment.", _OF_AWARD),
    "passed": Measure("Trainees who passed, once per scheme and level, at the first pass.", _OF_AWARD),
    "certified": Measure(
        "Trainees awarded a certificate, once per scheme and level, at the first award; a later revocation, "
        "suspension or replacement takes nothing away.",
        _OF_AWARD,
    ),
    "revoked": Measure("Certificates revoked, once per trainee, scheme and level, at the first revocation.", _OF_AWARD),
    "nominated": Measure("Nominations to a competition, once per trainee, competition and skill.", _OF_TRAINEE),
    "placed": Measure("Placings in a competition, once per trainee, competition and skill.", _OF_TRAINEE),
    "training_hours": Measure(
        "Hours of training received: per session and trainee who had started and not left, absences taken off; "
        "in the session's month.",
        _OF_TRAINEE,
        parts=100,
    ),
    "outcomes": Measure("Reports of what trainees do some months after completion, by the report's date.", _OF_OUTCOME),
    "learners_reached": Measure(
        "Learners whom returned trainees have taught since, by the learners' sex and the report's date.", _OF_LEARNERS
    ),
    "people": Measure(
        "Distinct people who were enrolled, in the month in which they were. They are counted anew for each row and for the "
        "total: who is in two rows is one person.",
        _OF_TRAINEE,
    ),
}
"""Each measure, in the order of a trainee's way through the programme."""


EXCEPTIONS: Mapping[str, Measure] = {
    "completed_outside": Measure(
        "Trainees who completed, and of whom no start is known: left out of the completion rate.", _OF_TRAINEE
    ),
    "passed_outside": Measure(
        "Trainees who passed, and of whom no assessment for the same occupation is known: left out of the pass rate.",
        _OF_AWARD,
    ),
    "certified_outside": Measure(
        "Trainees awarded a certificate of whom no assessment for the same occupation is known here: the awarding body "
        "judged by itself, so they count as assessed in the certification rate.",
        _OF_AWARD,
    ),
    "answered_outside": Measure(
        "Answers on what trainees do now from those of whom no completion stands, or a second answer for the same number "
        "of months: left out of the response rates.",
        _OF_OUTCOME,
    ),
}
"""What would make a rate pass 100 %: counted by itself, so that a rate can leave it out. Most are 0 at all times."""
COUNTED: Mapping[str, Measure] = {**MEASURES, **EXCEPTIONS}
"""All that is counted."""

PEOPLE_BY = ("programme", "country", "sex", "cohort")
"""By these, people are kept counted: a person in a cell of their own, `_T` for what it is not by. By others they are counted when
asked for."""

RULES = 1
"""Which rules count: raised when the same facts are to give other figures."""
