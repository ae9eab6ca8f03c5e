"""Every named place where a process may die is one where a test kills it, and every worker stands still at one.

The names are collected from the code: those that are written out, and those that begin with the name of a stage, from
the calls that give stages their names. What tests arm is what they are parametrized with: `point` and `points` for
deaths, `frozen_at` for those who stand still.
"""

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from watchword.flow import BY_NAME

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "services" / "watchword"
ARMING = ("faults", "pipeline")
# Where a name begins with that of a stage, who names stages: the class, and its argument.
NAMED_BY: Mapping[str, tuple[str, str | int]] = {
    "runtime/loop.py": ("Step", "group"),
    "runtime/telling.py": ("Teller", 0),
    "runtime/keeping.py": ("Keeper", 0),
    "timers/overdue.py": ("Kind", 0),
}
LOOPS_OWN = "step.group"  # a loop hands the name of its stage on to its teller
OPERATORS = "OPERATOR"  # a command, which arms nothing
MARKED = type(pytest.param())


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """The calls of a function or class by its plain name."""
    for node in ast.walk(tree_of(path)) if f"{name}(" in text_of(path) else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def reached() -> frozenset[str]:
    """Every name that the code reaches."""
    names: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in calls(path, "reach"):
            names |= names_in(call.args[0], str(path.relative_to(PACKAGE)))
    return frozenset(names)


def names_in(told: ast.expr, where: str) -> set[str]:
    """What one `reach` may be told: a text, or one with the name of a stage in it."""
    if isinstance(told, ast.Constant):
        return {str(told.value)}
    assert isinstance(told, ast.JoinedStr), f"{where}: a failpoint is a text, or begins with the name of its stage"
    assert where in NAMED_BY, f"{where} names failpoints by its stage: say in NAMED_BY who gives it its name"
    folder = PACKAGE if where.startswith("runtime/") else (PACKAGE / where).parent
    return {
        "".join(str(part.value) if isinstance(part, ast.Constant) else stage for part in told.values)
        for stage in stages(folder, *NAMED_BY[where])
    }


def stages(folder: Path, named_by: str, argument: str | int) -> set[str]:
    """The names that calls of a class below a folder give to stages."""
    found: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        for call in calls(path, named_by):
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            given = named.get(argument) if isinstance(argument, str) else call.args[argument]
            match given:
                case ast.Constant(value=str(name)):
                    found.add(name)
                case ast.expr() if ast.unparse(given) == LOOPS_OWN:
                    found |= stages(PACKAGE, *NAMED_BY["runtime/loop.py"])
                case ast.expr() if ast.unparse(given) != OPERATORS:
                    raise AssertionError(f"{path}:{call.lineno}: the name of a stage is written out")
    return found


def modules() -> Iterator[ModuleType]:
    """The tests that arm failpoints. The others are not worth their import."""
    for folder in ARMING:
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            if "point" in text_of(path) or "frozen_at" in text_of(path):
                yield importlib.import_module(f"tests.{folder}.{path.stem}")


def parameters(name: str) -> set[str]:
    """Every value that some test has for a parameter of this name; of a mapping what is in it."""
    return {
        text
        for module in modules()
        for test in vars(module).values()
        if inspect.isfunction(test) and test.__module__ == module.__name__
        for mark in getattr(test, "pytestmark", [])
        if mark.name == "parametrize"
        for text in values_of(name, *mark.args[:2])
    }


def values_of(name: str, names: str | Iterable[str], rows: Iterable[Any]) -> Iterator[str]:
    """The values of one parameter in a parametrize mark."""
    listed = [each.strip() for each in names.split(",")] if isinstance(names, str) else list(names)
    if name not in listed:
        return
    for row in rows:
        values = row.values if isinstance(row, MARKED) else row if len(listed) > 1 else (row,)
        one: Any = values[listed.index(name)]
        yield from one.values() if isinstance(one, Mapping) else (one,)


def test_somebody_is_killed_at_every_named_place() -> None:
    left_out = reached() - parameters("point") - parameters("points")
    assert not left_out, (
        f"no test is parametrized with these as `point`, so none kills anybody there: {sorted(left_out)}"
    )


def test_no_test_arms_a_name_that_nobody_reaches() -> None:
    armed = parameters("point") | parameters("points") | parameters("frozen_at")
    assert not armed - reached(), f"nothing comes to these: {sorted(armed - reached())}"


def test_every_worker_is_frozen_somewhere() -> None:
    frozen = {point.partition(".")[0] for point in parameters("frozen_at")}
    assert set(BY_NAME) == frozen, "a worker that stands still and comes back is another case than one that dies"
