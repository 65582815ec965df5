"""What certification is told by its environment."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.addresses import address_flaw


class Settings(BaseSettings):
    """Read from variables that begin with ``SAMPAN_``."""

    model_config = SettingsConfigDict(env_prefix="SAMPAN_")

    database_url: str
    nats_url: str
    nats_credentials_file: Path
    secret_file: Path
    """32 random bytes in hexadecimal; dead letters are sealed with a key made from them."""
    admin_token_file: Path
    office_requests_per_second: float = 20
    office_events_per_second: float = 2000
    office_bytes_per_second: float = 2 * 1024 * 1024
    """What one office may send on average; see ``shared.limits``."""
    public_url: str | None = None
    """Where anybody checks certificates: it stands in every document and QR code, so nothing is issued until it is set."""
    operator_name: str = "Sampan operator (name not set)"
    """Who issues documents, in words that people know: SAMPAN_OPERATOR_NAME."""
    certification_url: str = "http://127.0.0.1:8002"
    """Where people and programs reach this service when no public address is set."""
    enrolment_url: str = "http://127.0.0.1:8001"
    reporting_url: str = "http://127.0.0.1:8003"

    @field_validator("public_url", mode="before")
    @classmethod
    def _set(cls, value: object) -> object:
        """A variable that is there and empty is not set: docker-compose.yml has no other way to pass one on."""
        return value or None

    @field_validator("public_url")
    @classmethod
    def _whole(cls, value: str | None) -> str | None:
        flaw = None if value is None else address_flaw(value)
        if flaw:
            raise ValueError(f"{value!r} {flaw}")
        return value

    @property
    def address(self) -> str:
        """Where people and programs reach this service."""
        return self.public_url or self.certification_url
