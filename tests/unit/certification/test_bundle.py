"""A cohort's papers in one file, while some of them cannot be opened just now."""

import io
import zipfile
from typing import Any, cast

import pytest

from services.certification import printing
from services.certification.documents_api import file_name
from services.certification.printing import Printable, Printing
from shared.events.certification import CertificateFact
from shared.http import Problem


class Press(Printing):
    """Opens a document only at the third time, and sets no type: what is looked at is the bundle."""

    def __init__(self, status: int, times: int) -> None:
        self.status = status
        self.times = times

    async def open(self, certificate: str) -> Printable:
        if certificate == "second" and self.times > 0:
            self.times -= 1
            raise Problem(self.status, "not_now", "It cannot be opened.")
        return cast("Any", certificate)

    async def pdf(self, printable: Printable) -> bytes:
        return f"page of {printable}".encode()


async def bundled(press: Press) -> dict[str, bytes]:
    content = b"".join([part async for part in press.bundle([(one, f"{one}.pdf") for one in ("first", "second")])])
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


async def test_a_document_that_is_being_signed_anew_is_waited_for() -> None:
    assert await bundled(Press(503, times=2)) == {"first.pdf": b"page of first", "second.pdf": b"page of second"}


async def test_one_that_never_comes_breaks_the_file_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "SOON_SECONDS", 0.0)
    with pytest.raises(Problem):
        await bundled(Press(503, times=1000))


async def test_one_that_nobody_can_open_any_more_is_left_out_and_said() -> None:
    assert await bundled(Press(410, times=1)) == {
        "first.pdf": b"page of first",
        "left-out.txt": b"second.pdf: It cannot be opened.\n",
    }


def test_no_two_documents_have_one_name() -> None:
    facts = [
        certificate(**changes) for changes in ({}, {"scheme": "b"}, {"trainee": "1-2", "scheme": "a"}, {"edition": 2})
    ]
    facts += [certificate(trainee="1", scheme="2-a")]

    assert len({file_name(fact) for fact in facts}) == len(facts)


def certificate(**changes: Any) -> CertificateFact:
    said = {
        "certificate": "c",
        "enrolment": "e",
        "cohort": "c1",
        "trainee": "1",
        "person": "p",
        "country": "KH",
        "scheme": "a",
        "occupation": "o",
        "level": "l",
        "edition": 1,
        "status": "issued",
        "awarded_on": "2026-01-01",
        "valid_until": None,
        "attempts": [],
    }
    return CertificateFact.model_validate(said | changes)
