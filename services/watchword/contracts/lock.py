"""What was published stays as it was: a digest for every published file, in the format of `sha256sum`.

Published are the schemas with their examples and upcast results, and the envelope. Texts around them (event.yaml,
README.md, topics.yaml) may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

LOCK_FILE = "published.lock"
_PUBLISHED = (
    "envelope.v*.schema.json",
    "*/v*.schema.json",
    "*/v*.examples/*.json",
    "*/v*.upcast/*.json",
)


@dataclass(frozen=True, slots=True)
class Drift:
    """How the files differ from the lock, each a sorted tuple of paths below schemas/."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def breaks_the_promise(self) -> bool:
        return bool(self.changed or self.missing)


class PublishedFileChanged(Exception):
    """A published file was changed or removed. The message names them all."""


def digests(schemas: Path) -> Mapping[str, str]:
    """The SHA-256 in hex of every file below `schemas` that publication covers, by path."""
    found = sorted(path for pattern in _PUBLISHED for path in schemas.glob(pattern))
    return {path.relative_to(schemas).as_posix(): sha256(path.read_bytes()).hexdigest() for path in found}


def locked(schemas: Path) -> Mapping[str, str]:
    """The digests in the lock, none if there is no lock yet. Raises ValueError for a line that is no digest."""
    lock = schemas / LOCK_FILE
    if not lock.is_file():
        return {}
    told: dict[str, str] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        digest, separator, path = line.partition("  ")
        if len(digest) != sha256().digest_size * 2 or not separator or path in told:
            raise ValueError(f"{LOCK_FILE} has a line that is no digest, or one file twice")
        told[path] = digest
    return told


def drift(schemas: Path) -> Drift:
    """What differs between the files and the lock."""
    now, then = digests(schemas), locked(schemas)
    return Drift(
        added=tuple(sorted(now.keys() - then.keys())),
        changed=tuple(sorted(path for path in now.keys() & then.keys() if now[path] != then[path])),
        missing=tuple(sorted(then.keys() - now.keys())),
    )


def publish(schemas: Path) -> tuple[str, ...]:
    """Lock the files that are not locked yet and say which those were.

    Raises PublishedFileChanged, and locks nothing, if a published file is not what it was.
    """
    differs = drift(schemas)
    if differs.breaks_the_promise:
        raise PublishedFileChanged(
            f"published files never change; put these back and add a version instead: "
            f"{', '.join(differs.changed + differs.missing)}"
        )
    lines = [f"{digest}  {path}\n" for path, digest in digests(schemas).items()]
    (schemas / LOCK_FILE).write_text("".join(sorted(lines, key=lambda line: line[66:])), encoding="utf-8")
    return differs.added
