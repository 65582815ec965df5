"""Rates over HTTP: with their two counts, by cohorts or by events, and the answer says which."""

import httpx

from shared.database import Database
from tests.integration.reporting.test_aggregates import ask
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, known


async def test_a_rate_follows_its_cohorts_and_stands_with_its_counts(
    client: httpx.AsyncClient, database: Database
) -> None:
    april, may = (
        a_cohort(),
        a_cohort("vientiane", starts_on="2025-04-07", ends_on="2025-05-02", started_on="2025-04-07"),
    )
    done = {"completed_on": "2025-05-02", "completion": "in-force"}
    answer = {"months_after": 6, "on": "2025-11-01", "outcome": "employed"}
    facts = [
        april,
        may,
        a_trainee("01", sex="M", **done, outcomes=[answer]),
        a_trainee("02", **done, outcomes=[{**answer, "outcome": "no-answer"}]),
        a_trainee("03", arrived=False, **done),
        a_trainee("01", "vientiane"),
        a_certificate(a_trainee("01"), assessed_on="2025-04-10", passed_on="2025-04-10", awarded_on="2025-05-05"),
        a_certificate(a_trainee("02"), awarded_on="2025-05-05"),
    ]
    await hear(database, [known(fact) for fact in facts], 9)

    rates = "completion_rate,certification_rate,womens_share,response_rate_6,employment_rate_6"
    of_april = await ask(client, f"/v1/aggregates?measure={rates},completed&from=2025-04&to=2025-04&by=end_month")
    assert of_april["basis"] == {**dict.fromkeys(rates.split(","), "cohort"), "completed": "event"}
    assert of_april["rows"] == [
        {
            "end_month": "2025-04",
            "completion_rate": 1.0,
            "completion_rate_numerator": 2,
            "completion_rate_denominator": 2,
            "certification_rate": 1.0,
            "certification_rate_numerator": 2,
            "certification_rate_denominator": 2,
            "womens_share": 2 / 3,
            "womens_share_numerator": 2,
            "womens_share_denominator": 3,
            "response_rate_6": 1 / 3,
            "response_rate_6_numerator": 1,
            "response_rate_6_denominator": 3,
            "employment_rate_6": 1.0,
            "employment_rate_6_numerator": 1,
            "employment_rate_6_denominator": 1,
            "completed": 0,
        }
    ]

    of_may = await ask(client, "/v1/aggregates?measure=completion_rate&from=2025-05&basis=event")
    assert of_may["basis"] == {"completion_rate": "event"}
    assert of_may["totals"] == {
        "completion_rate_numerator": 2,
        "completion_rate_denominator": 0,
    }
    assert (await ask(client, "/v1/aggregates?measure=pass_rate&by=sex"))["totals"]["pass_rate"] == 1.0
