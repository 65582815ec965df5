"""Reading with SQL: what each role sees, that it sees nothing else, and that what is provisioned for Grafana works on it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from sqlalchemy.engine import make_url

from services.processes import LOOPBACK
from services.reporting.domain import DIMENSIONS
from shared.database import Database
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.integration.reporting.test_public import DAY, release, trainees, turn_on
from tests.servers import PostgresForTests
from tests.unit.reporting.facts import a_cohort, a_trainee, known

ROOT = Path(__file__).parents[3]
Connect = Callable[[str], Awaitable[asyncpg.Connection]]
VIEWS = ("public_figures", "partner_figures", "common_figures")


@pytest.fixture
async def reading(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Connect]:
    """A connection as the login that is named."""
    opened = []
    name = make_url(migrated).database

    async def connect(login: str) -> asyncpg.Connection:
        opened.append(
            await asyncpg.connect(host=LOOPBACK, port=postgres.port, user=login, password="secret", database=name)  # noqa: S106
        )
        return opened[-1]

    for login, role in (
        ("a_grafana", "sampan_public"),
        *((f"sampan_partner_{one}", "sampan_partner") for one in ("kh", "la")),
    ):
        postgres.execute(
            f"DO $$ BEGIN CREATE ROLE {login} LOGIN PASSWORD 'secret' IN ROLE {role}; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
    yield connect
    for connection in opened:
        await connection.close()


async def test_the_public_role_reads_released_tables_while_they_are_public(
    reading: Connect, database: Database
) -> None:
    await hear(database, [known(a_cohort()), *trainees(*range(1, 10))])
    grafana = await reading("a_grafana")
    assert await grafana.fetchval("SELECT count(*) FROM reporting.public_figures") == 0
    await turn_on(database)
    await release(database)
    rows = await grafana.fetch(
        "SELECT table_name, row_value, value FROM reporting.public_figures WHERE newest AND measure = 'enrolled' "
        "AND table_name IN ('programmes', 'sexes') ORDER BY table_name, row_value"
    )
    assert [tuple(row) for row in rows] == [("programmes", None, 9), ("sexes", "F", None), ("sexes", "M", None)]


async def test_a_partner_has_every_dimension_and_every_column_says_what_it_is(reading: Connect) -> None:
    khmer = await reading("sampan_partner_kh")
    columns = await khmer.fetch(
        "SELECT relname, attname, col_description(attrelid, attnum) FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid "
        "WHERE relnamespace = 'reporting'::regnamespace AND relname = ANY($1) AND attnum > 0",
        VIEWS,
    )
    assert {column for view, column, _ in columns if view == "partner_figures"} == {"measure", "value", *DIMENSIONS}
    assert not [(view, column) for view, column, said in columns if not said]


async def test_a_partner_reads_its_own_detail_and_the_common_totals(reading: Connect, database: Database) -> None:
    await hear(database, a_history())
    await hear(database, [known(a_trainee("77", country="LA", sending_centre="la-tvet"))])
    khmer, lao = [await reading(f"sampan_partner_{country}") for country in ("kh", "la")]
    detail = (
        "SELECT country, host_country, sum(value)::int FROM reporting.partner_figures "
        "WHERE measure = 'enrolled' GROUP BY country, host_country"
    )
    assert {tuple(row) for row in await khmer.fetch(detail)} == {("KH", "CN", 9), ("KH", "LA", 1)}
    assert {tuple(row) for row in await lao.fetch(detail)} == {("LA", "CN", 1), ("KH", "LA", 1)}
    common = "SELECT country, sum(value)::int FROM reporting.common_figures WHERE measure = 'enrolled' GROUP BY country"
    for partner in (khmer, lao):
        assert {tuple(row) for row in await partner.fetch(common)} == {("KH", 10), ("LA", 1)}
    hours = await khmer.fetchval("SELECT sum(value) FROM reporting.partner_figures WHERE measure = 'training_hours'")
    assert hours == 52


async def test_no_reader_sees_a_table_another_view_or_writes(reading: Connect, database: Database) -> None:
    grafana, khmer = await reading("a_grafana"), await reading("sampan_partner_kh")
    async with database.engine.connect() as connection:
        tables = (
            await connection.exec_driver_sql(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'reporting'::regnamespace"
            )
        ).scalars()
        names = sorted(tables)
    assert {*VIEWS, "cube", "releases"} < {*names}
    for reader, own in ((grafana, {"public_figures"}), (khmer, {*VIEWS})):
        for name in names:
            if name in own:
                await reader.fetch(f"SELECT * FROM reporting.{name}")  # noqa: S608
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await reader.fetch(f"SELECT * FROM reporting.{name}")  # noqa: S608
        for other in ("enrolment", "certification"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.fetch(f"SELECT * FROM {other}.outbox")  # noqa: S608
        with pytest.raises(asyncpg.PostgresError):
            await reader.execute("DELETE FROM reporting.public_figures")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute("CREATE TABLE reporting.own (one int)")


async def test_every_view_says_what_it_is(database: Database) -> None:
    async with database.engine.connect() as connection:
        for view in VIEWS:
            said = await connection.exec_driver_sql(f"SELECT obj_description('reporting.{view}'::regclass)")
            assert said.scalar()


async def test_what_grafana_is_provisioned_with_works_for_its_login(reading: Connect, database: Database) -> None:
    await turn_on(database)
    await hear(database, [known(a_cohort()), *trainees(*range(1, 30))])
    await release(database, DAY)
    folder = ROOT / "deploy" / "grafana"
    (source,) = yaml.safe_load((folder / "provisioning/datasources/sampan.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "provisioning/dashboards/sampan.yaml").read_text())["providers"]
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert grafana["profiles"] == ["grafana"]
    mounted = [volume.split(":") for volume in grafana["volumes"]]
    assert (
        ROOT / next(here for here, there, *_ in mounted if there == "/etc/grafana/provisioning")
    ) == folder / "provisioning"
    dashboards = ROOT / next(here for here, there, *_ in mounted if there == provider["options"]["path"])
    for name in (source["user"], source["secureJsonData"]["password"]):
        assert name.removeprefix("$") in grafana["environment"]
    reader = await reading("a_grafana")
    (dashboard,) = dashboards.glob("*.json")
    panels: list[dict[str, Any]] = json.loads(dashboard.read_text())["panels"]
    for panel in panels:
        assert panel["datasource"]["uid"] == source["uid"]
        for target in panel["targets"]:
            assert await reader.fetch(target["rawSql"]), panel["title"]
