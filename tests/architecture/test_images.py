"""An image holds all that its program imports of ours: what is missing is known before it is built."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_OURS = "import sys, {module}; print(*(name for name in sys.modules if name.split('.')[0] in ('services', 'shared')))"


def stages() -> dict[str, tuple[set[Path], str]]:
    """By name: the files of ours that a stage has, those of the stage that it is made from too, and the module that it runs."""
    found: dict[str, tuple[set[Path], str]] = {}
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        base, name = re.match(r"(\S+) AS (\S+)", stage).groups()  # type: ignore[union-attr]
        files = set(found[base][0]) if base in found else set()
        for copied in re.findall(r"^COPY (.+)$", stage, flags=re.MULTILINE):
            files |= {Path(one) for one in copied.split()[:-1] if one.endswith(".py")}
        run = re.search(r'"python", "-m", "(services\.\w+)"', stage)
        found[name] = files, run[1] if run else ""
    return found


@pytest.mark.parametrize("name", ["provision", "backup", "door"])
def test_an_image_has_what_its_program_imports(name: str) -> None:
    files, module = stages()[name]
    said = subprocess.run(
        [sys.executable, "-c", _OURS.format(module=module)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    needed = {ROOT / module.replace(".", "/") for module in said.stdout.split()}
    there = {(ROOT / file).with_suffix("") for file in files}
    there |= {file.parent for file in there if file.name == "__init__"}
    assert {str(one.relative_to(ROOT)) for one in needed - there} == set()
