"""The measures in the words of those who ask for them: the ILO, donors, and the Sustainable Development Goals. No I/O.

Goals 4.3.1, 4.3.3 and 4.4.1 are shares of a population, which nothing here knows: what is told is a count that contributes to
them, never the indicator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Framework = Literal["ILO", "donors", "SDG"]


@dataclass(frozen=True, slots=True)
class Indicator:
    """What somebody asks for: a count of one measure, or one measure for every hundred of another, of some values only."""

    title: str
    definition: str
    frameworks: tuple[Framework, ...]
    measure: str
    of: str | None = None
    """The measure in the denominator of a rate."""
    rate: str | None = None
    """By what name the rate is asked for: it follows cohorts, so that it never passes 100 %."""
    by: tuple[str, ...] = ("country", "sex")
    """Dimensions by which it is usually asked for."""
    where: tuple[tuple[str, str], ...] = ()
    contributes_to: str | None = None

    @property
    def kind(self) -> Literal["count", "rate"]:
        return "count" if self.of is None else "rate"


INDICATORS: Mapping[str, Indicator] = {
    "trainees-enrolled": Indicator(
        "Trainees enrolled in skills development programmes",
        "Enrolments in cohorts of the programme; one person in two cohorts is two enrolments.",
        ("ILO", "donors"),
        "enrolled",
        by=("country", "sex", "role"),
    ),
    "people-reached": Indicator(
        "People reached by training", "Distinct persons enrolled at least once.", ("ILO", "donors"), "people"
    ),
    "teachers-trained": Indicator(
        "Teachers and trainers trained",
        "Enrolments of teachers that were completed.",
        ("ILO", "donors"),
        "completed",
        where=(("role", "teacher"),),
    ),
    "training-completed": Indicator(
        "Trainees who completed training",
        "Enrolments completed.",
        ("ILO", "donors"),
        "completed",
        by=("country", "sex", "role"),
    ),
    "completion-rate": Indicator(
        "Completion rate",
        "Of those who started, those who completed.",
        ("ILO", "donors"),
        "completed",
        of="started",
        rate="completion_rate",
    ),
    "pass-rate": Indicator(
        "Pass rate",
        "Of those assessed, those who passed; resits count once.",
        ("ILO", "donors"),
        "passed",
        of="assessed",
        rate="pass_rate",
    ),
    "skills-certified": Indicator(
        "Trainees awarded a skills certificate",
        "Awards, once for each trainee, scheme and level; also those revoked later.",
        ("ILO", "donors"),
        "certified",
        by=("country", "sex", "scheme", "level"),
    ),
    "certification-rate": Indicator(
        "Certification rate",
        "Of those assessed, those awarded a certificate.",
        ("ILO", "donors"),
        "certified",
        of="assessed",
        rate="certification_rate",
    ),
    "training-hours": Indicator(
        "Trainee hours of training", "Hours held, times those who were there.", ("ILO", "donors"), "training_hours"
    ),
    "outcomes-reported": Indicator(
        "Graduates whose situation after training is known",
        "Reports on what somebody does some months after completion, no answer among them.",
        ("ILO", "donors"),
        "outcomes",
        by=("outcome", "months_after", "sex"),
    ),
    "in-work-after-training": Indicator(
        "Graduates in work after training",
        "Reports of employment, self-employment or teaching.",
        ("ILO", "donors"),
        "outcomes",
        by=("months_after", "sex"),
        where=(("outcome", "employed"), ("outcome", "self-employed"), ("outcome", "teaching")),
    ),
    "learners-reached": Indicator(
        "Learners taught by returned teachers",
        "Learners whom those who came back have taught since, as they report it.",
        ("ILO", "donors"),
        "learners_reached",
    ),
    "contribution-to-sdg-4.3.1": Indicator(
        "Contribution to SDG 4.3.1: participation in formal and non-formal education and training",
        "People enrolled. A count that contributes to the participation rate of youth and adults; not the rate, which is a "
        "share of the population.",
        ("SDG",),
        "people",
        by=("country", "sex", "age_band"),
        contributes_to="4.3.1",
    ),
    "contribution-to-sdg-4.3.3": Indicator(
        "Contribution to SDG 4.3.3: participation in technical and vocational programmes",
        "People of 15 to 24 years enrolled. A count that contributes to the participation rate of that age; not the rate.",
        ("SDG",),
        "people",
        by=("country", "sex"),
        where=(("age_band", "Y15T24"),),
        contributes_to="4.3.3",
    ),
    "contribution-to-sdg-4.c.1": Indicator(
        "Contribution to SDG 4.c.1: teachers with the minimum qualifications",
        "Teachers awarded a certificate. A count that contributes to the share of qualified teachers; not the share.",
        ("SDG",),
        "certified",
        by=("country", "sex"),
        where=(("role", "teacher"),),
        contributes_to="4.c.1",
    ),
}
"""Each by its code, in the order of a trainee's way through the programme."""


def question(indicator: Indicator) -> list[tuple[str, str]]:
    """The parameters of GET /v1/aggregates that answer it."""
    measure = indicator.rate or indicator.measure
    values: dict[str, list[str]] = {}
    for name, value in indicator.where:
        values.setdefault(name, []).append(value)
    where = [(name, ",".join(found)) for name, found in values.items()]
    return [("measure", measure), ("by", ",".join(indicator.by)), *where]
