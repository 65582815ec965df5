"""Partners see their own detail and the common totals; a token for dashboards reads and does nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.reporting import projection
from services.reporting.domain import Known
from shared.database import Database
from shared.events.enrolment import OfficeFact
from shared.events.facts import Version
from shared.offices import new_token, token_digest
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_cohort, a_trainee, known


async def token_of(database: Database, office: str, *roles: str) -> dict[str, str]:
    token = new_token(office)
    expires = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    line = {"sha256": token_digest(token), "officer": "desk", "expires": expires}
    fact = OfficeFact.model_validate(
        {"office": office, "name": office, "roles": list(roles), "status": "active", "tokens": [line]}
    )
    await database.run(lambda session: projection.apply(session, [Known("office", office, Version(1, 1), fact)]))
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def world(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """Ten enrolments of Cambodians, one of them hosted by the Lao, and one of a Lao in the cohort at Wuxi."""
    lao = a_trainee("77", country="LA", sending_centre="la-tvet", person="person-77")
    await hear(database, [*a_history(), known(lao)])
    return client


async def asked(client: httpx.AsyncClient, question: str, headers: dict[str, str]) -> dict[str, Any]:
    answer = await client.get(f"/v1/aggregates?{question}", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_detail_is_of_ones_own_country_and_totals_are_everybodys(
    world: httpx.AsyncClient, database: Database
) -> None:
    khmer = await token_of(database, "/offices/kh/dgtvet", "sending-office")
    lao = await token_of(database, "/offices/la/tvet", "reader")
    common = "measure=enrolled,people&by=country,sex"
    assert (await asked(world, common, khmer))["rows"] == (await asked(world, common, lao))["rows"]
    assert (await asked(world, common, lao))["only"] is None

    own = await asked(world, "measure=enrolled,people&by=cohort,country", lao)
    assert own["only"] == "LA"
    assert [(row["cohort"], row["country"], row["enrolled"], row["people"]) for row in own["rows"]] == [
        ("vientiane", "KH", 1, 1),
        ("wuxi", "LA", 1, 1),
    ]
    assert own["totals"] == {"enrolled": 2, "people": 2}
    filtered = await asked(world, "measure=enrolled&sending_centre=ntti", lao)
    assert filtered["totals"] == {"enrolled": 0}
    assert (await asked(world, "measure=enrolled&by=cohort&sending_centre=ntti", khmer))["totals"] == {"enrolled": 9}


async def test_a_coordinator_and_the_administrator_see_all_detail(world: httpx.AsyncClient, database: Database) -> None:
    coordinator = await token_of(database, "/offices/cn/ilo", "coordinator")
    for headers in (coordinator, {}):
        answer = await asked(world, "measure=enrolled&by=cohort", headers)
        assert (answer["totals"], answer["only"]) == ({"enrolled": 11}, None)


async def test_the_forms_the_pages_and_explanations_are_limited_alike(
    world: httpx.AsyncClient, database: Database
) -> None:
    lao = await token_of(database, "/offices/la/tvet", "sending-office")
    lines = (await world.get("/v1/aggregates?measure=enrolled&by=sending_centre&format=csv", headers=lao)).text
    assert lines.split() == ["sending_centre,enrolled", "_U,1", "la-tvet,1"]
    refused = await world.get("/v1/explain?measure=enrolled&cohort=wuxi", headers=lao)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_country")
    assert (await world.get("/v1/explain?measure=enrolled&cohort=wuxi&country=LA", headers=lao)).json()["value"] == 1


async def test_a_token_for_dashboards_reads_and_does_nothing_else(world: httpx.AsyncClient, database: Database) -> None:
    reader = await token_of(database, "/offices/kh/ministry", "reader")
    for address in ("/v1/aggregates", "/v1/codes", "/v1/indicators", "/v1/measures", "/v1/position"):
        assert (await world.get(address, headers=reader)).status_code == 200
    for method, address in (
        ("POST", "/v1/rebuild"),
        ("PUT", "/v1/publication"),
        ("POST", "/v1/publication/release"),
        ("POST", "/v1/publication/exceptions"),
        ("DELETE", "/v1/publication/exceptions/1"),
    ):
        answer = await world.request(method, address, headers=reader, json={"on": True} if method == "PUT" else None)
        assert answer.status_code in (400, 403), address


async def test_recent_changes_of_other_countries_cohorts_are_not_told(
    world: httpx.AsyncClient, database: Database
) -> None:
    lao = await token_of(database, "/offices/la/tvet", "sending-office")
    await hear(database, [known(a_trainee("78", sending_centre="ntti", person="person-78"))], position=30)
    page = (await world.get("/changes?lang=en", headers=lao)).text
    assert "vientiane" in page
    narrowed = (await world.get("/changes?lang=en&cohort=wuxi&sending_centre=ntti", headers=lao)).text
    assert "Nothing is counted here yet." in narrowed
    assert (
        "Nothing is counted here yet." not in (await world.get("/changes?lang=en&cohort=wuxi&sending_centre=ntti")).text
    )


async def test_what_came_and_went_names_centres_and_cohorts_of_ones_own_country_alone(
    client: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, [known(a_cohort()), known(a_cohort("vientiane", host_country="LA"))], 1)
    lao = [
        a_trainee(f"2{number}", country="LA", sending_centre=centre) for number, centre in enumerate(["tvet", "vti"])
    ]
    unsent = a_trainee("31", country="LA", sending_centre=None)
    await hear(database, [known(one) for one in (*lao, unsent, a_trainee("01"), a_trainee("02", "vientiane"))], 6)
    khmer = await token_of(database, "/offices/kh/dgtvet", "sending-office")
    reader = await token_of(database, "/offices/kh/ministry", "reader")

    def reasons(answer: dict[str, Any]) -> list[tuple[str | None, str | None, int, int]]:
        found = answer["compared"]["reasons"]
        return [(one["sending_centre"], one["cohort"], one["enrolments"], one["difference"]) for one in found]

    async def explained(question: str, headers: dict[str, str]) -> dict[str, Any]:
        answer = await client.get(f"/v1/explain?measure=enrolled&compare=1.1&{question}", headers=headers)
        found: dict[str, Any] = answer.json()
        return found

    others = await explained("country=LA&sex=F", khmer)
    assert reasons(others) == [(None, None, 3, 3)]
    assert others["compared"]["sentence"] == "3, not 0: 3 enrolments reached us after 1.1."
    assert reasons(await explained("", khmer)) == [(None, None, 3, 3), ("ntti", None, 2, 2)]
    assert reasons(await explained("", reader)) == [(None, None, 5, 5)]
    everything = [("ntti", None, 2, 2), ("tvet", None, 1, 1), ("vti", None, 1, 1), (None, "wuxi", 1, 1)]
    assert sorted(reasons(await explained("", {})), key=str) == sorted(everything, key=str)
