"""The house rules that no linter knows. Each message names the mend."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchword.gateways.catalog import SESSIONS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "services" / "watchword"
LINES_PER_FILE_MAX = 400
LINES_PER_FUNCTION_MAX = 60
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "base", "misc", "manager", "core", "lib"}
TOP_LEVEL = {
    "pyproject.toml", "README.md", "Makefile", "LICENSE", "requirements.lock", ".ci", ".gitignore",
    "services", "schemas", "deploy", "tests",
}  # fmt: skip
LEFT_BY_TOOLS = {".git", ".venv", ".cache", ".bench", ".watchword", ".hypothesis"}
LEFT_BY_TOOLS |= {".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", "dist"}
WORKERS = ("intake", "fraud", "codes", "dispatch", "receipts", "checks", "timers", "callbacks")
WORKER_FILES = {"README.md", "worker.py", "store.sql"}
README_HEADINGS = ("**Reads**", "**Writes**", "**Owns**", "**Decides**", "**Never**", "**When it breaks**")
GATEWAY_FILES = {"__init__.py", "gateway.py", "gateway.toml", "README.md", "wire"}


def sources() -> Iterator[Path]:
    for folder in ("services", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_longer_than_can_be_held_in_mind() -> None:
    long = [f"{path.relative_to(ROOT)}: {n}" for path in sources() if (n := len(path.read_text().splitlines())) > 400]
    assert not long, f"split by responsibility, at most {LINES_PER_FILE_MAX} lines: {long}"


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LINES_PER_FUNCTION_MAX
    ]
    assert not long, f"keep the ifs in the parent and move loops into leaves: {long}"


def test_every_name_says_what_it_is_about() -> None:
    vague = [
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.stem in FORBIDDEN_NAMES and "__pycache__" not in path.parts
    ]
    assert not vague, f"name it after a thing of the domain or a role in the flow: {vague}"


def test_nothing_is_called_a_manager() -> None:
    managers = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Manager")
    ]
    assert not managers, f"say what it does instead: {managers}"


def test_the_top_level_is_the_agreed_one() -> None:
    found = {path.name for path in ROOT.iterdir()}
    assert not found - TOP_LEVEL - LEFT_BY_TOOLS, "the top level is fixed: find the room the file belongs to"
    assert not TOP_LEVEL - found, "something of the agreed top level is missing"


@pytest.mark.parametrize("worker", WORKERS)
def test_every_worker_folder_has_the_same_files(worker: str) -> None:
    folder = PACKAGE / worker
    names = {path.name for path in folder.iterdir()}
    assert names >= WORKER_FILES, f"{worker} lacks {WORKER_FILES - names}"
    assert "decide.py" in names or "decide" in names, f"{worker} has no decide: where are its rules?"


@pytest.mark.parametrize("worker", WORKERS)
def test_every_worker_says_what_it_never_does(worker: str) -> None:
    text = (PACKAGE / worker / "README.md").read_text("utf-8")
    missing = [heading for heading in README_HEADINGS if heading not in text]
    assert not missing, f"{worker}/README.md lacks {missing}"
    assert len(text.splitlines()) <= 40, f"{worker}/README.md is longer than 40 lines"


def test_every_gateway_folder_has_the_same_files() -> None:
    folders = [path for path in (PACKAGE / "gateways").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert folders
    for folder in folders:
        names = {path.name for path in folder.iterdir()} - {"__pycache__"}
        if folder.name in SESSIONS:  # a language of its own takes more modules than one
            assert names >= GATEWAY_FILES | {"session.py"}, f"{folder.name} lacks {GATEWAY_FILES - names}"
            continue
        assert names == GATEWAY_FILES, f"{folder.name}: {names ^ GATEWAY_FILES} differs from its siblings"


def test_public_functions_and_classes_say_what_they_promise() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not silent, f"a public name has a docstring: {silent}"


def test_nothing_is_left_undone() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|#\s*(type: ignore|noqa)(?![\[:])")
    here = Path(__file__)
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        if path != here
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not left, f"finish it, or name the exact code that is excused: {left}"


def test_tests_wait_on_facts_and_mock_nothing_of_ours() -> None:
    allowed = {
        Path(__file__),
        ROOT / "tests" / "support" / "waiting.py",  # the one place where a timer runs
        ROOT / "tests" / "simulation" / "loop.py",  # and the one where time is a number
    }
    forbidden = re.compile(
        r"\b(asyncio|time)\.sleep\((?!0\))|\b(MagicMock|AsyncMock|mock\.patch|monkeypatch\.setattr)\b"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path not in allowed
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert not found, f"wait with support.waiting.eventually, pass values or a port: {found}"
