"""What certification hears of many events in one batch goes on in the way of each."""

from typing import Any

from sqlalchemy import text

from services.certification.handlers import Told
from services.certification.subscribers import hear
from shared.correlation import Way
from shared.database import Database
from shared.delivery import Delivery
from shared.events.facts import FactEnvelope
from tests.integration.certification.given import a_cohort, a_trainee, post
from tests.unit.certification.given import assessed, registered, trainee


def delivered(place: int, told: Told, kind: str, key: str, way: Way) -> Delivery:
    fact = FactEnvelope.model_validate(
        {
            "specversion": "1.0",
            "id": f"1-{place}",
            "source": "/services/enrolment",
            "type": f"{kind}.v1",
            "subject": key,
            "time": "2025-05-01T00:00:00Z",
            "datacontenttype": "application/json",
            "epoch": 1,
            "revision": told.revision,
            "cause": told.cause,
            "data": told.data.model_dump(mode="json"),
        }
    )
    return Delivery("", fact.model_dump_json().encode(), "ENROLMENT", place, 1, {}, way)


async def test_each_certificate_goes_on_in_the_way_of_its_own_trainee(database: Database) -> None:
    trainees: dict[str, Any] = {number: trainee(number) for number in ("01", "02")}
    await post(database, registered("scheme", 1), *(assessed(f"pass-{n}", 11, number=n) for n in trainees))
    batch = [delivered(1, a_cohort(), "cohort", "wuxi", Way("cohort"))]
    batch += [
        delivered(place, a_trainee(one), "trainee", one.enrolment, Way(f"trainee-{number}"))
        for place, (number, one) in enumerate(trainees.items(), 2)
    ]
    await database.run(lambda session: hear(session, batch))
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT correlation FROM outbox WHERE subject LIKE '%.certificate.%'"))
        assert sorted(row.correlation or "" for row in rows) == ["trainee-01", "trainee-02"]
