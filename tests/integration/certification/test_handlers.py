"""Given these posts and facts, when one more comes, then these receipts, facts and notices: on the real database."""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import text

from services.certification import check, queries
from services.certification.handlers import Handlers
from shared.checking import Checked, Findings, one_snapshot
from shared.database import Database
from shared.events.envelope import canonical
from shared.events.wire import Raw
from shared.lists import Paging
from tests.integration.certification.given import (
    ADMINISTRATOR,
    SECRET,
    a_cohort,
    a_trainee,
    an_office,
    caller,
    codes,
    fields,
    post,
    raws,
    tell,
)
from tests.unit.certification.given import (
    BODY,
    CENTRE,
    OTHER_BODY,
    SENDER,
    assessed,
    at,
    awarded,
    registered,
    revoked,
    trainee,
    voided,
)


async def rows(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as session:
        return list(await session.execute(text(statement)))


async def published(database: Database) -> list[tuple[str, int, dict[str, Any]]]:
    """Subject, revision and data of each fact, in order."""
    bodies = [
        (row.subject, json.loads(row.body)) for row in await rows(database, "SELECT * FROM outbox ORDER BY position")
    ]
    return [(subject, body["revision"], body["data"]) for subject, body in bodies]


async def notices(database: Database) -> list[tuple[str, str, str, int | None]]:
    """Subject, event, code and number of each receipt that goes out."""
    found = []
    for row in await rows(database, "SELECT * FROM notices ORDER BY id"):
        body = json.loads(row.body)
        assert body["service"] == "certification"
        found.append((row.subject, body["receipt"].get("id"), body["receipt"]["code"], body["receipt"].get("number")))
    return found


async def certificates(database: Database) -> list[dict[str, Any]]:
    found = await rows(database, "SELECT data FROM certificates ORDER BY data ->> 'trainee', data ->> 'edition'")
    return [row.data for row in found]


async def ready(database: Database) -> None:
    """The cohort, a trainee who has completed, and a scheme."""
    await tell(database, a_cohort(), a_trainee(trainee()))
    await post(database, registered("scheme", 1))


class TestTaking:
    async def test_receipts_show_the_end_of_the_whole_body(self, database: Database) -> None:
        await tell(database, a_cohort(), a_trainee(trainee()))
        receipts = await post(database, awarded("c", 14, printed="S-1"), registered("scheme", 1))
        assert [(one.place, one.status, one.code, one.number, one.type) for one in receipts.receipts] == [
            (1, "accepted", "applied", 1, "certificate.awarded.v1"),
            (2, "accepted", "applied", 1, "scheme.registered.v1"),
        ]
        assert receipts.position == {"CERTIFICATION": 2}
        scheme, certificate = await published(database)
        assert scheme[:2] == ("certification.scheme.vslc", 1)
        assert certificate[2]["status"] == "issued"
        assert certificate[0] == f"certification.certificate.kh.{certificate[2]['certificate']}"

    async def test_the_same_again_is_a_duplicate_with_what_it_is_by_now(self, database: Database) -> None:
        await post(database, registered("scheme", 1))
        await post(database, awarded("c", 14))
        await tell(database, a_cohort(), a_trainee(trainee()))
        again, twin = (await post(database, awarded("c", 14), awarded("c", 14))).receipts
        assert again.status == twin.status == "duplicate"
        assert again.current is not None
        assert (again.current.status, again.current.code, again.current.number) == ("accepted", "applied", 2)

    async def test_an_id_is_used_once_and_both_are_kept(self, database: Database) -> None:
        await ready(database)
        await post(database, awarded("c", 14))
        for _ in range(2):
            receipts = await post(database, awarded("c", 15), awarded("d", 16), awarded("d", 17))
        assert codes(receipts) == ["id_reused", "duplicate", "id_reused"]
        kept = await rows(database, "SELECT id, body FROM refused ORDER BY place")
        assert [(row.id, row.body["data"]["date"]) for row in kept] == [("c", "2025-04-15"), ("d", "2025-04-17")]
        assert (await certificates(database))[0]["awarded_on"] == "2025-04-14"

    async def test_source_and_role_must_fit_the_credential(self, database: Database) -> None:
        await ready(database)
        assert codes(await post(database, awarded("c", 14), by=caller(OTHER_BODY))) == ["source_not_yours"]
        assert codes(await post(database, awarded("c", 14, source=CENTRE), by=caller(CENTRE))) == ["role_not_allowed"]
        assert codes(await post(database, assessed("a", 14), by=caller(CENTRE))) == ["applied"]
        mine = assessed("a", 14)
        assert codes(await post(database, voided("v", 15, mine), by=caller(CENTRE))) == ["applied"]
        assert await rows(database, "SELECT DISTINCT postedby FROM events WHERE source LIKE '%institute'") == [
            ("/offices/cn/institute#officer",)
        ]

    async def test_an_administrator_posts_for_anyone(self, database: Database) -> None:
        await post(database, registered("scheme", 1), by=ADMINISTRATOR)
        assert await rows(database, "SELECT postedby FROM events") == [("administrator",)]

    async def test_bad_events_leave_their_neighbours_alone(self, database: Database) -> None:
        await ready(database)
        huge = fields(registered("huge", 1, code="huge"))
        [occupation, *_] = huge["data"]["occupations"]
        huge["data"]["occupations"] = [occupation | {"occupation": f"o-{number}"} for number in range(5000)]
        bodies = [
            {},
            fields(awarded("c", 14), type="trainee.enrolled.v1"),
            fields(awarded("c", 14), type="certificate.awarded.v9"),
            fields(awarded("c", 14), time="2025-04-14T09:00:00"),
            fields(awarded("c", 14), time="2568-04-14T09:00:00+07:00"),
            fields(awarded("c", 14), id="Not A Code"),
            fields(awarded("c", 14)) | {"data": {"name": "Sok Dara"}},
            huge,
            fields(awarded("c", 14)),
        ]
        raw = [Raw(place, body) for place, body in enumerate(bodies, start=1)]
        receipts = await Handlers(database, SECRET, "http://enrolment.example").take(raw, ADMINISTRATOR)
        assert codes(receipts) == [
            "invalid_envelope",
            "wrong_service",
            "unknown_version",
            "missing_offset",
            "date_impossible",
            "invalid_code",
            "invalid_data",
            "event_too_large",
            "applied",
        ]
        assert "http://enrolment.example/v1/events" in receipts.receipts[1].sentence
        assert "Sok" not in receipts.model_dump_json()

    async def test_what_certification_does_not_know_is_not_kept(self, database: Database) -> None:
        await ready(database)
        written = fields(awarded("c", 14), subject="Sok Dara")
        written["data"]["holder"] = "Sok Dara"
        await Handlers(database, SECRET, "").take([Raw(1, written)], caller(BODY))
        assert codes(await Handlers(database, SECRET, "").take([Raw(1, written)], caller(BODY))) == ["duplicate"]
        assert codes(await post(database, awarded("c", 14))) == ["id_reused"]
        for table in ("events", "receipts", "refused", "certificates", "outbox", "things", "notices"):
            found = await rows(database, f"SELECT t::text AS line FROM {table} t")  # noqa: S608
            assert not any("Sok" in row.line for row in found)
        (stored,) = await rows(database, "SELECT digest FROM events WHERE id = 'c'")
        # Whoever has the database, and not the key, cannot try names until one fits.
        assert stored.digest != hashlib.sha256(canonical(written)).digest()

    async def test_a_body_larger_than_the_drivers_limit_of_parameters(self, database: Database) -> None:
        people = [trainee(f"{number:04}") for number in range(1, 401)]
        await tell(database, a_cohort(), *(a_trainee(person) for person in people))
        events = [registered("scheme", 1)]
        for person in people:
            events += [
                assessed(f"a{person.number}", 11, number=person.number),
                awarded(f"c{person.number}", 14, person.number),
            ]
        receipts = await post(database, *events)
        assert set(codes(receipts)) == {"applied"}
        assert receipts.position == {"CERTIFICATION": 401}


class TestChanges:
    async def test_a_later_change_of_a_receipt_is_numbered_kept_and_announced(self, database: Database) -> None:
        await post(database, registered("scheme", 1))
        await post(database, awarded("c", 14))
        await tell(database, a_trainee(trainee(completion="none")))
        await tell(database, a_cohort())
        await tell(database, a_trainee(trainee(), revision=2))
        assert await notices(database) == [
            ("receipts.cn.appraisal", "c", "cohort_unknown", 2),
            ("receipts.cn.appraisal", "c", "completion_missing", 3),
            ("receipts.cn.appraisal", "c", "applied", 4),
        ]
        async with database.transaction() as session:
            event = await queries.event(session, caller(BODY), BODY, "c")
        assert event is not None
        assert [(one.number, one.code) for one in event.receipts] == [
            (1, "enrolment_unknown"),
            (2, "cohort_unknown"),
            (3, "completion_missing"),
            (4, "applied"),
        ]

    async def test_a_scheme_wakes_what_waits_for_it(self, database: Database) -> None:
        await tell(database, a_cohort(), a_trainee(trainee()))
        await post(database, awarded("c", 14))
        await post(database, registered("scheme", 1))
        assert await notices(database) == [("receipts.cn.appraisal", "c", "applied", 2)]
        await post(database, voided("v", 2, registered("scheme", 1)))
        assert [fact["status"] for fact in await certificates(database)] == ["void"]
        assert [data["status"] for _, _, data in await published(database)] == ["registered", "issued", "void", "void"]

    async def test_a_new_party_settles_a_conflict(self, database: Database) -> None:
        await tell(database, a_cohort(parties=[{"office": SENDER, "role": "sending-office"}]), a_trainee(trainee()))
        assert codes(await post(database, registered("scheme", 1), awarded("c", 14))) == ["applied", "not_a_party"]
        await tell(database, a_cohort(revision=2))
        assert (await notices(database))[-1] == ("receipts.cn.appraisal", "c", "applied", 2)

    async def test_who_leaves_the_cohort_does_not_take_along_what_was_said(self, database: Database) -> None:
        await ready(database)
        await post(database, awarded("c", 14), awarded("d", 16, more={"level": "senior"}))
        left = [{"office": BODY, "role": "awarding-body", "until": at(15).isoformat()}]
        parties = [{"office": SENDER, "role": "sending-office"}]
        await tell(database, a_cohort(revision=2, parties=parties, former_parties=left))
        assert [(id_, code) for _, id_, code, _ in await notices(database)] == [("d", "not_a_party")]

    async def test_persons_found_to_be_one_and_parted_again(self, database: Database) -> None:
        one, two = trainee("001"), trainee("002")
        await tell(database, a_cohort(), a_trainee(one), a_trainee(two))
        await post(database, registered("scheme", 1), awarded("c", 14), awarded("d", 15, "002"))
        await tell(database, a_trainee(two, 2, person=one.person))
        assert [fact["status"] for fact in await certificates(database)] == ["issued", "void"]
        await tell(database, a_trainee(two, 3))
        assert [(fact["status"], fact["person"]) for fact in await certificates(database)] == [
            ("issued", "person-001"),
            ("issued", "person-002"),
        ]
        assert [(id_, code) for _, id_, code, _ in await notices(database)] == [
            ("d", "already_certified"),
            ("d", "applied"),
        ]

    async def test_whoever_turns_out_to_be_another_frees_the_place(self, database: Database) -> None:
        one, two = trainee("001"), trainee("002", person="person-001")
        await tell(database, a_cohort(), a_trainee(one), a_trainee(two))
        receipts = await post(database, registered("scheme", 1), awarded("c", 14), awarded("d", 15, "002"))
        assert codes(receipts) == ["applied", "applied", "already_certified"]
        await tell(database, a_trainee(one, 2, person="person-007"))
        assert await notices(database) == [("receipts.cn.appraisal", "d", "applied", 2)]

    async def test_a_void_trainee_is_as_if_never_told(self, database: Database) -> None:
        one, two = trainee("001"), trainee("002", person="person-001")
        await tell(database, a_cohort(), a_trainee(one), a_trainee(two))
        await post(database, registered("scheme", 1), awarded("c", 14), awarded("d", 15, "002"))
        await tell(database, a_trainee(one, 3, status="void"))
        await tell(database, a_trainee(one, 2))
        assert [(id_, code) for _, id_, code, _ in await notices(database)] == [
            ("c", "enrolment_unknown"),
            ("d", "applied"),
        ]
        assert [fact["status"] for fact in await certificates(database)] == ["void", "issued"]
        await tell(database, a_trainee(one, 4))
        assert [fact["status"] for fact in await certificates(database)] == ["issued", "void"]

    async def test_a_void_cohort_is_as_if_never_told(self, database: Database) -> None:
        await ready(database)
        await post(database, awarded("c", 14))
        await tell(database, a_cohort(revision=2, status="void"))
        assert await notices(database) == [("receipts.cn.appraisal", "c", "cohort_unknown", 2)]
        assert [fact["status"] for fact in await certificates(database)] == ["void"]

    async def test_old_facts_change_nothing(self, database: Database) -> None:
        await ready(database)
        await tell(database, a_trainee(trainee(), revision=5))
        await post(database, awarded("c", 14))
        await tell(database, a_trainee(trainee(completion="none"), revision=4), a_trainee(trainee(), revision=5))
        assert [fact["status"] for fact in await certificates(database)] == ["issued"]
        assert await notices(database) == []

    async def test_a_fact_says_which_event_is_behind_it(self, database: Database) -> None:
        await ready(database)
        award = awarded("c", 14)
        await post(database, award)
        gone = trainee(completion="withdrawn", completion_withdrawn_at=at(20))
        await tell(database, a_trainee(gone, revision=2))
        await post(database, voided("v", 21, award))
        bodies = [json.loads(row.body) for row in await rows(database, "SELECT body FROM outbox ORDER BY position")]
        assert [(body["data"]["status"], body["cause"]) for body in bodies] == [
            ("registered", "/offices/cn/appraisal/scheme"),
            ("issued", "/offices/cn/appraisal/c"),
            ("suspended", "/offices/kh/ntti/told-001-2"),
            ("void", "/offices/cn/appraisal/v"),
        ]

    async def test_the_same_number_far_apart(self, database: Database) -> None:
        await tell(database, a_cohort(), a_trainee(trainee("001")), a_trainee(trainee("002")))
        first = awarded("c", 14, printed="S-1")
        await post(database, registered("scheme", 1), first)
        assert codes(await post(database, awarded("d", 15, "002", printed="S-1"))) == ["number_taken"]
        await post(database, revoked("r", 16), voided("v", 17, first))
        assert [fact["status"] for fact in await certificates(database)] == ["void", "issued"]


class TestMessages:
    async def test_the_office_is_the_subjects(self, database: Database) -> None:
        await ready(database)
        await tell(database, an_office(BODY, "t"), an_office(CENTRE, "t2", status="revoked"))
        handlers = Handlers(database, SECRET, "")
        award = json.dumps(fields(awarded("c", 14))).encode()
        await handlers.take_messages(
            [
                ("intake.certification.cn.appraisal", award),
                ("intake.certification.kh.skills-board", award),
                ("intake.certification.cn.appraisal", json.dumps([fields(assessed("a", 11))]).encode()),
                ("intake.certification.cn.appraisal", b"{"),
                ("intake.certification.cn.institute", award),
            ]
        )
        assert sorted(await notices(database), key=str) == sorted(
            [
                ("receipts.cn.appraisal", None, "invalid_json", None),
                ("receipts.cn.appraisal", "c", "applied", 1),
                ("receipts.kh.skills-board", "c", "office_unknown", None),
                ("receipts.cn.appraisal", "a", "source_not_yours", None),
                ("receipts.cn.institute", "c", "office_unknown", None),
            ],
            key=str,
        )

    async def test_a_message_twice_is_a_duplicate(self, database: Database) -> None:
        await ready(database)
        await tell(database, an_office(BODY, "t"))
        message = ("intake.certification.cn.appraisal", json.dumps(fields(awarded("c", 14))).encode())
        await Handlers(database, SECRET, "").take_messages([message, message])
        await Handlers(database, SECRET, "").take_messages([message])
        assert [code for _, _, code, _ in await notices(database)] == ["applied", "duplicate", "duplicate"]
        assert len(await certificates(database)) == 1


async def test_events_are_listed_in_the_order_of_recording(database: Database) -> None:
    await ready(database)
    await Handlers(database, SECRET, "").take(
        raws(*(awarded(f"c{number}", 14, f"{number:03}") for number in range(7))), ADMINISTRATOR
    )
    seen: list[str] = []
    after = None
    async with database.transaction() as session:
        while True:
            page = await queries.events(session, caller(BODY), Paging(limit=3, after=after), None)
            seen += [one.id for one in page.items]
            after = page.next
            if after is None:
                break
    assert seen == ["scheme", *(f"c{number}" for number in range(7))]


async def changed(database: Database, how: str) -> None:
    async with database.transaction() as session:
        await session.execute(text(f"UPDATE events SET {how}"))  # noqa: S608


async def test_a_check_compares_every_event_once_however_few_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given events of two trainees and of none, in turns
    await tell(database, a_cohort(), a_trainee(trainee("001")), a_trainee(trainee("002")))
    events = [
        registered("scheme", 1),
        assessed("pass", 10),
        assessed("other", 10, number="002"),
        awarded("a", 12, "001"),
    ]
    events += [awarded("b", 12, "002"), voided("void", 20, events[2])]
    for event in events:
        await post(database, event)
    monkeypatch.setattr(check, "EVENTS", 1)
    monkeypatch.setattr(check, "ENROLMENTS", 1)

    async def compared() -> Checked:
        findings = Findings()
        async with database.transaction() as session:
            await one_snapshot(session)
            await check.compare_decided(session, findings)
        return findings.result()

    # when nothing was touched, nothing differs
    assert (await compared()).differences == []
    assert (await compared()).compared["events"] == len(events)
    # when one event's standing was, that one does, and no other event
    for event in events:
        await changed(database, f"code = code || 'x' WHERE id = '{event.id}'")
        found = [difference.which for difference in (await compared()).differences if difference.what == "event"]
        assert found == [f"{event.source}/{event.id}"]
        await changed(database, f"code = rtrim(code, 'x') WHERE id = '{event.id}'")
