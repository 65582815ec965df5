"""Every address of reporting, asked what nobody would."""

import httpx
from fastapi import FastAPI

from shared.database import Database
from tests import nul
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear


async def test_no_address_breaks_on_a_nul(client: httpx.AsyncClient, app: FastAPI, database: Database) -> None:
    await hear(database, a_history())
    client.event_hooks = {}  # forms and pages are in no document
    assert await nul.answered(client, app) > 90
    assert (await client.get("/v1/periods/%00/versions/1")).status_code == 404
    assert (await client.get("/cohorts?before=%00")).status_code in (400, 404)


async def test_a_number_beyond_the_databases_is_nothing_that_there_is(client: httpx.AsyncClient) -> None:
    beyond = 10**30
    assert (await client.get(f"/v1/periods/ilo-china.2025/versions/{beyond}")).status_code in (400, 404)
    assert (await client.delete(f"/v1/publication/exceptions/{beyond}")).status_code in (400, 404)
    for version in (beyond, -beyond):
        assert (await client.get(f"/v1/public/certified?version={version}")).status_code in (400, 404)
