"""Every version and every example in schemas/, as cases for the tests beside this file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchword.contracts.folder import EventFolder, Version, event_folders, read_json, root
from watchword.events import catalog
from watchword.kernel.event import Event

SCHEMAS = root()
FOLDERS = event_folders(SCHEMAS)
STRUCTS = {event.NAME: event for event in catalog.EVENTS}


@dataclass(frozen=True)
class Example:
    """One example file of one version."""

    folder: EventFolder
    version: Version
    path: Path

    @property
    def struct(self) -> type[Event]:
        return STRUCTS[self.folder.name]

    @property
    def wire_type(self) -> str:
        return f"otp.{self.folder.name}.v{self.version.major}"

    @property
    def is_newest(self) -> bool:
        return self.version == self.folder.versions[-1]

    @property
    def value(self) -> dict[str, Any]:
        return read_json(self.path)

    def __str__(self) -> str:
        return f"{self.folder.name}-{self.version}-{self.path.stem}"


EXAMPLES = tuple(
    Example(folder, version, path)
    for folder in FOLDERS
    for version in folder.versions
    for path in folder.examples(version)
)
"""Every example of every version of every event."""


def minimal(name: str, version: Version | None = None) -> dict[str, Any]:
    """The minimal example of an event, of its newest version if none is named."""
    folder = next(folder for folder in FOLDERS if folder.name == name)
    stem = (version or folder.versions[-1]).stem
    return read_json(folder.path / f"{stem}.examples" / "minimal.json")


def leaves(schema: Any, above: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every field of a schema that holds a value of its own, with its path; items of a list count as its fields."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name, field in schema.get("properties", {}).items():
        inner = leaves(field, f"{above}{name}.") + leaves(field.get("items", {}), f"{above}{name}.")
        found.extend(inner or [(above + name, field)])
    return found
