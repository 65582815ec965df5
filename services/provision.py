"""What the containers are given before they start: passwords, keys and configuration, made at the first start.

`python -m services.provision FOLDER` runs before everything else whenever the containers are brought up. In FOLDER there is a
volume for each reader, and `kept`, which nobody else mounts: what cannot be made again is in `kept` (the administrator's
token in `admin`), everything else is written anew from it each time.
"""

import json
import secrets
import sys
from pathlib import Path

from services.embedded import SERVICES, SUPERUSER, make_passwords, nats_configuration, schemas
from services.processes import StandaloneError, keep_secret, write_whole
from shared.credentials import Keys

# Where containers find each other, and the broker's folder in the broker's container and in ours.
POSTGRES = "postgres:5432:sampan"
NATS_LISTENS = "0.0.0.0:4222"
NATS_MONITOR = "127.0.0.1:8222"
NATS_STORE = Path("/var/lib/nats/jetstream")

_OWN = 0o400
_GROUP = 0o440  # PostgreSQL and nats-server run as users of their own, in our group


def provide(folder: Path, nats_store: Path = NATS_STORE) -> None:
    """Make what is missing and write what each container reads. Raises StandaloneError when a backup must be put back."""
    # Nothing is handed out before all of it is kept, so whatever was handed out has its original in `kept`.
    in_use = (folder / "postgres" / "password").exists()
    kept = folder / "kept"
    passwords = json.loads(keep_secret(kept / "passwords", make_passwords, must_be_there=in_use))
    credentials_in_use = (folder / "enrolment" / "nats-authority").exists()
    broker = Keys.from_text(keep_secret(kept / "nats-keys", Keys.new_text, must_be_there=credentials_in_use))
    keys = {
        service: keep_secret(kept / service, lambda: secrets.token_hex(32), must_be_there=in_use)
        for service in SERVICES
    }
    # Not kept: whoever deletes it gets a new one at the next start.
    keep_secret(folder / "admin" / "admin-token", lambda: f"sampan_admin_{secrets.token_urlsafe(32)}")

    for service in SERVICES:
        write_whole(folder / service / "secret", keys[service], _OWN)
        write_whole(folder / service / "pgpass", f"{POSTGRES}:{service}:{passwords[service]}\n", _OWN)
        write_whole(folder / service / "nats.creds", broker.service_credentials(service), _OWN)
    write_whole(folder / "enrolment" / "nats-authority", broker.authority(), _OWN)
    nats = nats_configuration(NATS_LISTENS, nats_store, broker, http=NATS_MONITOR)
    write_whole(folder / "nats" / "nats.conf", nats, _GROUP)
    write_whole(folder / "postgres" / "schemas.sql", "\n".join(schemas(passwords)) + "\n", _GROUP)
    write_whole(folder / "postgres" / "password", passwords[SUPERUSER], _GROUP)


def main() -> None:
    """Run from the command line, with the folder as its only argument."""
    try:
        provide(Path(sys.argv[1]))
    except StandaloneError as error:
        sys.exit(f"provision: {error}")


if __name__ == "__main__":
    main()
