"""The aggregate, the application and the projection of `bench.peers.sourced`: a module of its own, so that they have names."""

import json
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection
from eventsourcing.utils import get_topic
from psycopg.sql import SQL, Identifier

from bench.peers.job import Said, awards, difference, evolved, read


class Unit(Aggregate):
    """An enrolment; or a cohort, or an office, for what is said of no enrolment."""

    @event("Opened")
    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: set[str] = set()

    @staticmethod
    def create_id(name: str) -> UUID:
        """Its id, so that it is found by name."""
        return uuid5(NAMESPACE_URL, name)

    class Heard(Aggregate.Event):
        """What an office said."""

        key: str
        body: str

    @event(Heard)
    def hear(self, key: str, body: str) -> None:  # noqa: ARG002 - the event carries it
        """Take an event; ``key`` is its source and id."""
        self.ids.add(key)


class Offices(Application[UUID]):
    """What offices call."""

    def take(self, body: bytes) -> None:
        """Take one event in; a duplicate and what is invalid change nothing."""
        said = read(body)
        if said is None:
            return
        name = " ".join(said.trainee or (said.data.get("cohort", said.source),))
        try:
            unit: Unit = self.repository.get(Unit.create_id(name))
        except AggregateNotFoundError:
            unit = Unit(name)
        key = f"{said.source} {said.id}"
        if key not in unit.ids:
            unit.hear(key, body.decode())
            self.save(unit)


class Tables(PostgresTrackingRecorder):
    """Certification records and aggregates, with the position up to which they are true."""

    def __init__(self, datastore: Any, **more: Any) -> None:
        super().__init__(datastore, **more)
        self.rules: dict[str, str] = {}
        for table, columns in _TABLES.items():
            self.sql_create_statements.append(
                SQL(f"CREATE TABLE IF NOT EXISTS {{}}.{{}} ({columns})").format(*self._names(table))
            )
        self._statements = {
            name: SQL(statement).format(*self._names(table)) for name, (table, statement) in _STATEMENTS.items()
        }

    def _names(self, table: str) -> tuple[Identifier, Identifier]:
        return Identifier(self.datastore.schema), Identifier(table)

    def take(self, said: Said, tracking: Tracking) -> None:
        """Put one event into the tables."""
        statements = self._statements
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            if said.type == "scheme.registered.v1":
                self.rules[said.data["scheme"]] = said.data["rule"]
            if said.trainee is None:
                return
            cohort, number = said.trainee
            row = cursor.execute(statements["look"], (cohort, number), prepare=True).fetchone()
            old = json.loads(row["body"]) if row else {}
            new = evolved(old, said)
            if new == old:
                return
            cursor.execute(statements["keep"], (cohort, number, json.dumps(new)), prepare=True)
            for award in awards(cohort, number, new, self.rules):
                cursor.execute(statements["certify"], award, prepare=True)
            for cell, by in difference(cohort, old, new, self.rules):
                cursor.execute(statements["count"], (*cell, by), prepare=True)


_TABLES = {
    "records": "cohort text, number text, body text NOT NULL, PRIMARY KEY (cohort, number)",
    "certificates": "cohort text, number text, scheme text, occupation text, level text, day text NOT NULL, printed text, "
    "PRIMARY KEY (cohort, number, scheme, occupation, level)",
    "aggregates": "measure text, month text, country text, cohort text, value bigint NOT NULL, "
    "PRIMARY KEY (measure, month, country, cohort)",
}
_STATEMENTS = {
    "look": ("records", "SELECT body FROM {}.{} WHERE cohort = %s AND number = %s"),
    "keep": (
        "records",
        "INSERT INTO {}.{} VALUES (%s, %s, %s) ON CONFLICT (cohort, number) DO UPDATE SET body = excluded.body",
    ),
    "certify": (
        "certificates",
        "INSERT INTO {}.{} VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (cohort, number, scheme, occupation, level) "
        "DO UPDATE SET day = excluded.day, printed = excluded.printed",
    ),
    "count": (
        "aggregates",
        "INSERT INTO {}.{} VALUES (%s, %s, %s, %s, %s) ON CONFLICT (measure, month, country, cohort) "
        "DO UPDATE SET value = aggregates.value + excluded.value",
    ),
}


class Figures(Projection[Tables]):
    """What follows the application's sequence."""

    topics = (get_topic(Unit.Heard),)

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Nothing but what was heard comes here."""
        raise NotImplementedError(type(domain_event))

    @process_event.register
    def heard(self, domain_event: Unit.Heard, tracking: Tracking) -> None:
        """Put an event into the tables."""
        said = read(domain_event.body.encode())
        assert said
        self.view.take(said, tracking)
