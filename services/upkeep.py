"""What an administrator does to keep a running Sampan in order: dead letters, check, rebuild."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from services.client import Client
from services.errors import ClientError
from services.eventfiles import ServiceName

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


class Heads:
    """The heads of the audit trails as a file has them, written down by an earlier check: `enrolment 812 3f0c...`, a line each.

    A trail that was put back whole to how it once was is consistent in itself; only what is known elsewhere tells.
    """

    def __init__(self, file: Path) -> None:
        """Raises ClientError when the file is there and cannot be read."""
        self._file = file
        try:
            lines = file.read_text().splitlines() if file.exists() else []
            self._known = {service: (int(place), digest) for service, place, digest in map(str.split, lines)}
        except (OSError, ValueError):
            raise ClientError(f"{file} is no list of heads: name the file that an earlier check has written.") from None

    def compare(self, client: Client, service: ServiceName) -> list[dict[str, str]]:
        """What is wrong with a service's trail up to where it was known."""
        place, digest = self._known.get(service, (0, ""))
        if not place:
            return []
        there = client.get(service, "/v1/audit", [("after", str(place - 1)), ("limit", "1")])["items"]
        if there and (there[0]["place"], there[0]["digest"]) == (place, digest):
            return []
        problem = "is not what it was when its head was written down"
        return [{"service": service, "what": "audit trail", "which": str(place), "problem": problem}]

    def write(self, heads: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down the heads of now. Raises ClientError."""
        try:
            self._file.write_text("".join(f"{name} {head['place']} {head['digest']}\n" for name, head in heads.items()))
        except OSError as error:
            raise ClientError(f"{self._file} cannot be written: {error.strerror}.") from None


def check(client: Client, say: Say, heads: Heads | None = None) -> list[dict[str, str]]:
    """Have every service compare what it holds; every difference, with the service that found it.

    With ``heads`` the audit trails are compared with what was written down of them, and if nothing differs written down anew.

    What was posted before is waited for, so that a service that no longer hears is not taken for one that has nothing to hear.
    """
    # After the check of whoever tells it something: that waits for as long as the stream is being filled, as after a restore, and
    # before the stream is whole a listener does not move.
    waits = {"certification": client.wait_until_certification_heard, "reporting": client.wait_until_reported}
    found: list[dict[str, str]] = []
    trails: dict[str, Mapping[str, Any]] = {}
    for service in SERVICES:
        if service in waits:
            waits[service]()
        answer = client.get(service, "/v1/check", timeout=CHECK_SECONDS)
        compared = ", ".join(f"{number} {what}" for what, number in answer["compared"].items())
        say(f"{service} compared {compared}")
        trails[service] = answer["audit"]
        say(f"{service}'s audit trail is at {answer['audit']['place']} {answer['audit']['digest']}")
        if heads is not None:
            found += heads.compare(client, service)
        found += [{"service": service, **difference} for difference in answer["differences"]]
        if answer["number"] > len(answer["differences"]):
            unnamed = answer["number"] - len(answer["differences"])
            found.append(
                {"service": service, "what": "more", "which": "-", "problem": f"{unnamed} further differences"}
            )
    if heads is not None and not found:
        heads.write(trails)
    return found


def rebuild_reporting(client: Client, moved: Callable[[int, int], None]) -> dict[str, Any]:
    """Have reporting's read side made anew, and wait for it; how it went.

    ``moved`` is told now and then how many facts were read, and how many there are. Raises ClientError when it failed.
    """
    client.post("reporting", "/v1/rebuild")
    while True:
        state: dict[str, Any] = client.get("reporting", "/v1/rebuild")
        if state["problem"]:
            raise ClientError(f"The rebuild failed, and nothing was changed: {state['problem']}")
        if state["read"] is None:
            return state
        moved(sum(state["read"].values()), sum(state["until"].values()))
        client.pause(0.2)
