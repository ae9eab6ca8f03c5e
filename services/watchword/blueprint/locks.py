"""The part of requirements.lock that an image needs: what the package depends on, and what builds its wheel.

What the package needs stands in pyproject.toml; further down the installed distributions are asked who needs whom, so
it is run where the lock is installed. Markers are those of Linux.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from watchword.blueprint.writing import MADE

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==.*(?:\n[ ]+--hash=.*)+\n?", re.MULTILINE)


class LockIncomplete(Exception):
    """requirements.lock does not hold what pyproject.toml asks for; the message names it."""


def runtime_lock(lock: str, pyproject: str) -> str:
    """The entries for everything that a worker imports. Raises LockIncomplete."""
    return _part(lock, tomllib.loads(pyproject)["project"]["dependencies"])


def build_lock(lock: str, pyproject: str) -> str:
    """The entries for what builds the wheel. Raises LockIncomplete."""
    return _part(lock, tomllib.loads(pyproject)["build-system"]["requires"])


def _part(lock: str, words: Iterable[str]) -> str:
    entries: dict[str, str] = {
        canonicalize_name(found["name"]): found[0].rstrip("\n") + "\n" for found in _ENTRY.finditer(lock)
    }
    wanted = sorted(_closure(Requirement(word) for word in words))
    if missing := [name for name in wanted if name not in entries]:
        raise LockIncomplete(f"requirements.lock lacks {', '.join(missing)}: lock pyproject.toml again")
    return MADE + "".join(entries[name] for name in wanted)


def _closure(wanted: Iterable[Requirement]) -> set[str]:
    """The names of what is wanted and of everything below it."""
    found: dict[str, set[str]] = {}
    waiting = [need for need in wanted if _applies(need, "")]
    while waiting:
        need = waiting.pop()
        name, known = canonicalize_name(need.name), found.get(canonicalize_name(need.name))
        if known is not None and need.extras <= known:
            continue
        found[name] = (known or set()) | need.extras
        waiting += _needs(name, need.extras)
    return set(found)


def _needs(name: str, extras: set[str]) -> list[Requirement]:
    told = [Requirement(word) for word in distribution(name).requires or ()]
    return [need for need in told if any(_applies(need, extra) for extra in ("", *extras))]


def _applies(need: Requirement, extra: str) -> bool:
    environment: Mapping[str, str] = {"extra": extra, "sys_platform": "linux", "platform_system": "Linux"}
    return need.marker is None or need.marker.evaluate(dict(environment))
