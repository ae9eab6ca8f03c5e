"""A gateway begun by the command is a gateway like its siblings from the first moment."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import watchword
from watchword.accounts.scaffold import CannotBegin, begin

PACKAGE = Path(watchword.__file__).parent
ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The product's sources elsewhere, for a gateway to be begun in."""
    to = tmp_path / "services" / "watchword"
    shutil.copytree(PACKAGE, to, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def test_a_new_gateway_passes_the_contract_suite(copy: Path) -> None:
    folder = begin("acme", copy / "gateways")
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (PACKAGE / "gateways" / "echo").iterdir()
    } - {"__pycache__"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/contract/gateways/test_gateways.py", "-k", "acme"],
        cwd=ROOT,
        env={"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2_000:]
    assert int(re.findall(r"(\d+) passed", ran.stdout)[0]) > 50


def test_a_new_gateway_stands_in_the_catalogue_in_its_place(copy: Path) -> None:
    for name in ("zulu", "acme", "mike"):
        begin(name, copy / "gateways")
    text = (copy / "gateways" / "catalog.py").read_text("utf-8")
    entries = re.findall(r'^    "(\w+)": ', text, re.MULTILINE)
    assert entries == sorted(entries)
    assert {"acme", "mike", "zulu"} < set(entries)
    assert "from watchword.gateways.acme.gateway import Acme\n" in text


@pytest.mark.parametrize("name", ["", "Acme", "ac-me", "7up", "a" * 40, "../acme", "echo", "twilio"])
def test_a_name_that_cannot_be_taken_changes_nothing(copy: Path, name: str) -> None:
    before = (copy / "gateways" / "catalog.py").read_text("utf-8")
    with pytest.raises(CannotBegin):
        begin(name, copy / "gateways")
    assert (copy / "gateways" / "catalog.py").read_text("utf-8") == before
