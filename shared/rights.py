"""Who may publish and hear what on the broker, all of it on one page. What is not here, the server denies.

A consumer's durable is called like who reads through it. `$JS.API` is JetStream's own interface (NATS ADR-1): a request to it is
a message like any other, so rights to it are rights to publish.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rights:
    """Subjects, with wildcards, that a user may publish on and hear."""

    publish: tuple[str, ...]
    hear: tuple[str, ...]
    answers: bool = False
    """Whether it may answer, once, what it is asked on a subject that it hears."""


def inbox_prefix(user: str) -> str:
    """Where a user's answers arrive: nobody else may hear them."""
    return f"_INBOX_{user}"


def office_durable(country: str, office: str) -> str:
    """The durable on RECEIPTS through which an office reads, also after an absence. Codes have no underscore."""
    return f"{country}_{office}"


HOLDER = "register.holder"
"""On which certification asks, and enrolment answers, who holds a certificate: names, and keys of persons' documents."""

CHANGES = "CHANGES"
"""The stream of what moved in the figures."""
FIGURES = "changes.figures"
"""On which reporting says what moved."""
OFFICES_MAY_HEAR = ("changes.>",)
"""What every office hears of what the services say: that figures moved, and no figures."""

OFFICES_MAY_ASK = {
    "intake.enrolment.*.*": "Singleton",
    "intake.certification.*.*": "Singleton",
    "$JS.API.CONSUMER.MSG.NEXT.RECEIPTS.*": "Stream",
    "$JS.ACK.RECEIPTS.>": "Singleton",
}
"""The doors between the offices' account and that of the services, each with whether one answer comes or many. An office's own
rights narrow them to its own subjects."""


def office_rights(country: str, office: str) -> Rights:
    """Of an office's user: to post its own events, to read its own receipts and to hear that figures moved, and nothing else."""
    durable = office_durable(country, office)
    return Rights(
        publish=(
            f"intake.*.{country}.{office}",
            f"$JS.API.CONSUMER.MSG.NEXT.RECEIPTS.{durable}",
            f"$JS.ACK.RECEIPTS.{durable}.>",
        ),
        hear=(f"{inbox_prefix(durable)}.>", *OFFICES_MAY_HEAR),
    )


def _service_rights(
    service: str,
    *,
    publishes: tuple[str, ...],
    owns: tuple[str, ...] = (),
    hears: Mapping[str, str | None],
    answers: tuple[str, ...] = (),
) -> Rights:
    """Of a service that makes the streams it `owns` and reads others, all of a stream or the subject named beside it.

    What it `answers` are subjects of requests that no stream captures.
    """
    publish = [*publishes, f"deadletter.{service}"]
    publish += [f"$JS.API.STREAM.INFO.{stream}" for stream in {*owns, *hears}]
    for stream in owns:
        publish += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE")]
        if (
            stream in (service.upper(), CHANGES)
        ):  # its facts, which it compares with its journal, and how far it has announced; the others hold what is not its own
            publish.append(f"$JS.API.STREAM.MSG.GET.{stream}")
        if stream == service.upper():  # its facts, all of which are in its journal: one that lost some is made anew
            publish.append(f"$JS.API.STREAM.DELETE.{stream}")
    for stream, subject in hears.items():
        # The subject in the request is compared with that of the consumer by the server.
        publish.append(f"$JS.API.CONSUMER.CREATE.{stream}.{service}" + (f".{subject}" if subject else ""))
        publish += [f"$JS.API.CONSUMER.{verb}.{stream}.{service}" for verb in ("INFO", "MSG.NEXT", "DELETE")]
        publish.append(f"$JS.ACK.{stream}.{service}.>")
        if subject is None:  # facts: a position in the database is compared with the stream
            publish += [f"$JS.API.CONSUMER.RESET.{stream}.{service}", f"$JS.API.STREAM.MSG.GET.{stream}"]
    return Rights(tuple(sorted(publish)), (f"{inbox_prefix(service)}.>", *answers), bool(answers))


_ENROLMENT = _service_rights(
    "enrolment",
    publishes=(
        "enrolment.>",
        "receipts.>",
        # It makes the durables of offices.
        "$JS.API.CONSUMER.CREATE.RECEIPTS.>",
        "$JS.API.CONSUMER.DELETE.RECEIPTS.*",
        "$JS.API.CONSUMER.LIST.RECEIPTS",
    ),
    owns=("INTAKE", "RECEIPTS", "ENROLMENT", "DEADLETTERS"),
    hears={"INTAKE": "intake.enrolment.>"},
    answers=(HOLDER,),
)
_CERTIFICATION = _service_rights(
    "certification",
    publishes=("certification.>", "receipts.>", HOLDER),
    owns=("CERTIFICATION",),
    hears={"INTAKE": "intake.certification.>", "ENROLMENT": None},
)
_REPORTING = _service_rights(
    "reporting",
    publishes=(FIGURES,),
    owns=(CHANGES,),
    hears={"ENROLMENT": None, "CERTIFICATION": None},
)

SERVICE_RIGHTS: Mapping[str, Rights] = {
    "enrolment": _ENROLMENT,
    "certification": _CERTIFICATION,
    "reporting": _REPORTING,
}
