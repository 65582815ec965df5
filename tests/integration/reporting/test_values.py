"""A filter by what there is not is a slip, and told so; one by what there is may well be answered with 0."""

import httpx
import pytest

from shared.database import Database
from tests.integration.reporting.test_aggregates import a_history, ask
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_cohort, known


@pytest.mark.parametrize("path", ["/v1/aggregates", "/v1/explain"])
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("country=XX", "There are: KH"),
        ("country=KH,XX", "There are: KH"),
        ("host_country=VN", "There are: CN"),
        ("programme=another", "There are: ilo-china"),
        ("trade=baking", "cabling"),
        ("sending_centre=nowhere", "ntti"),
        ("scheme=none", "There are: "),
        ("level=9", "There are: "),
        ("cohort=wuxi-9", "by=cohort names them"),
        ("cohort=wuxi,wuxi-9", "by=cohort names them"),
    ],
)
async def test_a_filter_by_what_there_is_not_is_400_and_names_what_there_is(
    client: httpx.AsyncClient, database: Database, path: str, query: str, named: str
) -> None:
    await hear(database, a_history())
    answer = await client.get(f"{path}?measure=enrolled&{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_value")
    assert named in answer.json()["message"]
    assert "XX" not in answer.json()["message"]


@pytest.mark.parametrize("query", ["country=KH&sex=U", "trade=cabling&from=2190-01", "cohort=wuxi&sending_centre=_U"])
async def test_a_filter_by_what_there_is_answers_0_where_nothing_is_counted(
    client: httpx.AsyncClient, database: Database, query: str
) -> None:
    await hear(database, a_history())
    answer = await ask(client, f"/v1/aggregates?measure=enrolled&{query}")
    assert answer["totals"] == {"enrolled": 0}


async def test_a_trade_that_a_cohort_was_announced_with_is_known_before_anybody_learns_it(
    client: httpx.AsyncClient, database: Database
) -> None:
    void = a_cohort("wuxi-2", status="void", trades=["baking"])
    await hear(database, [known(a_cohort(trades=["welding"])), known(void)])
    answer = await ask(client, "/v1/aggregates?measure=enrolled&trade=welding")
    assert answer["totals"] == {"enrolled": 0}
    shown = await client.get("/cohorts?trade=welding")
    assert (shown.status_code, "Wuxi 2025" in shown.text) == (200, True)
    assert (await client.get("/v1/aggregates?measure=enrolled&trade=baking")).status_code == 400
