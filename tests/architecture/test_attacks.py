"""The table of attacks names tests that exist, and every requirement it promises to."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
TABLE = TESTS / "attacks" / "README.md"
NAMED = re.compile(r"`((?:[a-z_]+/)+test_[a-z0-9_]+\.py)(?:::(test_\w+))?`")
ROW = re.compile(r"^\| (V\d\.\d\.\d) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
REQUIREMENTS = {
    *(f"V2.4.{number}" for number in range(1, 3)),
    *(f"V6.3.{number}" for number in range(1, 9)),
    *(f"V6.4.{number}" for number in range(1, 7)),
    *(f"V6.5.{number}" for number in range(1, 9)),
    *(f"V6.6.{number}" for number in range(1, 5)),
}


def test_every_test_that_the_table_names_exists() -> None:
    named = NAMED.findall(TABLE.read_text("utf-8"))
    assert len(named) > 40
    missing = [f"{path}::{name}" for path, name in named if not exists(TESTS / path, name)]
    assert not missing, f"tests/attacks/README.md names what is not there: {missing}"


def exists(path: Path, name: str) -> bool:
    """Whether the file is there, and the test in it if one is named."""
    if not path.is_file():
        return False
    nodes = ast.parse(path.read_text("utf-8")).body
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return not name or name in functions


def test_every_requirement_is_met_by_a_test_or_said_not_to_be_ours() -> None:
    rows = dict(ROW.findall(TABLE.read_text("utf-8")))
    assert set(rows) == REQUIREMENTS
    unanswered = [each for each, told in rows.items() if not NAMED.search(told) and "not ours, because" not in told]
    assert not unanswered, f"name a test, or say why it is not ours: {unanswered}"
    vague = [f"{each}: {path}" for each, told in rows.items() for path, name in NAMED.findall(told) if not name]
    assert not vague, f"a file meets no requirement, a test in it does: {vague}"


def test_every_file_of_attacks_stands_in_the_table() -> None:
    text = TABLE.read_text("utf-8")
    left_out = [path.name for path in (TESTS / "attacks").glob("test_*.py") if f"attacks/{path.name}" not in text]
    assert not left_out
