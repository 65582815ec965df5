"""What an installation is made of may be used and passed on: every package of the lock names a licence that is known here."""

import re
from importlib import metadata

import pytest

from tests.architecture.planting import ROOT

ALLOWED = {
    *("MIT", "MIT-0", "MIT License", "ISC License (ISCL)", "0BSD"),
    *("BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "BSD 3-Clause license", "3-Clause BSD License"),
    *("Apache-2.0", "Apache 2 License", "Apache Software License"),
    *("PSF-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
}
"""Permissive ones, and MPL-2.0, which asks for its own files alone."""
BY_NAME = {
    "frozendict": "LGPL-3.0-only: used as it is, by PyLD, and can be replaced",
    "pycountry": "LGPL-2.1-only: used as it is, and can be replaced",
    "pyrage": "MIT, said in its file LICENSE alone",
}
_NAME = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)


def locked() -> list[str]:
    return _NAME.findall((ROOT / "requirements.txt").read_text(encoding="utf-8"))


def licences(said: metadata.PackageMetadata) -> set[str]:
    """What a package says of its licence: the expression, or what came before there were any."""
    if expression := said.get("License-Expression"):
        return set(re.split(r" (?:AND|OR) ", expression))
    classified = {one.rsplit(" :: ", 1)[-1] for one in said.get_all("Classifier", []) if one.startswith("License ::")}
    return classified or set(re.split(r" (?:AND|OR) ", said.get("License", "")))


def test_every_package_has_a_licence_that_is_allowed() -> None:
    found = {}
    for name in locked():
        try:
            found[name] = licences(metadata.metadata(name))
        except metadata.PackageNotFoundError:  # for another kind of machine
            continue
    assert len(found) > 60
    assert {name: said for name, said in found.items() if not said <= ALLOWED and name not in BY_NAME} == {}
    assert BY_NAME.keys() <= found.keys(), "one that is allowed by name is not used any more"


@pytest.mark.parametrize("said", ["AGPL-3.0-only", "MIT AND SSPL-1.0", ""])
def test_another_licence_is_found(said: str) -> None:
    package = metadata.metadata("click")
    del package["License-Expression"]
    package["License-Expression" if said else "License"] = said
    assert not licences(package) <= ALLOWED
