"""Every address of every service, asked by offices of another country for Cambodia's records: nothing is told, nothing changed.

What an office may say and hear on NATS is in tests/integration/bus/test_rights.py, every subject against every other office.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.events.wire import NDJSON, ONE
from tests.contract.documents import STREAMED, today
from tests.faults.conftest import SERVICES, River
from tests.faults.moments import superuser
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


ASKED_BY_POST = {"/v1/dhis2", "/v1/verify"}
"""What is asked with a body, and changes nothing."""


def bodies(river: River, service: str) -> dict[str, dict[str, Any]]:
    """What is good to be said at an address by whoever may: nothing is refused for its form."""
    event = {**river.new_event(service), "source": "/offices/kh/dgtvet", "id": f"borrowed-for-{service}"}
    said = {"content": json.dumps(event), "headers": {"Content-Type": NDJSON}}
    roster = {"content": f"cohort,number\n{COHORT},001\n", "headers": {"Content-Type": "text/csv"}}
    office = {"office": "/offices/kh/new", "name": "New", "roles": ["reader"], "officer": "desk"}
    figure = {"programme": "ilo-china-skills", "table": "sexes", "row": "F", "measure": "enrolled", "value": 3}
    return {
        "/v1/events": said,
        "/v1/bundles": said,
        "/v1/rosters": roster,
        "/v1/rosters/annotated": roster,
        "/v1/offices": {"json": office},
        "/v1/publication": {"json": {"on": True}},
        "/v1/publication/exceptions": {"json": {**figure, "reason": "they agreed"}},
    }


def done(river: River) -> list[Any]:
    """What the audit trails say that was done, but for what was handed in and refused, and how many events are kept."""
    query = "SELECT concat_ws(' ', place, action) FROM {}.audit WHERE action NOT IN ('events.posted', 'bundle.brought')"
    with superuser(river.sampan.postgres) as session:
        trails = [session.ask(query.format(service)) for service in SERVICES]
        return trails + [session.ask(f"SELECT count(*) FROM {one}.events") for one in SERVICES[:2]]  # noqa: S608


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
    before = done(river)
    for service in SERVICES:
        good = bodies(river, service)
        for method, path, query in questions(service, records):
            asked += 1
            body = {**good.get(path, {"json": {}} if method in ("post", "put") else {})}
            headers = {**stranger, **body.pop("headers", {})}
            answer = httpx.request(
                method, river.sampan.urls[service] + path, params=query, headers=headers, timeout=60, **body
            )
            assert answer.status_code < 500, f"{method} {path} {query}: {answer.status_code} {answer.text}"
            in_its_own_name = path.startswith("/v1/rosters") and "source" not in query
            if method != "get" and path not in ASKED_BY_POST and not in_its_own_name:
                refused = (403, 404, 422) if path in good else range(400, 500)
                assert answer.status_code in refused, (
                    f"{method} {path} {query}: {answer.status_code} {answer.text[:300]}"
                )
            told = [one for one in never if one in answer.text and one not in path]
            assert not told, f"{method} {path} {query} tells a {role} of Laos {told}"
            if any(f"/{one}" in path for ids in records.values() for one in ids):
                assert answer.status_code in (400, 403, 404, 422), f"{method} {path}: {answer.status_code}"
    assert done(river) == before
    assert river.check() == []
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
