"""What offices say to certification: the data of each event type, by type name."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.events.codes import Code, Day, Many, Model, Reason, Text, Titles
from shared.events.offices_to_enrolment import EventVoided
from shared.events.persons import TraineeRef

Mark = Annotated[float, Field(ge=0, le=1_000_000)]
Number = Annotated[Text, Field(max_length=63)]
"""The awarding body's own number, as it prints it."""


class Level(Model):
    """A level by its name's code, and the number that is printed for it (China's old numbers run the other way)."""

    level: Code
    titles: Titles
    printed: Annotated[Text, Field(max_length=20)] | None = None


class Occupation(Model):
    """An occupation by the scheme's own code."""

    occupation: Code
    titles: Titles
    isco: Annotated[str, Field(pattern=r"^[0-9]{1,4}$")] | None = None


class SchemeRegistered(Model):
    """A certification scheme. The office that registers it acts for its awarding body."""

    scheme: Code
    titles: Titles
    awarding_body: Titles
    occupations: Annotated[Many[Occupation], Field(min_length=1)]
    levels: Annotated[Many[Level], Field(min_length=1)]
    rule: Literal["on_pass", "by_awarding_body"]
    completion_required: bool
    valid_months: Annotated[int, Field(ge=1, le=1200)] | None = None
    numbered: bool = False
    """Whether the awarding body gives every certificate a number of its own: it is attested to once that is known."""


class Part(Model):
    """One part of an assessment, such as theory or practice."""

    name: Code
    mark: Mark
    out_of: Annotated[float, Field(gt=0, le=1_000_000)]
    passed: bool
    carried_over_from: Annotated[int, Field(ge=1, le=99)] | None = None

    @model_validator(mode="after")
    def _within(self) -> "Part":
        if self.mark > self.out_of:
            raise PydanticCustomError("invalid_data", "the mark is more than out_of")
        return self


class AwardRef(TraineeRef):
    """A trainee's award under a scheme, in one occupation at one level."""

    scheme: Code
    occupation: Code
    level: Code


class TraineeAssessed(AwardRef):
    """One attempt. A resit is a new attempt, never an overwrite."""

    attempt: Annotated[int, Field(ge=1, le=99)] = 1
    date: Day
    assessor: Text | None = None
    parts: Many[Part] = []
    result: Literal["pass", "fail", "absent"]


class CertificateAwarded(AwardRef):
    """``number`` is the trainee's, as everywhere; the awarding body's own is ``certificate_number``."""

    date: Day
    certificate_number: Number | None = None


class CertificateNumbered(AwardRef):
    """The awarding body's own number of an award, which may come later than the award."""

    certificate_number: Number


class CertificateReplaced(AwardRef):
    """The live edition is superseded by the next one."""

    reason: Literal["lost", "damaged", "name-changed", "error"]
    date: Day
    certificate_number: Number | None = None


class CertificateSuspended(AwardRef):
    """The certificate does not hold for the time being."""

    date: Day
    reason: Reason


class CertificateReinstated(AwardRef):
    """A suspended certificate holds again."""

    date: Day
    reason: Reason


class CertificateRevoked(AwardRef):
    """The certificate holds no more."""

    date: Day
    reason: Reason


TYPES: dict[str, type[Model]] = {
    "scheme.registered.v1": SchemeRegistered,
    "trainee.assessed.v1": TraineeAssessed,
    "certificate.awarded.v1": CertificateAwarded,
    "certificate.numbered.v1": CertificateNumbered,
    "certificate.replaced.v1": CertificateReplaced,
    "certificate.suspended.v1": CertificateSuspended,
    "certificate.reinstated.v1": CertificateReinstated,
    "certificate.revoked.v1": CertificateRevoked,
    "event.voided.v1": EventVoided,
}
"""Every type that certification takes."""
