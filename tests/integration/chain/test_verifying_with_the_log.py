"""`sampan verify --log`: a credential and the log's proof of it, checked with a key that was kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from services import logbook
from services.errors import ClientError
from services.logbook import LogDiffers
from tests.integration.chain.issuing import Chain
from tests.integration.chain.test_both_services import award
from tests.integration.chain.test_issuing import REPLACED


async def shown(chain: Chain, trainee: str, kept: Path) -> tuple[dict[str, Any], bytes, Path]:
    """A credential, its bytes, and a file with the log's proof; the log's checkpoint and key are kept."""
    public_id = await chain.public_id(trainee)
    document = (await chain.documents.for_holder(public_id)).document.json
    async with chain.own.transaction() as session:
        checkpoint, key = await chain.log.checkpoint(session), (await chain.log.key(session)).text
        evidence = await chain.log.evidence(session, public_id)
    proof = kept.with_name(f"proof-{trainee}.json")
    for file, content in ((kept, checkpoint), (logbook.key_file(kept), key), (proof, evidence.model_dump_json())):
        file.write_text(content)
    return json.loads(document), document.encode(), proof


async def test_what_was_issued_is_in_the_log(chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    credential, content, proof = await shown(chain, "01", kept)
    found = logbook.evidence_at(str(proof), credential)
    good, said, _ = logbook.logged(credential, content, found, kept)
    assert good, said
    assert said.startswith("valid since 2025-04-14, in the log of 2 leaves that certificates.example/v1/log signed")
    assert logbook.logged(credential, None, found, kept)[0], "a JWT's bytes are others"


async def test_of_a_document_that_was_made_anew_since_the_log_says_so(chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    credential, before, _ = await shown(chain, "02", kept)
    await chain.live(award("numbered", "number", 16, "02", certificate_number="S-2"))
    await chain.issue()
    newer, after, proof = await shown(chain, "02", kept)

    good, said, _ = logbook.logged(credential, before, proof.read_bytes(), kept)
    assert good
    assert "another document of it was made since" in said
    assert "made since" not in logbook.logged(newer, after, proof.read_bytes(), kept)[1]


async def test_another_document_or_another_certificates_proof_is_not_taken_for_it(chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    credential, content, proof = await shown(chain, "01", kept)
    good, said, _ = logbook.logged(credential, content + b" ", proof.read_bytes(), kept)
    assert (good, said) == (False, "The log has this certificate, but with another document than this one.")
    _, _, of_another = await shown(chain, "02", kept)
    good, said, _ = logbook.logged(credential, content, of_another.read_bytes(), kept)
    assert (good, said) == (False, "The log's proof is of another certificate.")


@pytest.mark.parametrize(
    ("what", "status"),
    [(REPLACED, "superseded"), (award("revoked", "end", 17, "01", reason="error"), "revoked")],
    ids=["replaced", "revoked"],
)
async def test_what_happened_since_is_in_the_proof(chain: Chain, tmp_path: Path, what: Any, status: str) -> None:
    await chain.live(what)
    await chain.issue()
    kept = tmp_path / "kept"
    credential, content, proof = await shown(chain, "01", kept)
    good, said, _ = logbook.logged(credential, content, proof.read_bytes(), kept)
    assert not good
    assert said.startswith(status)


async def test_a_proof_of_another_log_is_called_that(chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    credential, content, proof = await shown(chain, "01", kept)
    told = json.loads(proof.read_text())
    told["checkpoint"] = told["checkpoint"].replace("certificates.example", "elsewhere.example")
    with pytest.raises(LogDiffers, match="is of the log elsewhere"):
        logbook.logged(credential, content, json.dumps(told).encode(), kept)


async def test_a_proof_that_was_changed_and_files_that_are_none(chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    await chain.live(award("revoked", "end", 17, "01", reason="error"))
    await chain.issue()
    credential, content, proof = await shown(chain, "01", kept)
    told = json.loads(proof.read_text())
    told["standings"][-1]["standing"]["status"] = "valid"
    for body in (json.dumps(told).encode(), b"{", b"[" * 100_000, b"x" * 2_000_000):
        with pytest.raises(LogDiffers, match="The proof is not good"):
            logbook.logged(credential, content, body, kept)
    with pytest.raises(ClientError, match="cannot be read"):
        logbook.evidence_at(str(tmp_path / "nothing"), credential)
    with pytest.raises(ClientError, match="no id that a log could be asked for"):
        logbook.evidence_at("https://log.example", {"id": "https://elsewhere.example/v1/../admin"})
