"""Figures in the forms that others read, each read by a reader that is not ours."""

import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.reporting import ledger
from services.reporting.formats import sdmx as sdmx_form
from services.reporting.rates import RATES
from services.reporting.subscribers import subscribe
from shared.bus import Bus
from shared.credentials import Keys
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.delivery import Delivery
from shared.events.certification import SchemeFact
from shared.events.codes import Model
from shared.events.enrolment import CentreFact, ProgrammeFact
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_trainee, known, wire

QUESTION = "measure=enrolled,certified,training_hours&by=sending_centre,sex"
PROGRAMME: dict[str, Any] = {
    "programme": "ilo-china",
    "titles": {"en": "Skills partnership", "zh-Hans": "技能开发伙伴关系"},
    "countries": ["KH", "CN"],
    "donor": "A donor & others",
    "trades": [{"trade": "electrical", "titles": {"en": "Electricity", "km": "អគ្គិសនី"}, "isco": "7411"}],
    "periods": [
        {"period": "2025-h1", "starts_on": "2025-01-01", "ends_on": "2025-06-30"},
        {"period": "2025-h2", "starts_on": "2025-07-01", "ends_on": "2025-12-31"},
    ],
    "targets": [{"indicator": "enrolled", "period": "2025-h1", "value": 9}],
}
REGISTERED: list[Model] = [
    ProgrammeFact.model_validate({**PROGRAMME, "status": "registered"}),
    CentreFact(
        centre="ntti",
        names={"en": "=1+1", "km": "វិទ្យាស្ថាន"},
        country="KH",
        kind="training-institute",
        status="registered",
    ),
    SchemeFact.model_validate(
        {
            "scheme": "cn-vslc",
            "titles": {"en": "Levels", "zh": "等级"},
            "awarding_body": {"en": "A body"},
            "occupations": [{"occupation": "6-31-01-03", "titles": {"en": "Electrician"}, "isco": "7411"}],
            "levels": [{"level": "senior", "titles": {"en": "Senior worker", "zh-Hans": "高级工"}}],
            "rule": "on_pass",
            "completion_required": True,
            "office": "/offices/cn/body",
            "status": "registered",
        }
    ),
]


@pytest.fixture
async def asking(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    await hear(database, [*a_history(), *map(known, REGISTERED)])
    return client


async def get(client: httpx.AsyncClient, question: str, **headers: str) -> httpx.Response:
    answer = await client.get(f"/v1/aggregates?{question}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_name_in_a_dead_letter_is_told_once_it_is_replayed(
    asking: httpx.AsyncClient, database: Database
) -> None:
    """Given an answer that names a centre, when a dead letter with its newer name is replayed, which moves no figure and no
    position, then who holds the answer is given another."""
    credentials = Keys.new().service_credentials("reporting")
    letters = DeadLetters("reporting", bytes(32))
    bus = Bus("reporting", database, letters, url="nats://127.0.0.1:1", credentials=credentials)
    subscribe(bus)
    question = f"{QUESTION}&format=csv&lang=en"
    before = await get(asking, question)
    centre = CentreFact(
        centre="ntti", names={"en": "Newer"}, country="KH", kind="training-institute", status="registered"
    )

    await bus.replay(Delivery("enrolment.centre.kh.ntti", wire(known(centre, 2)), "ENROLMENT", 1, 1, {}))

    after = await get(asking, question, **{"If-None-Match": before.headers["etag"]})
    assert "Newer" not in before.text
    assert "Newer" in after.text
    await hear(database, [known(a_trainee("77"))])
    async with database.transaction() as session:
        assert (await ledger.last_step(session)).number == 3, "a step that is left out is none that anybody heard of"
    moved = await get(asking, "measure=enrolled&as_of=2026-01")
    assert moved.json()["totals"] == {"enrolled": 11}


async def rows(client: httpx.AsyncClient, question: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await get(client, question)).json()["rows"]
    return found


async def test_csv_as_duckdb_reads_it(asking: httpx.AsyncClient, tmp_path: Path) -> None:
    import duckdb

    answer = await get(asking, QUESTION, Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    file = tmp_path / "figures.csv"
    file.write_bytes(answer.content)
    read = duckdb.read_csv(str(file))
    held = await rows(asking, QUESTION)
    assert [dict(zip(read.columns, line, strict=True)) for line in read.fetchall()] == held
    assert str(read.types[read.columns.index("training_hours")]) == "DOUBLE"


async def test_a_workbook_as_openpyxl_reads_it(asking: httpx.AsyncClient) -> None:
    import openpyxl

    answer = await get(asking, f"{QUESTION}&format=xlsx&lang=en&programme=ilo-china&from=2025-01")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == ["Figures", "Codes", "Method"]
    head, *lines = book["Figures"].iter_rows(values_only=True)
    assert head == ("sending_centre", "sending_centre_title", "sex", "enrolled", "certified", "training_hours")
    held = await rows(asking, f"{QUESTION}&programme=ilo-china&from=2025-01")
    assert [(line[0], line[2], *line[3:]) for line in lines] == [tuple(row.values()) for row in held]
    titled = [cell for (cell,) in book["Figures"].iter_rows(min_col=2, max_col=2, min_row=2) if cell.value == "=1+1"]
    assert titled
    assert {cell.data_type for cell in titled} == {"s"}  # "f" were a formula
    codes = {line[1]: line for line in book["Codes"].iter_rows(values_only=True)}
    assert codes["ntti"] == ("sending_centre", "ntti", "=1+1", "វិទ្យាស្ថាន", "=1+1", "=1+1", "=1+1")
    method = dict(book["Method"].iter_rows(values_only=True))
    assert method["Only programme"] == "ilo-china"
    assert method["Only from"] == "2025-01"
    assert method["certified"].startswith("Trainees awarded a certificate")


async def test_the_same_figures_are_the_same_workbook(asking: httpx.AsyncClient) -> None:
    first, again = [await get(asking, f"{QUESTION}&format=xlsx") for _ in range(2)]
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"] != (await get(asking, QUESTION)).headers["etag"]


async def test_sdmx_as_sdmx1_reads_it(asking: httpx.AsyncClient) -> None:
    import sdmx
    from sdmx.model.v30 import DataStructureDefinition

    structure = DataStructureDefinition(id="SKILLS")
    for name in sdmx_form.DIMENSIONS_IN_ORDER:
        structure.dimensions.getdefault(name)
    for name in sdmx_form.ATTRIBUTES:
        structure.attributes.getdefault(name)
    structure.measures.getdefault("OBS_VALUE")

    answer = await get(asking, "measure=enrolled,certified&by=sex&country=KH&format=sdmx")
    message = sdmx.read_sdmx(io.BytesIO(answer.content), format="csv", structure=structure)

    (data,) = message.data
    enrolled = defaultdict(int)
    for observation in data.obs:
        key = {name: value.value for name, value in observation.dimension.values.items()}
        assert key["REF_AREA"] == "KH"
        if key["INDICATOR"] == "ENROLLED":
            enrolled[key["SEX"], key["TIME_PERIOD"]] += int(observation.value)
    assert sum(enrolled.values()) == 10
    assert enrolled["F", "2025-06"] == 1


async def test_iati_as_its_own_schema_reads_it(asking: httpx.AsyncClient) -> None:
    from okfn_iati.iati_schema_validator import IatiValidator  # loads pandas

    answer = await get(asking, "measure=enrolled,learners_reached&by=sex&format=iati")
    valid, problems = IatiValidator().validate_xml(answer.text.partition("?>")[2].strip())
    assert valid, problems
    assert "<title>\n      <narrative>Skills partnership</narrative>" in answer.text
    assert "A donor &amp; others" in answer.text
    assert '<target value="9" />' in answer.text
    assert '<actual value="10" />' in answer.text
    assert '<actual value="4">\n            <dimension name="sex" value="female" />' in answer.text


@pytest.mark.parametrize("form", ["iati", "csv", "xlsx", "sdmx"])
async def test_what_a_rate_leaves_out_is_written_in_every_form(asking: httpx.AsyncClient, form: str) -> None:
    answer = await get(asking, f"measure=enrolled,completed_outside&format={form}&lang=en")
    assert answer.status_code == 200, answer.text


async def test_dhis2_by_a_mapping_of_the_callers_own(asking: httpx.AsyncClient) -> None:
    ids = {
        "org_unit": "country",
        "org_units": {"KH": "DiszpKrYNg8"},
        "period": "six-monthly",
        "elements": [
            {
                "measure": "enrolled",
                "id": "fbfJHSPpUQD",
                "by": ["sex"],
                "combos": {"F": "pq2XI5kz2BY", "M": "PT59n8BQbqM"},
            }
        ],
    }
    answer = await asking.post("/v1/dhis2?from=2025-01&to=2025-12", json=ids)
    assert answer.status_code == 200, answer.text
    assert [value["value"] for value in answer.json()["dataValues"]] == ["4", "6", "0", "0"]
    lacking = await asking.post("/v1/dhis2?from=2025-01&to=2025-12", json={**ids, "org_units": {"LA": "DiszpKrYNg8"}})
    assert (lacking.status_code, lacking.json()["code"]) == (400, "not_in_this_format")
    assert "country KH" in lacking.json()["message"]
    for slip, allowed in (({"measure": "enroled"}, "enrolled"), ({"by": ["gender"]}, "sex")):
        unknown = await asking.post("/v1/dhis2", json={**ids, "elements": [{**ids["elements"][0], **slip}]})
        assert unknown.status_code == 400
        assert unknown.json()["message"].startswith("elements.0: there is no")
        assert allowed in unknown.json()["message"]


async def test_dhis2_is_sent_no_more_than_an_answer_may_have(asking: httpx.AsyncClient) -> None:
    elements = [{"measure": "enrolled", "id": "fbfJHSPpUQD"}] * 1000
    units = {f"c{number}": "DiszpKrYNg8" for number in range(300)}
    ids = {"org_unit": "cohort", "org_units": units, "elements": elements}
    answer = await asking.post("/v1/dhis2?from=1900-01&to=2199-12", json=ids)
    assert (answer.status_code, answer.json()["code"]) == (400, "not_in_this_format")
    assert "at most 200,000" in answer.json()["message"]


@pytest.mark.parametrize(
    ("question", "code", "told"),
    [
        ("format=pdf", "unknown_format", "json, csv, xlsx, sdmx, dhis2, iati"),
        ("format=csv&lang=fr", "unknown_language", "en, km, lo, my, zh-Hans"),
        ("format=dhis2", "not_in_this_format", "--mapping"),
        ("format=csv&measure=x", "unknown_measure", "enrolled"),
    ],
)
async def test_what_cannot_be_asked_is_told_what_can(
    client: httpx.AsyncClient, question: str, code: str, told: str
) -> None:
    answer = await client.get(f"/v1/aggregates?{question}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert told in answer.json()["message"]


async def test_codes_in_five_languages(asking: httpx.AsyncClient, database: Database) -> None:
    answer = (await asking.get("/v1/codes")).json()
    assert [one["code"] for one in answer["programmes"]] == ["ilo-china"]
    electrical = next(one for one in answer["trades"] if one["code"] == "electrical")
    assert electrical["titles"] == {
        "en": "Electricity",
        "km": "អគ្គិសនី",
        "lo": "Electricity",
        "my": "Electricity",
        "zh-Hans": "Electricity",
    }
    assert electrical["lacking"] == ["lo", "my", "zh-Hans"]
    assert electrical["isco"] == "7411"
    (scheme,) = answer["schemes"]
    assert scheme["titles"]["zh-Hans"] == "等级"
    assert scheme["lacking"] == ["km", "lo", "my"]
    assert scheme["levels"][0]["titles"]["zh-Hans"] == "高级工"
    assert {one["code"] for one in answer["centres"]} == {"ntti", "wit"}
    assert next(one for one in answer["centres"] if one["code"] == "wit")["titles"]["km"] == "wit"

    void = ProgrammeFact.model_validate({**PROGRAMME, "status": "void"})
    await hear(database, [known(void, revision=2)])
    assert (await asking.get("/v1/codes")).json()["programmes"] == []


async def test_every_indicator_is_answered_and_no_goal_is_claimed(asking: httpx.AsyncClient) -> None:
    indicators = (await asking.get("/v1/indicators")).json()
    for one in indicators:
        answer = (await asking.get(one["answered_by"])).json()
        assert answer["measures"] == [one["rate"] or one["measure"]]
        assert (one["kind"] == "rate") == (one["rate"] in RATES)
        assert set(answer["basis"].values()) == {"cohort" if one["rate"] else "event"}
        if one["frameworks"] == ["SDG"]:
            assert one["kind"] == "count"
            assert one["title"].startswith(f"Contribution to SDG {one['contributes_to']}")
            assert "not the" in one["definition"]
    by_code = {one["indicator"]: one for one in indicators}
    teachers = (await asking.get(by_code["teachers-trained"]["answered_by"])).json()
    assert teachers["totals"] == {"completed": 3}
