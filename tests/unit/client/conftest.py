"""An officer who signs without a connection."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.credentials import Authority, Keys


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    authority = Authority.from_text(Keys.new().authority())
    file = tmp_path / "ntti.creds"
    file.write_text(authority.admit("kh", "ntti", datetime.now(UTC) + timedelta(days=1)).credentials)
    return file
