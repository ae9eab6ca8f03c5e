"""Everything `watchword schemas check` looks at: what it says is what stands between a change and its release."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from watchword.contracts.compatibility import compare_all
from watchword.contracts.dictionary import DICTIONARY_FILE, render
from watchword.contracts.folder import EventFolder, Version, event_folders, read_json
from watchword.contracts.inbox import compiled
from watchword.contracts.lock import drift


def problems(schemas: Path) -> tuple[str, ...]:
    """One sentence per problem, none if all is well. Raises ContractError if the folder cannot be read at all."""
    folders = event_folders(schemas)
    found = [problem for folder in folders for problem in _of_event(folder)]
    found.extend(_of_lock(schemas))
    page = schemas / DICTIONARY_FILE
    if not found and (not page.is_file() or page.read_text(encoding="utf-8") != render(schemas)):
        found.append(f"{DICTIONARY_FILE} is not what the schemas say; run `watchword schemas dictionary`")
    return tuple(found)


def _of_event(folder: EventFolder) -> Iterator[str]:
    if folder.versions != tuple(_counted(folder.versions)):
        yield f"{folder.name}: versions are not counted without gaps from 1.0"
    for version in folder.versions:
        yield from _of_version(folder, version)
    for _, group in groupby(folder.versions, key=lambda version: version.major):
        schemas = {str(version): folder.schema(version) for version in group}
        for (old, new), findings in compare_all(schemas).items():
            yield from (f"{folder.name} {old} to {new}: {finding}" for finding in findings if finding.breaking)


def _counted(versions: tuple[Version, ...]) -> Iterator[Version]:
    """As many versions as there are, each major and each minor counted from its first without gaps."""
    major, minor = 0, 0
    for version in versions:
        major, minor = (major, minor + 1) if version.major == major else (major + 1, 0)
        yield Version(major, minor)


def _of_version(folder: EventFolder, version: Version) -> Iterator[str]:
    schema = folder.schema(version)
    try:
        validator = compiled(schema)
    except ValueError as error:
        yield f"{folder.name} {version}: not a JSON Schema: {error}"
        return
    examples = folder.examples(version)
    if len(examples) < 2:
        yield f"{folder.name} {version}: at least two examples are asked for, minimal.json and full.json"
    for path in examples:
        for flaw in validator.iter_errors(read_json(path)):
            yield f"{folder.name} {version}: example {path.name}: {flaw.message}"


def _of_lock(schemas: Path) -> Iterator[str]:
    differs = drift(schemas)
    for path in differs.changed:
        yield f"{path} was published and has changed; put it back and add a version instead"
    for path in differs.missing:
        yield f"{path} was published and is gone; put it back"
    for path in differs.added:
        yield f"{path} is not locked yet; run `watchword schemas lock`"
