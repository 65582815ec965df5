"""What certification is told by its environment."""

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
    office_events_per_second: float = 2000
    office_bytes_per_second: float = 2 * 1024 * 1024
    """What one office may send on average; see ``shared.limits``."""
    public_url: str = "http://127.0.0.1:8002"
    """Where people and programs reach this service."""
    enrolment_url: str = "http://127.0.0.1:8001"
    reporting_url: str = "http://127.0.0.1:8003"
