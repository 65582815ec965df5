"""What strangers and partners find when they check the example's certificates, with our program and with others'."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from tests.e2e.conftest import on_this_machine
from tests.e2e.test_certificates import BODY, SENDER, Wuxi, eventually, wuxi

__all__ = ["wuxi"]  # the fixture
pytestmark = [on_this_machine, pytest.mark.xdist_group("e2e")]


def test_what_is_attested_to(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    certificate = wuxi.attested()["007/1"]
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
    assert [one["value"] for one in subject["result"]] == ["91", "95"]
    assert subject["term"] == "wuxi-2025-spring"
    assert said["evidence"][0]["narrative"].startswith(
        "Taught at Wuxi Institute of Technicians, CN, from 2025-03-31 to 2025-04-13."
    )
    days = [subject["activityStartDate"], subject["activityEndDate"], said["awardedDate"]]
    assert days == ["2025-03-31T00:00:00Z", "2025-04-13T00:00:00Z", "2025-04-13T00:00:00Z"]
    assert [one["identityHash"] for one in subject["identifier"]] == ["ឯម បូរ៉ា", "Em Bora"]
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
    to_be_revoked.write_bytes(wuxi.document(wuxi.attested()["003/1"]["attestation"]["public_id"]))
    about = {name: wuxi.attested()["003/1"][name] for name in ("scheme", "occupation", "level")}
    wuxi.post("certificate.revoked", BODY, number="003", date="2025-06-02", reason="inquiry", **about)  # the log grows
    eventually(lambda: wuxi.attested()["003/1"]["attestation"]["status"] == "revoked", 10)
    code, said = ran("verify", tmp_path / "a.jwt", "--log", address, "--checkpoint", copied)
    assert code == 0
    assert "leaves of your checkpoint" in said
    assert ran("verify", to_be_revoked)[1].startswith("VALID"), "by the list of a moment ago"
    code, said = ran("verify", to_be_revoked, "--log", address)
    assert (code, said.partition(":")[0]) == (1, "NOT AS LOGGED"), said
    assert "still begins with" in ran("trust", address)[1]
    assert ran("verify", to_be_revoked)[1].startswith("REVOKED")


def test_of_a_person_who_is_forgotten_the_standings_and_the_log_stay(wuxi: Wuxi) -> None:
    eventually(lambda: len(wuxi.attested()) >= 9, 30)
    theirs = [one["attestation"]["public_id"] for name, one in wuxi.attested().items() if name.startswith("009/")]
    kept = [wuxi.document(one) for one in theirs]
    before = [(wuxi.standing(one), wuxi.verdict(document)) for one, document in zip(theirs, kept, strict=True)]
    assert {standing for standing, _ in before} <= {"valid", "superseded"}
    logged = [wuxi.public.get(f"/v1/log/certificates/{one}").json()["standings"] for one in theirs]
    wuxi.post("person.forgotten", SENDER, number="009", decided_by="desk-1", reason="request")
    for one in theirs:
        for form in ("", ".jwt"):
            answer = wuxi.public.get(f"/v1/credentials/{one}{form}", headers=wuxi.admin)
            assert (answer.status_code, answer.json()["code"]) == (410, "forgotten")
    # Whoever kept a copy can still check it.
    assert [(wuxi.standing(one), wuxi.verdict(document)) for one, document in zip(theirs, kept, strict=True)] == before
    now = [wuxi.public.get(f"/v1/log/certificates/{one}").json()["standings"] for one in theirs]
    assert [[(one["place"], one["leaf"]) for one in those] for those in now] == [
        [(one["place"], one["leaf"]) for one in those] for those in logged
    ]
