"""What offices say of persons: who a trainee is, what they agreed to, who is one person with whom, and who is to be forgotten.

Persons are named by their enrolments: a person's own id follows from these, and changes when they are linked otherwise.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.events.codes import Code, Country, Day, Language, Many, Model, Reason, Sex, Text, YesNo
from shared.events.identity import enrolment_id


class TraineeRef(Model):
    """A trainee, by cohort code and trainee number or by enrolment id."""

    cohort: Code | None = None
    number: Code | None = None
    enrolment: Code | None = None

    @model_validator(mode="after")
    def _named(self) -> "TraineeRef":
        if (self.cohort is None) != (self.number is None) or (self.cohort is None and self.enrolment is None):
            raise PydanticCustomError("invalid_data", "name the trainee by cohort and number, or by enrolment")
        if self.cohort and self.number and self.enrolment not in (None, enrolment_id(self.cohort, self.number)):
            raise PydanticCustomError("invalid_data", "the enrolment is not the one of this cohort and number")
        return self

    @property
    def enrolment_id(self) -> str:
        """The enrolment's id, given or derived."""
        if self.cohort is not None and self.number is not None:
            return enrolment_id(self.cohort, self.number)
        assert self.enrolment is not None  # the validator holds it
        return self.enrolment


class Identifier(Model):
    kind: Literal["national-id", "passport", "centre-number"]
    number: Annotated[Text, Field(max_length=63)]
    country: Country | None = None


class Names(Model):
    """A name as its owner writes it, and in Latin letters. No part of it is required to be a family name."""

    original: Text
    language: Language | None = None
    romanised: Text


class Contact(Model):
    phone: Annotated[Text, Field(max_length=63)] | None = None
    email: Annotated[Text, Field(max_length=254)] | None = None


class Consent(Model):
    by: Literal["self", "guardian"]
    date: Day
    notice: Code
    purposes: Many[Code] = []


class Person(Model):
    """Who a trainee is. Kept in enrolment's register, encrypted, and nowhere else."""

    identifiers: Many[Identifier] = []
    names: Names
    sex: Sex
    birth_date: Day | None = None
    contact: Contact | None = None
    disability: YesNo = "not-stated"
    consent: Consent | None = None


class PersonCorrected(TraineeRef):
    """Personal details as they should have been: names only what changes. Records and figures stand."""

    names: Names | None = None
    identifiers: Many[Identifier] | None = None
    birth_date: Day | None = None
    sex: Sex | None = None
    contact: Contact | None = None
    disability: YesNo | None = None
    consent: Consent | None = None


class ConsentWithdrawn(TraineeRef):
    """The person, or their guardian, no longer agrees to these purposes; to none at all when none is named.

    Who asks for details for such a purpose no longer gets them. Records and figures stand.
    """

    by: Literal["self", "guardian"]
    date: Day
    purposes: Many[Code] = []


class _OnePersonOrTwo(Model):
    enrolments: Annotated[Many[TraineeRef], Field(min_length=2, max_length=2)]
    decided_by: Annotated[Code, Field(description="code: who decided, as a code such as desk-1, not a name")]
    reason: Reason

    @model_validator(mode="after")
    def _two(self) -> "_OnePersonOrTwo":
        if len(set(self.pair)) != 2:
            raise PydanticCustomError("invalid_data", "name two different enrolments")
        return self

    @property
    def pair(self) -> tuple[str, str]:
        """The ids of the two enrolments, the smaller first."""
        one, other = sorted(enrolment.enrolment_id for enrolment in self.enrolments)
        return one, other


class PersonMerged(_OnePersonOrTwo):
    """Somebody has decided that these two enrolments are one person's, and with them all that either is linked to."""


class PersonParted(_OnePersonOrTwo):
    """Takes back that the two are one person's: everything is as if it had never been said.

    Where nothing was merged, it says that the two are two persons' though they look alike or share an identifier.
    """


class PersonForgotten(TraineeRef):
    """The person's details are destroyed, in every enrolment that is known to be theirs. Cannot be taken back."""

    decided_by: Annotated[Code, Field(description="code: who decided, as a code such as desk-1, not a name")]
    reason: Reason
