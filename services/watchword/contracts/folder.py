"""What lies in schemas/: one folder per event, its versions, and the examples of each."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

Schema = Mapping[str, Any]

_FOLDER = re.compile(r"(?P<number>[0-9]{2})-(?P<name>[a-z]+(?:-[a-z]+)*)")
_SCHEMA_FILE = re.compile(r"v(?P<major>[1-9][0-9]*)(?:\.(?P<minor>[1-9][0-9]*))?\.schema\.json")
_PACKAGE = Path(__file__).resolve().parents[1]


class ContractError(Exception):
    """The schemas folder is missing or is not laid out as schemas/README.md says. The message names the file."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """The version of an event: `major` from 1, `minor` from 0."""

    major: int
    minor: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def stem(self) -> str:
        """How the files of this version start: `v2` for 2.0, `v2.1` for 2.1."""
        return f"v{self.major}.{self.minor}" if self.minor else f"v{self.major}"


@dataclass(frozen=True, slots=True)
class EventFolder:
    """One event's folder. `sheet` is its event.yaml; `versions` are those that have a schema file, oldest first."""

    path: Path
    number: int
    name: str
    sheet: Mapping[str, Any]
    versions: tuple[Version, ...]

    def schema(self, version: Version) -> Schema:
        """The schema of one version. Raises ContractError if the file is no JSON object."""
        return read_json(self.path / f"{version.stem}.schema.json")

    def examples(self, version: Version) -> tuple[Path, ...]:
        """The example files of one version, by name."""
        return tuple(sorted((self.path / f"{version.stem}.examples").glob("*.json")))

    def upcast(self, version: Version) -> tuple[Path, ...]:
        """What the examples of a superseded major become in the next one, by name."""
        return tuple(sorted((self.path / f"{version.stem}.upcast").glob("*.json")))


def root() -> Path:
    """The schemas folder: beside services/ in a checkout, inside the package once installed.

    Raises ContractError if it is in neither place.
    """
    for place in (_PACKAGE / "schemas", _PACKAGE.parents[1] / "schemas"):
        if (place / "topics.yaml").is_file():
            return place
    raise ContractError("the schemas folder is neither in the package nor beside services/")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ContractError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ContractError(f"{path.name} cannot be read: {error}") from error
    return _mapping(path, value)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ContractError."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ContractError(f"{path.name} cannot be read: {error}") from error
    return _mapping(path, value)


def event_folders(schemas: Path) -> tuple[EventFolder, ...]:
    """Every event's folder, in the order of their numbers. Raises ContractError for a folder with another name."""
    return tuple(_event_folder(path) for path in sorted(schemas.iterdir()) if path.is_dir())


@lru_cache(maxsize=1)
def published_events() -> Mapping[str, EventFolder]:
    """The folders under `root()` by event name, read once. Raises ContractError."""
    return {folder.name: folder for folder in event_folders(root())}


def _event_folder(path: Path) -> EventFolder:
    named = _FOLDER.fullmatch(path.name)
    if named is None:
        raise ContractError(f"{path.name} is not named like 50-code-issued")
    versions = sorted(filter(None, (_version(file.name) for file in path.iterdir())))
    return EventFolder(
        path=path,
        number=int(named["number"]),
        name=named["name"],
        sheet=read_yaml(path / "event.yaml"),
        versions=tuple(versions),
    )


def _version(file_name: str) -> Version | None:
    named = _SCHEMA_FILE.fullmatch(file_name)
    return Version(int(named["major"]), int(named["minor"] or 0)) if named else None


def _mapping(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ContractError(f"{path.name} holds no mapping")
    return value
