"""`sampan trust` gets what `sampan verify` needs, from the address that its user names and no other."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from services.cli import app
from services.errors import ClientError
from services.verifying import fetch, trusted
from shared.checkpoints import Checkpoint, LogKey, signed
from shared.merkle import consistency, grown, leaf_hash, root_of
from shared.merkle import proof as merkle_proof
from shared.vc import proof, status
from shared.vc.document import Issuer, credential
from shared.vc.keys import SigningKey, did_document
from tests.credentials import ATTESTED, KEY

RUN = CliRunner()
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


@dataclass
class Site:
    """An issuer on this machine."""

    port: int
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def did(self) -> str:
        return f"did:web:{quote(f'127.0.0.1:{self.port}', safe='')}"

    @property
    def key(self) -> SigningKey:
        return SigningKey(f"{self.did}#key-1", KEY.private)

    def publish(self, *set_places: int, age: timedelta = timedelta(0)) -> None:
        address, at = f"{self.url}/v1/status/1", datetime.now(UTC) - age
        good_for = timedelta(days=7)
        told = status.status_credential(address, self.did, set_places, at, good_for)
        why = status.reasons_credential(
            f"{address}/reasons", self.did, dict.fromkeys(set_places, "revoked"), at, good_for
        )
        self.pages = {
            "/.well-known/did.json": encoded(did_document(self.did, {"key-1": KEY.public})),
            "/v1/status/1": encoded(proof.sign(told, self.key, at)),
            "/v1/status/1/reasons": encoded(proof.sign(why, self.key, at)),
        }
        self.grow(1)

    def grow(self, leaves: int, word: str = "leaf") -> None:
        """The log grows by leaves, all saying one word; whoever asks may compare it with each size before."""
        size = len(self.leaves)
        self.leaves += [leaf_hash(word.encode())] * leaves
        nodes = grown(0, {}, self.leaves)
        now = Checkpoint("127.0.0.1/v1/log", size + leaves, root_of(size + leaves, nodes))
        self.pages["/v1/log/checkpoint"] = signed(now, LOG_KEY).encode()
        self.pages["/v1/log/key"] = LogKey(now.origin, LOG_KEY.public_key().public_bytes_raw()).text.encode()
        for before in range(1, now.size + 1):
            told = [b64encode(one).decode() for one in merkle_proof(consistency(before, now.size), nodes)]
            self.pages[f"/v1/log/proof/consistency?from={before}&to={now.size}"] = encoded({"proof": told})

    def certificate(self, folder: Path) -> Path:
        said = credential(
            replace(ATTESTED, status_list=f"{self.url}/v1/status/1"), Issuer(self.did, "Operator", self.url)
        )
        file = folder / "certificate.json"
        file.write_bytes(encoded(proof.sign(said, self.key, datetime.now(UTC))))
        return file


@pytest.fixture
def site() -> Iterator[Site]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            body = found.pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def said(folder: Path, file: Path, *more: str) -> tuple[int, str]:
    result = RUN.invoke(app, ["verify", str(file), "--trust", str(folder / "trust"), *more])
    return result.exit_code, result.stdout


def test_given_an_issuer_that_was_asked_when_verified_then_valid_and_after_that_nothing_is_fetched(
    site: Site, tmp_path: Path
) -> None:
    site.publish()
    file = site.certificate(tmp_path)
    assert said(tmp_path, file)[0] == 1
    assert said(tmp_path, file)[1].startswith("UNKNOWN ISSUER")

    trusting = RUN.invoke(app, ["trust", site.url, "--trust", str(tmp_path / "trust")])

    assert trusting.exit_code == 0, trusting.output
    asked = list(site.asked)
    code, out = said(tmp_path, file)
    assert (code, out.split(":")[0]) == (0, "VALID")
    assert "Sok Dara" in out
    assert "S000032000000" in out
    assert site.asked == asked


def test_given_no_folder_is_named_then_the_users_own_and_never_one_that_lies_about(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish()
    file = site.certificate(tmp_path)
    fetch(site.url, tmp_path / "trust")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))

    assert RUN.invoke(app, ["verify", str(file)]).stdout.startswith("UNKNOWN ISSUER")
    assert RUN.invoke(app, ["trust", site.url]).exit_code == 0
    assert (tmp_path / "own" / "sampan" / "trust" / quote(site.did, safe="") / "did.json").exists()
    assert RUN.invoke(app, ["verify", str(file)]).stdout.startswith("VALID")


def test_given_a_folder_with_the_keys_of_another_than_it_is_called_after_then_refused(
    site: Site, tmp_path: Path
) -> None:
    site.publish()
    file = site.certificate(tmp_path)
    fetch(site.url, tmp_path / "trust")
    folder = tmp_path / "trust" / quote(site.did, safe="")
    folder.rename(folder.with_name("x"))

    result = RUN.invoke(app, ["verify", str(file), "--trust", str(tmp_path / "trust")])

    assert result.exit_code != 0
    assert isinstance(result.exception, ClientError)
    assert "another issuer than its name says" in str(result.exception)


def test_given_it_was_revoked_when_trusted_again_then_revoked(site: Site, tmp_path: Path) -> None:
    site.publish()
    file = site.certificate(tmp_path)
    fetch(site.url, tmp_path / "trust")

    site.publish(ATTESTED.status_place)
    fetch(site.url + "/", tmp_path / "trust")

    code, out = said(tmp_path, file, "--json")
    assert (code, json.loads(out)["verdict"]) == (1, "revoked")


def test_given_an_old_list_then_status_unknown_and_a_newer_one_besides_helps(site: Site, tmp_path: Path) -> None:
    site.publish(age=timedelta(days=2))
    file = site.certificate(tmp_path)
    fetch(site.url, tmp_path / "trust")
    assert said(tmp_path, file)[1].startswith("STATUS UNKNOWN")
    assert said(tmp_path, file, "--fresh-hours", "49")[0] == 0

    site.publish()
    newer = tmp_path / "list.json"
    newer.write_bytes(site.pages["/v1/status/1"])

    assert said(tmp_path, file, "--status", str(newer))[0] == 0


def test_given_an_address_that_has_somebody_elses_keys_then_nothing_is_kept(site: Site, tmp_path: Path) -> None:
    site.publish()
    site.pages["/.well-known/did.json"] = encoded(did_document("did:web:other.example", {"key-1": KEY.public}))

    with pytest.raises(ClientError, match="another issuer"):
        fetch(site.url, tmp_path / "trust")

    assert not (tmp_path / "trust").exists()


def test_given_a_list_that_the_issuer_did_not_sign_then_nothing_is_kept(site: Site, tmp_path: Path) -> None:
    site.publish()
    site.pages["/v1/status/1"] = site.pages["/v1/status/1"].replace(b"Bitstring", b"Otherstring")

    with pytest.raises(ClientError, match="relied on"):
        fetch(site.url, tmp_path / "trust")

    assert not (tmp_path / "trust").exists()


def test_given_a_log_that_grew_when_trusted_again_then_it_says_so_and_keeps_the_newer(
    site: Site, tmp_path: Path
) -> None:
    site.publish()
    first = RUN.invoke(app, ["trust", site.url, "--trust", str(tmp_path)])
    assert "log has 1 leaves; its key is in" in " ".join(first.stdout.split())
    site.grow(3)

    again = RUN.invoke(app, ["trust", site.url, "--trust", str(tmp_path)])

    assert again.exit_code == 0, again.output
    assert "log has 4 leaves, and still begins with the 1 of last time" in " ".join(again.stdout.split())
    (kept,) = tmp_path.glob("*/log.checkpoint")
    assert kept.read_bytes() == site.pages["/v1/log/checkpoint"]


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "it was cut"), (2, "signed twice"), (5, "not those that it had")],
)
def test_given_another_log_when_trusted_again_then_2_and_all_is_kept_as_it_was(
    site: Site, tmp_path: Path, size: int, said: str
) -> None:
    site.publish()
    site.grow(1)
    fetch(site.url, tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.glob("*/*")}
    site.leaves.clear()
    site.publish(ATTESTED.status_place)
    site.grow(max(size - 1, 0), "another")

    again = RUN.invoke(app, ["trust", site.url, "--trust", str(tmp_path)])

    assert again.exit_code == 2
    assert said in " ".join(again.stderr.split())
    assert {file: file.read_bytes() for file in tmp_path.glob("*/*")} == before


@pytest.mark.parametrize("address", ["skills.example.org", "http://skills.example.org", "file:///etc", ""])
def test_given_an_address_that_cannot_be_relied_on_then_a_sentence(address: str, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="whole address"):
        fetch(address, tmp_path)


def test_given_no_such_file_then_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="cannot be read"):
        trusted(tmp_path, [tmp_path / "missing.json"])
