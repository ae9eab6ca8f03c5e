"""The data dictionary: every field of every event on one page, made from the newest schemas."""

import json
from collections.abc import Iterator
from pathlib import Path

from watchword.contracts.folder import EventFolder, Schema, event_folders

DICTIONARY_FILE = "DICTIONARY.md"
_SHARED_TITLE = "Fields every event of a verification has"
_HEAD = """# Data dictionary

Made from the schemas by `watchword schemas dictionary`; change the schemas, not this page. A star marks a field that
is always there. The classes in the last column are explained in [README.md](README.md).
"""


def render(schemas: Path) -> str:
    """The dictionary as Markdown. Fields that all events of a verification share are told once, at the top."""
    folders = event_folders(schemas)
    newest = {folder.name: folder.schema(folder.versions[-1]) for folder in folders}
    shared = _shared_names(newest["verification-ended"], newest["code-checked"])
    parts = [_HEAD, f"## {_SHARED_TITLE}\n", _table(newest["code-checked"], only=shared)]
    for folder in folders:
        parts.append(_section(folder, newest[folder.name], shared))
    return "\n".join(parts)


def write(schemas: Path) -> None:
    """Put the dictionary beside the schemas."""
    (schemas / DICTIONARY_FILE).write_text(render(schemas), encoding="utf-8")


def _shared_names(one: Schema, other: Schema) -> frozenset[str]:
    """The fields two unlike events of a verification have in common."""
    return frozenset(one["properties"].keys() & other["properties"].keys())


def _section(folder: EventFolder, schema: Schema, shared: frozenset[str]) -> str:
    own = frozenset(schema["properties"])
    told_above = shared if shared <= own else frozenset()
    note = " It also has the fields at the top." if told_above else ""
    title = f"## {folder.name} {folder.versions[-1]}\n\n{schema['description']}{note}\n"
    return f"{title}\n{_table(schema, only=own - told_above)}"


def _table(schema: Schema, only: frozenset[str]) -> str:
    rows = ["| field | type | unit | meaning | example | class |", "|---|---|---|---|---|---|"]
    rows.extend(_row(path, field, star) for path, field, star in _fields(schema) if path.partition(".")[0] in only)
    return "\n".join(rows) + "\n"


def _row(path: str, field: Schema, required: bool) -> str:
    words = field.get("x-open-enum", ())
    meaning = field["description"] + (f" One of {', '.join(words)}." if words else "")
    example = "" if field["type"] in ("object", "array") else f"`{json.dumps(field['examples'][0])}`"
    kind = field.get("format", field["type"])
    return (
        f"| `{path}`{'*' if required else ''} | {kind} | {field['x-unit']} | {meaning} | {example} | {field['x-pii']} |"
    )


def _fields(schema: Schema, above: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Every field below `schema` with its path; items of a list are written `reasons[].code`."""
    for name, field in schema.get("properties", {}).items():
        yield above + name, field, name in schema.get("required", ())
        yield from _fields(field, f"{above}{name}.")
        yield from _fields(field.get("items", {}), f"{above}{name}[].")
