"""From the example of Wuxi: nine attested certificates, one revoked in front of your eyes, one replaced after a name change."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.client import Client
from services.upkeep import check
from shared.vc.keys import from_multikey
from shared.vc.trust import Trust
from shared.vc.verdict import judge
from tests import outsiders
from tests.credentials import misshapen
from tests.e2e.conftest import Program, on_this_machine

pytestmark = [on_this_machine, pytest.mark.xdist_group("e2e")]
BODY, SENDER = "/offices/cn/wuxi-appraisal", "/offices/kh/dgtvet"


class Wuxi:
    """The example, posted to a running Sampan, and what anybody may ask of it."""

    def __init__(self, program: Program, administrator: Client) -> None:
        self.administrator = administrator
        self.program = program
        self.public = httpx.Client(base_url=program.url("certification"))
        self.admin = program.admin

    def attested(self) -> dict[str, dict[str, Any]]:
        """The certificates with something public, by trainee and edition."""
        found = self.administrator.every("certification", "/v1/certificates", [("cohort", "wuxi-2025-spring")])
        return {f"{one['trainee']}/{one['edition']}": one for one in found if one["attestation"]}

    def standing(self, public_id: str) -> str:
        return str(self.public.get(f"/v1/credentials/{public_id}/standing").json()["status"])

    def document(self, public_id: str, form: str = "") -> bytes:
        answer = self.public.get(f"/v1/credentials/{public_id}{form}", headers=self.admin)
        assert answer.status_code == 200, answer.text
        return answer.content

    def trust(self) -> Trust:
        """What a stranger gets from the issuer's own address."""
        trust = Trust().with_issuer(self.public.get("/.well-known/did.json").content)
        for path in ("/v1/status/1", "/v1/status/1/reasons"):
            trust = trust.with_list(self.public.get(path).content)
        return trust

    def verdict(self, document: bytes) -> str:
        return judge(document, self.trust(), datetime.now(UTC)).word

    def others(self, *documents: bytes) -> list[dict[str, Any]]:
        """What verifiers that were not written here say, given what the issuer's own addresses give to anybody."""
        keys = self.public.get("/.well-known/did.json").json()
        lists = [self.public.get("/v1/status/1").json()]
        known = {keys["id"]: keys} | {one["id"]: one for one in lists}
        newest = from_multikey(keys["verificationMethod"][-1]["publicKeyMultibase"])
        return outsiders.asked(
            *(
                {"credential": json.loads(one), "documents": known}
                if one.startswith(b"{")
                else {"token": one.decode(), "jwk": outsiders.jwk(newest)}
                for one in documents
            )
        )

    def post(self, kind: str, source: str, hour: int = 9, **data: Any) -> None:
        event = {
            "specversion": "1.0",
            "id": f"{kind.replace('.', '-')}-{data['number']}",
            "source": source,
            "type": f"{kind}.v1",
        }
        event |= {"time": f"2025-06-02T{hour:02}:00:00+08:00", "data": {"cohort": "wuxi-2025-spring", **data}}
        service = "enrolment" if kind.startswith("person") else "certification"
        answer = httpx.post(
            f"{self.program.url(service)}/v1/events",
            content=json.dumps(event),
            headers=self.admin | {"Content-Type": "application/cloudevents+json"},
        )
        assert answer.status_code == 200, answer.text


def eventually(holds: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds
        time.sleep(0.02)  # polls with a deadline
    return time.monotonic() - began


@pytest.fixture(scope="module")
def wuxi(example: Program) -> Iterator[Wuxi]:
    with Client(example.url("enrolment"), example.token) as client:
        yield Wuxi(example, client)


def test_nine_certificates_are_attested_to_and_verify(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) == 9, 30)
    documents = []
    for certificate in wuxi.attested().values():
        public_id = certificate["attestation"]["public_id"]
        assert wuxi.standing(public_id) == "valid"
        for form in ("", ".jwt"):
            document = wuxi.document(public_id, form)
            assert wuxi.verdict(document) == "valid"
            documents.append(document)
        assert misshapen(json.loads(documents[-2])) == []
        assert wuxi.public.get(f"/v1/credentials/{public_id}").status_code == 403, "it names somebody"
    assert [one["accepted"] for one in wuxi.others(*documents)] == [True] * 18
    listed = wuxi.public.get("/v1/status/1")
    again = wuxi.public.get("/v1/status/1", headers={"If-None-Match": listed.headers["ETag"]})
    assert (again.status_code, listed.headers["Cache-Control"]) == (304, "public, max-age=1")


def test_one_is_revoked_in_front_of_your_eyes(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) == 9, 30)
    certificate = wuxi.attested()["008/1"]
    public_id = certificate["attestation"]["public_id"]
    document = wuxi.document(public_id)
    about = {name: certificate[name] for name in ("scheme", "occupation", "level")}
    wuxi.post("certificate.revoked", BODY, number="008", date="2025-06-02", reason="examination-cancelled", **about)
    seconds = eventually(lambda: wuxi.standing(public_id) == "revoked", 10)
    assert wuxi.verdict(document) == "revoked"
    assert seconds < 5, "within a second on a machine that does nothing else"


def test_one_is_replaced_after_a_name_change(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) == 9, 30)
    before = wuxi.attested()["009/1"]
    document = wuxi.document(before["attestation"]["public_id"])
    about = {name: before[name] for name in ("scheme", "occupation", "level")}
    names = {"original": "ចាន់ បុប្ផា", "language": "km", "romanised": "Chan Bopha"}
    wuxi.post("person.corrected", SENDER, number="009", names=names)
    about["certificate_number"] = "S0000320200525INV0909"
    wuxi.post("certificate.replaced", BODY, number="009", date="2025-06-02", reason="name-changed", **about)
    eventually(lambda: "009/2" in wuxi.attested(), 20)
    after = wuxi.attested()
    assert after["009/1"]["attestation"]["status"] == "superseded"
    assert wuxi.verdict(document) == "superseded"
    anew = wuxi.document(after["009/2"]["attestation"]["public_id"])
    assert wuxi.verdict(anew) == "valid"
    assert "Chan Bopha" in anew.decode()
    assert "Chan Bopha" not in document.decode()


def test_the_check_agrees(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    said: list[str] = []
    assert check(wuxi.administrator, said.append) == []
    assert any("attestations" in line and "documents" in line for line in said)
