"""`sampan check` while streams are being filled, as after a restore."""

from typing import Any

import pytest

from services import client, upkeep
from services.client import Client
from services.eventfiles import ServiceName


class Restored(Client):
    """Services whose listeners hear nothing before the stream is whole; it is when its owner has compared it."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "token")
        self.compared: list[str] = []

    def address(self, service: ServiceName) -> str:
        return service

    def get(self, service: ServiceName, path: str, *_: Any, **__: Any) -> Any:
        if path == "/v1/check":
            self.compared.append(service)
            return {"compared": {}, "audit": {"place": 0, "digest": ""}, "differences": [], "number": 0}
        heard = {name.upper(): 9 if name in self.compared else 0 for name in ("enrolment", "certification")}
        own = {} if service == "reporting" else {service.upper(): 9}
        return {"heard": heard, "position": own or heard}


def test_given_streams_that_are_being_filled_when_it_checks_then_listeners_are_not_said_to_stand_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "BEHIND_SECONDS", 0.2)
    with Restored() as services:
        assert upkeep.check(services, print) == []
        assert services.compared == ["enrolment", "certification", "reporting"]
