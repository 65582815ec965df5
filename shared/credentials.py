"""Keys for the broker, and what is signed with them: JWTs by which nats-server knows who may do what.

The operator's key signs accounts, an account's keys sign users (NATS JWT, version 2). Services and streams are in one account,
offices in another that reaches the first through a few doors only: a message may name any subject for its answer, and what
the server answers to an office must not end up in a stream. Offices' users are signed with a key that is bound to a template of
rights, so it makes users of offices and no others.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import nkeys

from shared.rights import OFFICES_MAY_ASK, OFFICES_MAY_HEAR, SERVICE_RIGHTS, Rights, inbox_prefix, office_rights

_OFFICE = office_rights("{{tag(country)}}", "{{tag(office)}}")  # the server fills it in from the user's JWT
_UNLIMITED = dict.fromkeys(
    (
        "subs",
        "data",
        "payload",
        "imports",
        "exports",
        "conn",
        "leaf",
        "mem_storage",
        "disk_storage",
        "streams",
        "consumer",
    ),
    -1,
) | {"wildcards": True}
_NO_STREAMS = {"mem_storage": 0, "disk_storage": 0, "streams": 0, "consumer": 0}
ANSWER_NANOSECONDS = 60 * 10**9
"""How long after a request it may still be answered."""
_FOR_USERS = {"subs": -1, "data": -1, "payload": -1}


class Admitted(NamedTuple):
    """A user made for an office. The credentials are for the office alone, and are kept nowhere."""

    key: str
    """Its public key, by which it can be revoked."""
    credentials: str
    """The text of a credentials file: a JWT and the seed of its key."""


@dataclass(frozen=True, repr=False)
class Authority:
    """What enrolment needs in order to let offices in and to shut them out."""

    services: str
    """Public key of the services' account."""
    offices: str
    """Public key of the offices' account."""
    signing: str
    """Seed that signs offices' users."""
    operator: str
    """Seed that signs the claims of the offices' account, among them who is revoked."""
    system: str
    """Credentials of a user that may read and replace those claims on the server, and nothing else."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Of the text that `Keys.authority` wrote."""
        return cls(**json.loads(text))

    def admit(self, country: str, office: str, expires: datetime) -> Admitted:
        """A new user of the office."""
        seed = _new_seed(nkeys.PREFIX_BYTE_USER)
        tags = [f"country:{country}", f"office:{office}"]
        claims = _claims(public_key(seed), "user", issuer_account=self.offices, tags=tags)
        claims |= {"name": f"{country}/{office}", "exp": int(expires.timestamp())}
        return Admitted(public_key(seed), _credentials(_sign(claims, self.signing), seed))

    def claims(self, revoked: Mapping[str, datetime]) -> str:
        """The JWT of the offices' account, in which the users with these public keys are revoked."""
        return _sign(_offices_claims(self.services, self.offices, public_key(self.signing), revoked), self.operator)


@dataclass(frozen=True, repr=False)
class Keys:
    """Every key of the broker, as seeds: made once, and then as lasting as the broker's data."""

    operator: str
    operator_signing: str
    system: str
    system_user: str
    services: str
    offices: str
    offices_signing: str
    users: dict[str, str]

    @classmethod
    def new(cls) -> Self:
        operator, account, user = nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER
        return cls(
            operator=_new_seed(operator),
            operator_signing=_new_seed(operator),
            system=_new_seed(account),
            system_user=_new_seed(user),
            services=_new_seed(account),
            offices=_new_seed(account),
            offices_signing=_new_seed(account),
            users={service: _new_seed(user) for service in SERVICE_RIGHTS},
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Of the text that `new_text` made."""
        return cls(**json.loads(text))

    @classmethod
    def new_text(cls) -> str:
        """New keys as a text, to be kept in a secret file."""
        return json.dumps(asdict(cls.new()))

    def server_settings(self, store: str) -> dict[str, Any]:
        """What nats-server's configuration says of operator and accounts; `store` is the folder for accounts' claims.

        The server takes these claims unless its folder has newer ones. They bear the oldest date there is: it must never prefer
        them to what enrolment has told it, or whoever was revoked would be let in again at the next start.
        """
        operator, system, services, offices = map(public_key, (self.operator, self.system, self.services, self.offices))
        signing_keys = [public_key(self.operator_signing)]
        operator_claims = _claims(operator, "operator", signing_keys=signing_keys, system_account=system)
        accounts = {
            system: _claims(system, "account", limits=_UNLIMITED | _NO_STREAMS),
            services: _services_claims(services),
            offices: _offices_claims(services, offices, public_key(self.offices_signing), {}),
        }
        return {
            "operator": _sign(operator_claims, self.operator, issued=1),
            "system_account": system,
            "resolver": {"type": "full", "dir": store, "allow_delete": False},
            "resolver_preload": {
                account: _sign(claims, self.operator_signing, issued=1) for account, claims in accounts.items()
            },
        }

    def service_credentials(self, service: str) -> str:
        """The text of a service's credentials file."""
        return self.credentials(service, SERVICE_RIGHTS[service], self.users[service])

    def credentials(self, name: str, rights: Rights, seed: str | None = None) -> str:
        """The same for any user beside the services; its key is made here unless a seed is given."""
        return _user(name, rights, seed or _new_seed(nkeys.PREFIX_BYTE_USER), self.services)

    def authority(self) -> str:
        """The text of the file that only enrolment reads; see `Authority`."""
        services, offices = public_key(self.services), public_key(self.offices)
        claims = f"$SYS.REQ.ACCOUNT.{offices}.CLAIMS"
        rights = Rights((f"{claims}.LOOKUP", f"{claims}.UPDATE"), (f"{inbox_prefix('enrolment')}.>",))
        system = _user("enrolment", rights, self.system_user, self.system)
        return json.dumps(asdict(Authority(services, offices, self.offices_signing, self.operator_signing, system)))


def public_key(seed: str) -> str:
    """The public key that belongs to a seed."""
    key: bytes = nkeys.from_seed(bytearray(seed.encode())).public_key
    return key.decode()


def same_claims(one: str, other: str) -> bool:
    """Whether two JWTs say the same, whenever they were issued."""
    return _undated(one) == _undated(other)


def _undated(jwt: str) -> dict[str, Any]:
    body = jwt.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return {name: value for name, value in claims.items() if name not in {"iat", "jti"}}


def _services_claims(services: str) -> dict[str, Any]:
    exports = [
        {"name": subject, "subject": subject, "type": "service", "response_type": answers}
        for subject, answers in OFFICES_MAY_ASK.items()
    ]
    exports += [{"name": subject, "subject": subject, "type": "stream"} for subject in OFFICES_MAY_HEAR]
    return _claims(services, "account", limits=_UNLIMITED, exports=exports)


def _offices_claims(services: str, offices: str, signing: str, revoked: Mapping[str, datetime]) -> dict[str, Any]:
    imports = [
        {"name": subject, "subject": subject, "type": "service", "account": services} for subject in OFFICES_MAY_ASK
    ]
    imports += [
        {"name": subject, "subject": subject, "type": "stream", "account": services} for subject in OFFICES_MAY_HEAR
    ]
    template = _permissions(_OFFICE) | _FOR_USERS
    return _claims(
        offices,
        "account",
        limits=_UNLIMITED | _NO_STREAMS,
        imports=imports,
        signing_keys=[{"kind": "user_scope", "key": signing, "role": "office", "template": template}],
        # Users issued until that moment, in whole seconds.
        revocations={key: int(moment.timestamp()) for key, moment in sorted(revoked.items())},
    )


def _user(name: str, rights: Rights, seed: str, account: str) -> str:
    claims = _claims(public_key(seed), "user", **_permissions(rights), **_FOR_USERS) | {"name": name}
    return _credentials(_sign(claims, account, issued=1), seed)


def _claims(subject: str, kind: str, **nats: Any) -> dict[str, Any]:
    return {"sub": subject, "nats": {"type": kind, "version": 2, **nats}}


def _permissions(rights: Rights) -> dict[str, Any]:
    allowed: dict[str, Any] = {"pub": {"allow": list(rights.publish)}, "sub": {"allow": list(rights.hear)}}
    return allowed | {"resp": {"max": 1, "ttl": ANSWER_NANOSECONDS}} if rights.answers else allowed


def _sign(claims: Mapping[str, Any], seed: str, issued: int | None = None) -> str:
    dated = {**claims, "iss": public_key(seed), "iat": int(datetime.now(UTC).timestamp()) if issued is None else issued}
    # Any text that no other JWT has: the server compares it and no more.
    identity = base64.b32encode(hashlib.sha256(_json(dated)).digest()).decode().rstrip("=")
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    signed = f"{_base64(_json(header))}.{_base64(_json(dated | {'jti': identity}))}"
    signature: bytes = nkeys.from_seed(bytearray(seed.encode())).sign(signed.encode())
    return f"{signed}.{_base64(signature)}"


def _credentials(jwt: str, seed: str) -> str:
    return f"""\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
Whoever has the seed below is this user. Keep this file where only you can read it.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------

*************************************************************
"""


def _new_seed(prefix: int) -> str:
    seed: bytes = nkeys.encode_seed(os.urandom(32), prefix)
    return seed.decode()


def _json(claims: Mapping[str, Any]) -> bytes:
    return json.dumps(claims, separators=(",", ":"), sort_keys=True).encode()


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
