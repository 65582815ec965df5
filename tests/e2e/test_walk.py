"""The walk of docs/walk.md, in a cohort of its own: nine papers, one revoked, one with a new name, one recognition."""

import io
import json
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.client import Client
from tests.e2e.conftest import EXAMPLE, ROOT, Program, on_this_machine

pytestmark = [on_this_machine, pytest.mark.xdist_group("e2e"), pytest.mark.timeout(600)]
ITS_OWN = "wuxi-2025-walk"
ANOTHER = {
    "wuxi-2025-spring": ITS_OWN,
    '"00000000': '"90000000',  # national numbers: other people
    "-INV-": "-WALK-",  # the centres' numbers
    "S0000320200": "S0000320299",  # the certificates'
}
SECONDS = 60


def eventually(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + SECONDS
        time.sleep(0.02)  # polls with a deadline
    return time.monotonic() - began


class Walk:
    """What somebody does who follows the page, with what they see."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.root = program.url("certification")

    def post(self, file: Path) -> None:
        """A file of the example, as it would be of another cohort's people; what is said of no cohort is said already."""
        content = file.read_text()
        for before, after in ANOTHER.items():
            content = content.replace(before, after)
        events = [json.loads(line) for line in content.splitlines()]
        own = self.folder / file.name
        own.write_text(
            "".join(
                json.dumps(event | {"id": f"walk-{event['id']}"}) + "\n"
                for event in events
                if {"cohort", "framework"} & event["data"].keys()
            )
        )
        self.program.post(own)

    def certificates(self) -> dict[str, dict[str, Any]]:
        """Those with something public, by trainee and edition."""
        with Client(self.program.url("enrolment"), self.program.token) as client:
            found = list(client.every("certification", "/v1/certificates", [("cohort", ITS_OWN)]))
        return {f"{one['trainee']}/{one['edition']}": one for one in found if one["attestation"]}

    def page(self, which: str, country: str = "") -> str:
        public_id = self.certificates()[which]["attestation"]["public_id"]
        return httpx.get(f"{self.root}/c/{public_id}", params={"in": country} if country else None).text

    def papers(self) -> dict[str, bytes]:
        answer = httpx.get(f"{self.root}/v1/cohorts/{ITS_OWN}/documents.zip", headers=self.program.admin, timeout=120)
        with zipfile.ZipFile(io.BytesIO(answer.raise_for_status().content)) as packed:
            return {name.split("_")[1]: packed.read(name) for name in packed.namelist()}

    def verdict(self, content: bytes) -> str:
        """With keys and lists that are fetched anew, and nothing asked afterwards."""
        file = self.folder / "paper.pdf"
        file.write_bytes(content)
        trust = ("--trust", self.folder / "trust")
        assert self.program.run("trust", self.root, *trust).returncode == 0
        return self.program.run("verify", file, *trust).stdout.partition(":")[0]

    def figures(self) -> tuple[int, int]:
        reported = self.program.run("report", "--format", "json", "--where", f"cohort={ITS_OWN}")
        totals = json.loads(reported.stdout)["totals"]
        return totals["certified"], totals["revoked"]


@pytest.fixture(scope="module")
def walk(example: Program, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    made = Walk(example, tmp_path_factory.mktemp("walk"))
    made.post(EXAMPLE)
    eventually(lambda: len(made.certificates()) == 9)
    return made


@pytest.mark.long
def test_the_whole_way(walk: Walk) -> None:
    papers, example = walk.papers(), EXAMPLE.parent
    assert len(papers) == 9
    assert all("This certificate is valid" in walk.page(f"{number}/1") for number in papers)
    assert walk.verdict(papers["003"]) == "VALID"
    assert walk.figures() == (9, 0)

    walk.post(example / "one-revoked.ndjson")
    assert eventually(lambda: walk.figures() == (9, 1)) < 10, "a second on a machine that does nothing else"
    eventually(lambda: "This certificate was revoked" in walk.page("003/1"))
    assert walk.verdict(papers["003"]) == "REVOKED"

    walk.post(example / "one-with-a-new-name.ndjson")
    eventually(lambda: "001/2" in walk.certificates())
    assert "replaced by a newer one" in walk.page("001/1")
    assert "This certificate is valid" in walk.page("001/2")
    assert (walk.verdict(papers["001"]), walk.verdict(papers["002"])) == ("SUPERSEDED", "VALID")
    assert walk.figures() == (9, 1), "she is counted once"

    walk.post(example / "recognised.ndjson")
    eventually(lambda: "no authority has decided this" in walk.page("002/1", "LA"))
    assert "no recognition is recorded" in walk.page("002/1", "KH")


def test_the_page_names_the_files_that_there_are() -> None:
    page = (ROOT / "docs" / "walk.md").read_text()
    named = re.findall(r"examples/\S+\.ndjson", page)
    assert len(set(named)) == 4
    assert all((ROOT / name).exists() for name in named)
