"""Addresses that would stand in signed documents for ever, as somebody wrote them."""

from pathlib import Path

import pytest

from services.processes import StandaloneError
from services.standalone import Standalone
from shared.addresses import address_flaw


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8002", "https://skills.example.org", "https://[::1]:8002", "https://example.org/skills/"],
)
def test_a_whole_address_has_no_flaw(address: str) -> None:
    assert address_flaw(address) is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:8002:8002", "behind the host"),
        ("https://example.org/skills:8002", "behind the host"),
        ("https://example.org:0", "nothing else"),
        ("https://example.org:70000", "behind the host"),
        ("skills.example.org", "give the whole of it"),
        ("ftp://example.org", "give the whole of it"),
        ("https://", "give the whole of it"),
        ("https://example .org", "give the whole of it"),
        ("https://desk@example.org", "nothing else"),
        ("https://example.org/?a=1", "nothing else"),
        ("https://example.org#a", "nothing else"),
        *((f"https://{host}", "give the whole of it") for host in ("h:", "h,https://g", '"h"', "h/a\\b", "https://h")),
    ],
)
def test_another_is_told_what_is_wrong(address: str, said: str) -> None:
    assert said in (address_flaw(address) or "")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SAMPAN_PUBLIC_URL": "http://127.0.0.1:8002"}, "give it without one"),
        ({"SAMPAN_PUBLIC_URL": "https://example.org/skills"}, "give it without one"),
        (
            {"SAMPAN_CERTIFICATION_URL": "skills.example.org"},
            "SAMPAN_CERTIFICATION_URL: skills.example.org is no address",
        ),
    ],
)
def test_given_such_an_address_when_the_program_is_made_then_it_says_so(
    environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(StandaloneError, match=said):
        Standalone(tmp_path, environment)
