"""What reporting is told by its environment."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


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
    """What one office may send on average; see ``shared.limits``."""
    public_url: str = "http://127.0.0.1:8003"
    """Where people and programs reach this service."""
    enrolment_url: str = "http://127.0.0.1:8001"
    certification_url: str = "http://127.0.0.1:8002"
    dhis2_mapping_file: Path | None = None
    """Which ids of a DHIS2 our codes are, as TOML; see docs/exports.md."""
    iati_organisation: str = ""
    """The reference of the organisation that publishes to IATI; without one, nothing is written for it."""
    iati_organisation_kind: str = "10"
    """Its code in IATI's list OrganisationType."""
    operator_name: str = "Sampan operator (name not set)"
