"""The cube's version tells everybody who listens that it has changed; cohorts are listed by their first day."""

from alembic import op

revision = "0030"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION tell_of_cube() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('sampan_reporting_cube', NEW.number::text);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER tell AFTER INSERT OR UPDATE ON cube_version FOR EACH ROW EXECUTE FUNCTION tell_of_cube()"
    )
    op.execute("CREATE INDEX cohorts_starts_on_idx ON cohorts ((data ->> 'starts_on') DESC, cohort DESC)")
