"""Every address of every service, asked by offices of another country for Cambodia's records: nothing is told, nothing changed.

What an office may say and hear on NATS is in tests/integration/bus/test_rights.py, every subject against every other office.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.events.wire import ONE
from tests.contract.documents import STREAMED, today
from tests.faults.conftest import SERVICES, River
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]

ROLES = ("sending-office", "host-centre", "awarding-body", "coordinator", "recognition-authority", "reader")
IN_CI = {"sending-office"}
COHORT = "wuxi-2025-spring"
OWN_AFFAIRS = {"/v1/tokens/rotate"}
"""What an office asks for itself."""


def new_office(river: River, office: str, role: str) -> str:
    """Its token, once every service knows it."""
    new = {"office": office, "name": office, "roles": [role], "officer": "desk"}
    answer = river.http.post(f"{river.sampan.urls['enrolment']}/v1/offices", json=new).raise_for_status()
    token = str(answer.json()["token"])

    def known() -> bool:
        asked = (httpx.get(f"{url}/v1/position", headers=bearer(token)) for url in river.sampan.urls.values())
        return all(one.status_code == 200 for one in asked)

    eventually(known, f"{office} is not known everywhere")
    return token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def records(river: River) -> dict[str, list[str]]:
    """Ids and personal details of all trainees of the example, as the administrator has them."""
    enrolment, certification = (river.sampan.urls[service] for service in ("enrolment", "certification"))
    trainees = river.http.get(f"{enrolment}/v1/cohorts/{COHORT}/trainees").json()["items"]
    certificates = river.http.get(f"{certification}/v1/certificates").json()["items"]
    found = {
        "enrolment": [one["enrolment"] for one in trainees],
        "person": [
            river.http.get(f"{enrolment}/v1/enrolments/{one['enrolment']}").json()["person"] for one in trainees
        ],
        "certificate": [one["certificate"] for one in certificates],
    }
    assert all(found.values())
    return found


SECRETS = ("Chan Sophea", "ចាន់ សុភា", "trainee001@example.org", "NTTI-INV-001", "2004-05-17")
"""Of one of them, as the example has it."""


def questions(service: str, records: dict[str, list[str]]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method, address and query of everything in the service's document, about Cambodia's records wherever it can be."""
    known = {
        **{name: ids[0] for name, ids in records.items()},
        "cohort": COHORT,
        "country": "kh",
        "office": "dgtvet",
        "event": "enrolled-001",
        "officer": "desk",
        "number": "1",
        "period": "2025-h1",
        "table": "sexes",
        "public_id": "a" * 32,
        "key": "1",
        "source": "/offices/kh/dgtvet",
        "measure": "certified",
        "scheme": "cn-vslc",
    }
    for path, methods in today("openapi", service)["paths"].items():
        for method, operation in methods.items():
            if path in STREAMED | OWN_AFFAIRS:
                continue
            query = {
                one["name"]: known[one["name"]]
                for one in operation.get("parameters", [])
                if one["in"] == "query" and one["name"] in known
            }
            yield method, path.format_map(known), {}
            if query:
                yield method, path.format_map(known), query


@pytest.mark.parametrize(
    "role",
    [pytest.param(role, marks=pytest.mark.long if role in IN_CI else pytest.mark.hurts, id=role) for role in ROLES],
)
def test_nothing_is_told_of_another_countrys_records(
    river: River, recoveries: Recoveries, records: dict[str, list[str]], role: str
) -> None:
    stranger = bearer(new_office(river, f"/offices/la/{role}", role))
    never = {*SECRETS, *(one for ids in records.values() for one in ids)}
    asked = 0
    for service in SERVICES:
        for method, path, query in questions(service, records):
            asked += 1
            body = {"json": {}} if method in ("post", "put") else {}
            answer = httpx.request(
                method, river.sampan.urls[service] + path, params=query, headers=stranger, timeout=60, **body
            )
            assert answer.status_code < 500, f"{method} {path} {query}: {answer.status_code} {answer.text}"
            told = [one for one in never if one in answer.text and one not in path]
            assert not told, f"{method} {path} {query} tells a {role} of Laos {told}"
            if any(f"/{one}" in path for ids in records.values() for one in ids):
                assert answer.status_code in (400, 403, 404, 422), f"{method} {path}: {answer.status_code}"
    recoveries.count(f"questions of a {role} of another country", asked)


@pytest.mark.hurts
def test_those_who_may_are_told(river: River, records: dict[str, list[str]]) -> None:
    """Else the test above would hold of a service that tells nobody anything."""
    sender = bearer(new_office(river, "/offices/kh/dgtvet", "sending-office"))
    told = ""
    for service in ("enrolment", "certification"):
        for method, path, query in questions(service, records):
            if method == "get":
                told += httpx.get(river.sampan.urls[service] + path, params=query, headers=sender, timeout=60).text
    assert all(ids[0] in told for ids in records.values())
    assert SECRETS[0] in told


@pytest.mark.parametrize("service", ["enrolment", "certification"])
def test_nothing_is_said_in_another_countrys_name(river: River, service: str) -> None:
    stranger = bearer(new_office(river, f"/offices/mm/at-{service}", "sending-office"))
    event: dict[str, Any] = {**river.new_event(service), "source": "/offices/kh/dgtvet", "id": f"borrowed-{service}"}
    answer = httpx.post(
        f"{river.sampan.urls[service]}/v1/events",
        content=json.dumps(event),
        headers={**stranger, "Content-Type": ONE},
    )
    assert (answer.status_code, answer.json()["receipts"][0]["code"]) == (422, "source_not_yours")
