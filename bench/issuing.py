"""Certificates: a programme's issued as one batch, those that were decided while nothing was issued; and one verified."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.load import load
from bench.program import Program, Watch, ports
from services.client import Client
from services.standalone import Standalone

ISSUE = {"SAMPAN_PUBLIC_URL": "http://127.0.0.1"}
LONGEST_SECONDS = 1800
EVENTS_OF_A_CERTIFICATE = 8
"""A little more than there are: not everybody is assessed, and not everybody passes."""
VERIFIED = 100
"""How many are verified, one after the other: as many as one visitor may ask for at once."""


def issuing(certificates: int) -> dict[str, Any]:
    """Certificates a second, documents signed, stored and verified, with the processor seconds it took; and milliseconds of
    verifying a document by the API.
    """
    given = load(certificates * EVENTS_OF_A_CERTIFICATE, 0)
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder:
        settings = ports()
        with Standalone(Path(folder), settings) as sampan:
            Program(sampan, given).take_over_http(given)
        with (
            Standalone(Path(folder), settings | ISSUE) as sampan,
            Client(sampan.urls["enrolment"], sampan.admin_token) as client,
        ):
            taken = _issued(sampan, client)
            taken["verification"] = _verified(sampan, client)
    return taken


def _issued(sampan: Standalone, client: Client) -> dict[str, Any]:
    """From the first look to the last certificate that is public."""
    with Watch(sampan) as watch:
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
    spent = {name: round(used / issued * 1000, 2) for name, used in watch.seconds.items()}
    return {
        "issued": issued,
        "seconds": round(seconds, 2),
        "a second": round(issued / seconds, 1),
        "processor seconds of a thousand": spent,
    }


def _verified(sampan: Standalone, client: Client) -> list[float]:
    """Milliseconds of each request that verifies a document."""
    address, administrator = sampan.urls["certification"], {"Authorization": f"Bearer {sampan.admin_token}"}
    page = client.get("certification", "/v1/certificates", [("limit", str(VERIFIED))])["items"]
    documents, times = [], []
    with httpx.Client(base_url=address) as http:
        for public_id in [one["attestation"]["public_id"] for one in page if one["attestation"]]:
            answer = http.get(f"/v1/credentials/{public_id}", headers=administrator).raise_for_status()
            documents.append(answer.content)
        for document in documents:
            began = time.perf_counter()
            verdict = http.post("/v1/verify", content=document).raise_for_status().json()
            times.append(round((time.perf_counter() - began) * 1000, 3))
            if verdict["verdict"] != "valid":
                raise AssertionError(verdict)
    return times


def _state(client: Client) -> dict[str, Any]:
    state: dict[str, Any] = client.get("certification", "/v1/issuer")
    return state
