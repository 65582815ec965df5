"""The first cohort as a workbook, posted by its three offices: the same figures as from its events."""

import json
import re
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from python_calamine import load_workbook

from tests.e2e.conftest import EXAMPLE, ROOT, Program
from tests.e2e.test_program import eventually, totals
from tests.sheets import a_trainee, as_csv, as_xlsx

pytestmark = [pytest.mark.xdist_group("rosters"), pytest.mark.long]
ROSTER = ROOT / "examples/wuxi-2025/roster.xlsx"
IN_THE_ROSTER = {
    "trainee.proposed.v1",
    "trainee.enrolled.v1",
    "session.held.v1",
    "trainee.assessed.v1",
    "certificate.awarded.v1",
    "certificate.numbered.v1",
}
OFFICES = {"kh/dgtvet": "sending-office", "cn/wuxi-institute": "host-centre", "cn/wuxi-appraisal": "awarding-body"}

SHEETS = {"kh/dgtvet": (), "cn/wuxi-institute": ("--sheet", "attendance"), "cn/wuxi-appraisal": ()}
"""Two of the offices may say what was assessed; the awarding body does."""


@pytest.fixture(scope="module")
def program(own_program: Program) -> Program:
    return own_program


@pytest.fixture(scope="module")
def tokens(program: Program) -> dict[str, str]:
    """The tokens of the cohort's offices."""
    found = {}
    for office, role in OFFICES.items():
        body = {"office": f"/offices/{office}", "name": office, "roles": [role], "officer": "desk"}
        answer = httpx.post(f"{program.url('enrolment')}/v1/offices", json=body, headers=program.admin)
        found[office] = answer.raise_for_status().json()["token"]
    certification = f"{program.url('certification')}/v1/events"
    for token in found.values():
        bearer = {"Authorization": f"Bearer {token}"}
        eventually(
            lambda bearer=bearer: httpx.get(certification, headers=bearer).status_code == 200, "a token is unknown"
        )
    return found


def readmes_table() -> dict[tuple[str, ...], dict[str, float]]:
    """What the demo shows of the example's events, as the README has it."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(" trade "))
    names = re.split(r"\s{2,}", lines[start].strip())[3:]
    rows = [line.split() for line in lines[start + 1 : start + 7]]
    return {tuple(row[:3]): dict(zip(names, map(float, row[3:]), strict=True)) for row in rows}


def test_given_the_workbook_when_its_offices_post_it_then_the_figures_are_those_of_the_events(
    program: Program, tokens: dict[str, str], tmp_path: Path
) -> None:
    events = [json.loads(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    others = tmp_path / "cohort.ndjson"
    others.write_text("\n".join(json.dumps(event) for event in events if event["type"] not in IN_THE_ROSTER))
    assert program.run("post", others).returncode == 0
    tried = program.run("post", ROSTER, "--token", tokens["kh/dgtvet"], "--dry-run")
    assert "9 would be accepted. Nothing was taken." in tried.stdout
    assert totals(program)["enrolled"] == 0
    posted = {
        office: program.run("post", ROSTER, "--token", token, *SHEETS[office]) for office, token in tokens.items()
    }
    for ended in posted.values():
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "9 rows: 9 accepted." in posted["kh/dgtvet"].stdout
    assert "108 rows: 108 accepted." in posted["cn/wuxi-institute"].stdout
    assert "18 rows: 18 accepted." in posted["cn/wuxi-appraisal"].stdout
    eventually(lambda: totals(program)["certified"] == 9, "the report never showed nine certificates")
    by = [("by", name) for name in ("trade", "role", "sex")]
    answer = httpx.get(f"{program.url('reporting')}/v1/aggregates", params=by, headers=program.admin).json()
    found = {(row["trade"], row["role"], row["sex"]): row for row in answer["rows"] if row["enrolled"]}
    expected = readmes_table()
    assert found.keys() == expected.keys()
    for key, measures in expected.items():
        assert {name: found[key][name.replace(" ", "_")] for name in measures} == measures
    assert program.run("check").returncode == 0


def test_given_what_was_posted_when_another_form_of_it_comes_then_nothing_changes(
    program: Program, tokens: dict[str, str]
) -> None:
    for office, token in tokens.items():
        again = program.run("post", ROSTER.with_suffix(".ods"), "--token", token, *SHEETS[office])
        assert again.returncode == 0
        assert re.search(r"\d+ rows: \d+ duplicate\.", again.stdout), (office, again.stdout)


def test_given_a_row_that_is_not_right_when_it_is_posted_then_its_cell_is_named(
    program: Program, tokens: dict[str, str], tmp_path: Path
) -> None:
    lines = [a_trainee(f"10{number}", Cohort="wuxi-2025-spring") for number in range(4)]
    lines[3] |= {"Birth date": "2548-02-01", "National identity number": "1.2E+11"}
    roster, receipts = tmp_path / "list.csv", tmp_path / "receipts.xlsx"
    roster.write_bytes(as_csv(lines, "utf-8-sig", ";"))
    ended = program.run("post", roster, "--token", tokens["kh/dgtvet"], "--dry-run", "--receipts", receipts)
    assert ended.returncode == 1
    (line, more) = (
        line for line in ended.stdout.splitlines() if line.startswith(("list.csv", " list.csv")) and " 5 " in line
    )
    assert "buddhist_year" in line
    assert "Offered: 2005-02-01." in line
    assert "digits_lost" in more
    page = load_workbook(BytesIO(receipts.read_bytes())).get_sheet_by_index(0).to_python()
    assert [row[-3] for row in page] == ["Receipt", "accepted", "accepted", "accepted", "rejected"]
    assert "9 rows of" not in ended.stdout
    nobody = program.run("post", roster, "--token", tokens["cn/wuxi-appraisal"])
    assert nobody.returncode == 1
    assert "this sheet is for an office that is registered as sending-office" in nobody.stdout


def test_given_a_workbook_queued_without_a_server_when_a_courier_posts_it_twice_then_it_is_as_sent_directly(
    program: Program, tokens: dict[str, str], tmp_path: Path
) -> None:
    creds, bundle, roster = tmp_path / "desk.creds", tmp_path / "bundle.ndjson", tmp_path / "list.xlsx"
    made = program.run("office", "credentials", "kh/dgtvet", "--officer", "desk", "--file", creds)
    assert made.returncode == 0, made.stderr
    roster.write_bytes(as_xlsx(Trainees=[a_trainee("201", Cohort="wuxi-2025-spring"), a_trainee("202", Sex="x")]))
    nowhere = ("--server", "http://127.0.0.1:1")
    queued = program.run("post", roster, "--offline", bundle, "--credentials", creds, *nowhere)
    assert queued.returncode == 0, queued.stderr
    assert "1 rosters were added" in queued.stdout
    assert bundle.stat().st_mode & 0o077 == 0
    said = [program.run("post", bundle, "--token", tokens["cn/wuxi-institute"]).stdout for _ in range(2)]
    said.append(program.run("post", roster, "--token", tokens["kh/dgtvet"]).stdout)
    assert "list.xlsx: 2 rows: 1 accepted, 1 rejected." in said[0]
    assert all("list.xlsx: 2 rows: 1 duplicate, 1 rejected." in text for text in said[1:]), said
    tried = program.run("post", bundle, "--dry-run")
    assert "1 signed rosters would be sent" in tried.stdout


@pytest.mark.parametrize("name", ["list.xls", "list.xlsx"])
def test_given_a_file_that_is_no_roster_when_it_is_posted_then_one_sentence_says_so(
    program: Program, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b"PK not at all")
    ended = program.run("post", file)
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ended.stderr
