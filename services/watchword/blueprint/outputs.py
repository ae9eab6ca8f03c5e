"""Which files are made, and whether those on disk still say what the map says."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from watchword.blueprint import (
    compose,
    documents,
    door,
    environment,
    grafana,
    kafka,
    kubernetes,
    locks,
    metrics,
    postgres,
    tools,
)
from watchword.blueprint.writing import env_text

README = "deploy/README.md"
_BASE = "deploy/k8s/base"

_SECTIONS: Mapping[str, Callable[[], str]] = {
    "paths": door.path_table,
}
_SETTINGS_HEAD = """\
# Settings
Made by `make flow` from the settings classes. `watchword config explain` tells what is in force on a machine, and from
where.

"""


def outputs(root: Path) -> dict[str, str]:
    """The text of every generated file, by its path below `root`. Raises KeyError where README.md lacks a section,
    LockIncomplete."""
    lock, project = ((root / name).read_text("utf-8") for name in ("requirements.lock", "pyproject.toml"))
    return {
        "deploy/runtime.lock": locks.runtime_lock(lock, project),
        "deploy/build.lock": locks.build_lock(lock, project),
        "deploy/kafka/topics.json": kafka.topic_list(),
        "deploy/kafka/acls.txt": kafka.acl_text(),
        "deploy/postgres/roles.sql": postgres.roles_sql(),
        "deploy/compose.yaml": compose.compose_text(),
        "deploy/compose.env": env_text(environment.compose()),
        "deploy/compose/door.conf": door.configuration(),
        **{f"{_BASE}/{name}": text for name, text in kubernetes.files().items()},
        "deploy/CONFIGURATION.md": documents.configuration_text(),
        "deploy/METRICS.md": metrics.metrics_text(),
        "deploy/grafana/watchword.json": grafana.dashboard_text(),
        "deploy/TOOLS.md": tools.tools_text(),
        "deploy/SETTINGS.md": _SETTINGS_HEAD + environment.settings_table(),
        README: _spliced((root / README).read_text("utf-8")),
    }


def stale(root: Path) -> list[str]:
    """Paths that differ from what the map says, and files of the base that nobody makes any more."""
    wanted = outputs(root)
    strangers = [
        f"{_BASE}/{path.name}" for path in sorted((root / _BASE).glob("*")) if f"{_BASE}/{path.name}" not in wanted
    ]
    return [path for path, text in wanted.items() if _on_disk(root / path) != text] + strangers


def write(root: Path) -> list[str]:
    """Write what is stale; answers the paths that changed."""
    wanted = outputs(root)
    changed = stale(root)
    for path in changed:
        if path not in wanted:
            (root / path).unlink()
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(wanted[path], "utf-8")
    return changed


def _on_disk(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _spliced(readme: str) -> str:
    for name, made in _SECTIONS.items():
        begin, end = f"<!-- {name}: made by make flow -->\n", f"<!-- {name}: end -->\n"
        if begin not in readme or end not in readme:
            raise KeyError(f"{README} has no section {name}")
        readme = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + made() + end, readme, flags=re.S)  # noqa: B023
    return readme
