"""What an administrator does to keep a running Sampan in order: dead letters, check, rebuild."""

from collections.abc import Callable, Iterator
from typing import Any

from services.client import Client, ClientError, ServiceName

SERVICES: tuple[ServiceName, ...] = ("enrolment", "certification", "reporting")
CHECK_SECONDS = 3600.0
"""A check reads everything that a service holds."""

Say = Callable[[str], None]


def dead_letters(client: Client) -> Iterator[tuple[ServiceName, dict[str, Any]]]:
    """Every service's dead letters, oldest first, without their bodies."""
    for service in SERVICES:
        for letter in client.every(service, "/v1/deadletters"):
            yield service, letter


def numbers_of(client: Client, service: ServiceName) -> list[int]:
    """The ids of one service's dead letters, oldest first."""
    return [letter["id"] for letter in client.every(service, "/v1/deadletters")]


def replay(client: Client, service: ServiceName, number: int) -> str | None:
    """Have a dead letter handled once more; why it failed again, or None when it did not."""
    try:
        client.post(service, f"/v1/deadletters/{number}/replay")
    except ClientError as error:
        return str(error)
    return None


def check(client: Client, say: Say) -> list[dict[str, str]]:
    """Have every service compare what it holds; every difference, with the service that found it.

    What was posted before is waited for, so that a service that no longer hears is not taken for one that has nothing to hear.
    """
    client.wait_until_reported()
    found: list[dict[str, str]] = []
    for service in SERVICES:
        answer = client.get(service, "/v1/check", timeout=CHECK_SECONDS)
        compared = ", ".join(f"{number} {what}" for what, number in answer["compared"].items())
        say(f"{service} compared {compared}")
        found += [{"service": service, **difference} for difference in answer["differences"]]
        if answer["number"] > len(answer["differences"]):
            unnamed = answer["number"] - len(answer["differences"])
            found.append(
                {"service": service, "what": "more", "which": "-", "problem": f"{unnamed} further differences"}
            )
    return found


def rebuild_reporting(client: Client, say: Say) -> bool | None:
    """Empty reporting's read side and wait until it is as far as before.

    Whether the cube is then the same; None when further events came meanwhile, so that it cannot be compared.
    """
    before = client.post("reporting", "/v1/rebuild")
    upto = ", ".join(f"{stream} {position}" for stream, position in sorted(before["until"].items()))
    say(f"Reporting's read side is emptied and made anew from the streams, up to {upto}.")
    client.wait_until_reporting_has(before["until"])
    after = client.get("reporting", "/v1/rebuild")
    if after["until"] != before["until"]:
        return None
    return bool(after["cube"] == before["cube"])
