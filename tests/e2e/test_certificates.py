"""From the example of Wuxi: nine attested certificates, one revoked in front of your eyes, one replaced after a name change."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from services.cli import app
from services.client import Client
from services.upkeep import check
from shared.vc.keys import from_multikey
from shared.vc.trust import Trust
from shared.vc.verdict import judge
from tests import outsiders
from tests.credentials import misshapen
from tests.e2e.conftest import Program, on_this_machine

pytestmark = [on_this_machine, pytest.mark.xdist_group("certificates")]
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
def wuxi(own_issuing: Program) -> Iterator[Wuxi]:
    with Client(own_issuing.url("enrolment"), own_issuing.token) as client:
        yield Wuxi(own_issuing, client)


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
    certificate = wuxi.attested()["003/1"]
    public_id = certificate["attestation"]["public_id"]
    document = wuxi.document(public_id)
    about = {name: certificate[name] for name in ("scheme", "occupation", "level")}
    wuxi.post("certificate.revoked", BODY, number="003", date="2025-06-02", reason="examination-cancelled", **about)
    seconds = eventually(lambda: wuxi.standing(public_id) == "revoked", 10)
    assert wuxi.verdict(document) == "revoked"
    assert seconds < 5, "within a second on a machine that does nothing else"


def test_one_is_replaced_after_a_name_change(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) == 9, 30)
    before = wuxi.attested()["001/1"]
    document = wuxi.document(before["attestation"]["public_id"])
    about = {name: before[name] for name in ("scheme", "occupation", "level")}
    names = {"original": "ចាន់ បុប្ផា", "language": "km", "romanised": "Chan Bopha"}
    wuxi.post("person.corrected", SENDER, number="001", names=names)
    about["certificate_number"] = "S0000320200425INV0901"
    wuxi.post("certificate.replaced", BODY, number="001", date="2025-06-02", reason="name-changed", **about)
    eventually(lambda: "001/2" in wuxi.attested(), 20)
    after = wuxi.attested()
    assert after["001/1"]["attestation"]["status"] == "superseded"
    assert wuxi.verdict(document) == "superseded"
    anew = wuxi.document(after["001/2"]["attestation"]["public_id"])
    assert wuxi.verdict(anew) == "valid"
    assert "Chan Bopha" in anew.decode()
    assert "Chan Bopha" not in document.decode()


def test_what_is_attested_to(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    certificate = wuxi.attested()["008/1"]
    said = json.loads(wuxi.document(certificate["attestation"]["public_id"]))
    subject, achievement = said["credentialSubject"], said["credentialSubject"]["achievement"]
    assert said["issuer"]["id"].startswith("did:web:127.0.0.1%3A")
    assert said["issuer"]["name"] == "Sampan operator (name not set)"
    keys = wuxi.public.get("/.well-known/did.json").json()
    assert {keys["id"]} == {one["controller"] for one in keys["verificationMethod"]} == {said["issuer"]["id"]}
    assert subject["source"]["name"] == achievement["creator"]["name"] != said["issuer"]["name"]
    assert not subject["source"]["id"].startswith("did:"), "the awarding body signs nothing here, and has no key"
    assert subject["source"]["url"].startswith("https://")
    assert subject["licenseNumber"] == certificate["number"]
    codes = {one["targetFramework"]: one["targetCode"] for one in achievement["alignment"]}
    assert (codes["ISCO-08"], codes["ISCED-F 2013"]) == ("7411", "0713")
    assert achievement["specialization"] == "Intermediate worker (printed as 4)"
    assert [one["name"] for one in achievement["resultDescription"]] == ["theory", "practice"]
    assert [one["value"] for one in subject["result"]] == ["84", "86"]
    assert subject["term"] == "wuxi-2025-spring"
    assert said["evidence"][0]["narrative"].startswith("Taught at wuxi-institute, CN, from 2025-03-31 to 2025-04-13.")
    days = [subject["activityStartDate"], subject["activityEndDate"], said["awardedDate"]]
    assert days == ["2025-03-31T00:00:00Z", "2025-04-13T00:00:00Z", "2025-04-13T00:00:00Z"]
    assert [one["identityHash"] for one in subject["identifier"]] == ["សៀង មុនី", "Sieng Mony"]
    assert "did not sign this document" in said["description"]
    assert "local address" in said["description"]


def test_verifiers_not_written_here_say_the_same_of_each_standing(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    numbers = {"004": "valid", "005": "revoked", "006": "suspended", "007": "valid"}
    those = {number: wuxi.attested()[f"{number}/1"] for number in numbers}
    ids = {number: one["attestation"]["public_id"] for number, one in those.items()}
    about = {number: {name: one[name] for name in ("scheme", "occupation", "level")} for number, one in those.items()}
    for number, kind in (("005", "revoked"), ("006", "suspended"), ("007", "suspended")):
        more = {"date": "2025-06-02", "reason": "inquiry"}
        wuxi.post(f"certificate.{kind}", BODY, number=number, **more, **about[number])
    eventually(lambda: wuxi.standing(ids["007"]) == "suspended", 10)
    more = {"date": "2025-06-03", "reason": "inquiry-closed"}
    wuxi.post("certificate.reinstated", BODY, hour=11, number="007", **more, **about["007"])
    eventually(lambda: {number: wuxi.standing(one) for number, one in ids.items()} == numbers, 10)
    documents = {number: wuxi.document(one) for number, one in ids.items()}
    tampered = documents["004"].replace(b'"Completed"', b'"Failed"')
    assert tampered != documents["004"]

    answers = wuxi.others(*documents.values(), tampered)

    assert [wuxi.verdict(one) for one in documents.values()] == list(numbers.values())
    assert wuxi.verdict(tampered) == "forged"
    assert [one["accepted"] for one in answers] == [word == "valid" for word in numbers.values()] + [False]
    assert [one["set"] for one in answers] == [False, True, True, False, False]
    assert answers[-1]["error"] == "Invalid signature."


def test_a_partner_checks_every_form_with_what_they_kept(wuxi: Wuxi, tmp_path: Path) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    certificate = wuxi.attested()["004/1"]
    public_id, address = certificate["attestation"]["public_id"], wuxi.program.url("certification")
    trust, proof, copied = tmp_path / "trust", tmp_path / "proof.json", tmp_path / "a-checkpoint-that-a-friend-kept"
    files = {"a.json": f"/v1/credentials/{public_id}", "a.jwt": f"/v1/credentials/{public_id}.jwt"}
    files |= {f"a.{form}": f"/v1/certificates/{certificate['certificate']}/document.{form}" for form in ("pdf", "png")}
    for name, path in files.items():
        answer = wuxi.public.get(path, headers=wuxi.admin, timeout=60).raise_for_status()
        (tmp_path / name).write_bytes(answer.content)
    proof.write_bytes(wuxi.public.get(f"/v1/log/certificates/{public_id}").content)

    def ran(*arguments: str | Path) -> tuple[int, str]:
        ended = CliRunner().invoke(app, [str(one) for one in (*arguments, "--trust", trust)])
        return ended.exit_code, " ".join(ended.output.split())

    assert ran("verify", tmp_path / "a.pdf")[1].startswith("UNKNOWN ISSUER")
    assert ran("trust", address)[0] == 0
    for name in files:
        code, said = ran("verify", tmp_path / name, "--log", proof)
        assert (code, said.partition(":")[0]) == (0, "VALID"), said
        assert "It is the log of your checkpoint" in said
        assert certificate["number"] in said
        assert ("The picture itself is not" in said) == name.endswith(("pdf", "png"))
    (checkpoint,) = trust.glob("*/log.checkpoint")
    copied.write_bytes(checkpoint.read_bytes())
    to_be_revoked = tmp_path / "b.json"
    to_be_revoked.write_bytes(wuxi.document(wuxi.attested()["002/1"]["attestation"]["public_id"]))
    about = {name: wuxi.attested()["002/1"][name] for name in ("scheme", "occupation", "level")}
    wuxi.post("certificate.revoked", BODY, number="002", date="2025-06-02", reason="inquiry", **about)  # the log grows
    eventually(lambda: wuxi.attested()["002/1"]["attestation"]["status"] == "revoked", 10)
    code, said = ran("verify", tmp_path / "a.jwt", "--log", address, "--checkpoint", copied)
    assert code == 0
    assert "leaves of your checkpoint" in said
    assert ran("verify", to_be_revoked)[1].startswith("VALID"), "by the list of a moment ago"
    code, said = ran("verify", to_be_revoked, "--log", address)
    assert (code, said.partition(":")[0]) == (1, "NOT AS LOGGED"), said
    assert "still begins with" in ran("trust", address)[1]
    assert ran("verify", to_be_revoked)[1].startswith("REVOKED")


def test_strangers_behind_a_proxy_that_is_trusted_are_counted_one_by_one(wuxi: Wuxi) -> None:
    def asks(forwarded: str) -> int:
        return wuxi.public.get("/v1/status/999", headers={"X-Forwarded-For": forwarded}).status_code

    # The allowance grows while a busy machine answers slowly.
    assert any(asks("203.0.113.5") == 429 for _ in range(600))
    assert asks("198.51.100.1, 203.0.113.5") == 429, "what a stranger wrote there themself does not count"
    assert asks("203.0.113.6") == 404
    assert wuxi.public.get("/v1/status/999").status_code == 404


def test_of_a_person_who_is_forgotten_the_standing_and_the_log_stay(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    public_id = wuxi.attested()["009/1"]["attestation"]["public_id"]
    kept, log = wuxi.document(public_id), f"/v1/log/certificates/{public_id}"
    logged = wuxi.public.get(log).json()["standings"]
    wuxi.post("person.forgotten", SENDER, number="009", decided_by="desk-1", reason="request")
    for form in ("", ".jwt"):
        answer = wuxi.public.get(f"/v1/credentials/{public_id}{form}", headers=wuxi.admin)
        assert (answer.status_code, answer.json()["code"]) == (410, "forgotten")
    assert wuxi.standing(public_id) == "valid"
    places = [(one["place"], one["leaf"]) for one in wuxi.public.get(log).json()["standings"]]
    assert places == [(one["place"], one["leaf"]) for one in logged]
    assert wuxi.verdict(kept) == "valid", "what they kept themselves can be checked"


def test_the_check_agrees(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    said: list[str] = []
    assert check(wuxi.administrator, said.append) == []
    assert any("attestations" in line and "documents" in line for line in said)
