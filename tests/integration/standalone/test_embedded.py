from services.embedded import SERVICES
from tests.servers import PostgresForTests


def test_a_service_owns_its_schema_and_sees_no_other(postgres: PostgresForTests) -> None:
    database = postgres.create_database()
    for service in SERVICES:
        for schema in SERVICES:
            allowed = postgres.execute(
                f"SELECT has_schema_privilege('{service}', '{schema}', 'CREATE'),"
                f" has_schema_privilege('{service}', '{schema}', 'USAGE')",
                database,
            )
            assert allowed == ("t|t" if service == schema else "f|f")
        assert postgres.execute(f"SELECT has_schema_privilege('{service}', 'public', 'USAGE')", database) == "f"
