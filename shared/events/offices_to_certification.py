"""What offices say to certification: the data of each event type, by type name."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.events.codes import Code, Day, Link, Many, Model, Reason, Text, Titles, each_once
from shared.events.offices_to_enrolment import EventVoided
from shared.events.persons import TraineeRef

Mark = Annotated[float, Field(ge=0, le=1_000_000)]
Number = Annotated[Text, Field(max_length=63)]
"""The awarding body's own number, as it prints it."""
LevelName = Annotated[Text, Field(max_length=40)]
"""A level as a framework names it: 4, or Certificate III."""
REGIONAL = frozenset({"aqrf"})
"""Frameworks that reference national ones: no country's own."""


class Level(Model):
    """A level by its name's code, and the number that is printed for it (China's old numbers run the other way)."""

    level: Code
    titles: Titles
    printed: Annotated[Text, Field(max_length=20)] | None = None


class Occupation(Model):
    """An occupation by the scheme's own code, with those of ISCO-08 and of the field of learning in ISCED-F 2013."""

    occupation: Code
    titles: Titles
    isco: Annotated[str, Field(pattern=r"^[0-9]{1,4}$")] | None = None
    iscedf: Annotated[str, Field(pattern=r"^[0-9]{2,4}$")] | None = None


class SchemeRegistered(Model):
    """A certification scheme. The office that registers it acts for its awarding body."""

    scheme: Code
    titles: Titles
    awarding_body: Titles
    occupations: Annotated[Many[Occupation], Field(min_length=1), each_once("occupation")]
    levels: Annotated[Many[Level], Field(min_length=1), each_once("level")]
    rule: Literal["on_pass", "by_awarding_body"]
    completion_required: bool
    valid_months: Annotated[int, Field(ge=1, le=1200)] | None = None
    numbered: bool = False
    """Whether the awarding body gives every certificate a number of its own: it is attested to once that is known."""
    lookup_url: Link | None = None
    """Where the awarding body itself answers whether a certificate of its own is good."""


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


class Referenced(Model):
    """The level of a framework of several countries, such as the AQRF, to which a national level is referenced."""

    framework: Code
    level: LevelName
    source: Text


class RecognitionRef(Model):
    """What is recognised: a scheme's occupation at one level, in one framework of the country of the office that says it."""

    scheme: Code
    occupation: Code
    level: Code
    framework: Code

    @model_validator(mode="after")
    def _national(self) -> "RecognitionRef":
        if self.framework in REGIONAL:
            raise PydanticCustomError("invalid_data", "name the national framework, and this one under referenced")
        return self


class RecognitionGranted(RecognitionRef):
    """From a day on, the country counts it as a level of its own framework, wholly or in part.

    Without ``ends_on`` it holds until it is withdrawn. ``source`` is the document that says so, by its name; ``source_url`` is
    where it can be read.
    """

    framework_level: LevelName
    degree: Literal["equal", "partial"]
    starts_on: Day
    ends_on: Day | None = None
    source: Text
    source_url: Link | None = None
    referenced: Referenced | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "RecognitionGranted":
        if self.ends_on is not None and self.ends_on < self.starts_on:
            raise PydanticCustomError("invalid_data", "ends_on lies before starts_on")
        return self


class RecognitionWithdrawn(RecognitionRef):
    """The recognition that held on a day ends with it. What was recognised up to that day stays so."""

    ends_on: Day
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
    "recognition.granted.v1": RecognitionGranted,
    "recognition.withdrawn.v1": RecognitionWithdrawn,
    "event.voided.v1": EventVoided,
}
"""Every type that certification takes."""
