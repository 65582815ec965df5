"""Issuing as a batch: a programme's certificates that were decided while nothing was issued, and the public address is set."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.load import load
from bench.program import Program, ports
from services.client import Client
from services.standalone import Standalone

ISSUE = {"SAMPAN_PUBLIC_URL": "http://127.0.0.1"}
LONGEST_SECONDS = 1800
EVENTS_OF_A_CERTIFICATE = 20
"""About: not everybody is assessed, and not everybody passes."""


def issuing(certificates: int) -> dict[str, Any]:
    """Certificates a second from the first look to the last that is public, documents signed, stored and verified."""
    given = load(certificates * EVENTS_OF_A_CERTIFICATE, 0)
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder:
        settings = ports()
        with Standalone(Path(folder), settings) as sampan:
            Program(sampan, given).take_over_http(given)
        with (
            Standalone(Path(folder), settings | ISSUE) as sampan,
            Client(sampan.urls["enrolment"], sampan.admin_token) as client,
        ):
            began, first = time.monotonic(), _state(client)
            state = first
            while state["waiting"]:
                time.sleep(0.5)  # polls with a deadline
                if time.monotonic() > began + LONGEST_SECONDS:
                    raise TimeoutError(f"{state['waiting']} still wait")
                state = _state(client)
                sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {state['attested']}  {state['waiting']} wait\n")
            seconds = time.monotonic() - began
    issued = sum(state["attested"].values()) - sum(first["attested"].values())
    return {"issued": issued, "seconds": round(seconds, 2), "a second": round(issued / seconds, 1)}


def _state(client: Client) -> dict[str, Any]:
    state: dict[str, Any] = client.get("certification", "/v1/issuer")
    return state
