"""The keyring: one file that holds every key, of which a worker loads only the purposes it may hold.

One key of a purpose seals; older ones still open. A new one opens at first and seals only once it is promoted, when
every process knows it: what one seals another must open, whichever of them was started anew first. The file belongs
to the operator: mode 0600, written whole or not at all, never in a repository or an image.
"""

import base64
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

import msgspec

from watchword.runtime.sealing import KEY_BYTES, KEY_ID_CHARS, Key, derived

_FORMAT = 1
_SIZE_MAX = 1_000_000
_OPEN_TO_OTHERS = 0o027  # written by the group, or anything by others; a mounted secret may be group-readable


class Purpose(StrEnum):
    """What a key is for. A key never serves two purposes."""

    NUMBER_TOKEN = "number-token"  # HMAC of a phone number, a key per tenant derived from it
    SUBJECT = "subject"  # wraps the data key of each subject
    PEPPER = "pepper"  # the MAC a code is checked by
    SENDING = "sending"  # the message to send, from codes to dispatch
    HANDOVER = "handover"  # a caller's own code, from intake to codes
    RECEIPT = "receipt"  # raw receipts kept as evidence
    ACCOUNT = "account"  # secrets of gateway accounts in the configuration
    SIGNAL_TOKEN = "signal-token"  # HMAC of IP addresses and devices
    CURSOR = "cursor"  # signs the cursors of lists
    ENDPOINT = "endpoint"  # signing secrets of callback endpoints in the configuration
    INBOX = "inbox"  # opens the numbers that platforms seal for the Kafka door; its public half is theirs to have


# A new key would give every number and device a new name, and limits and levels would begin from nothing.
NAMING = frozenset({Purpose.NUMBER_TOKEN, Purpose.SIGNAL_TOKEN})

# What people's tools hold; each worker names its own (KEYS). An owner applies configurations and seals their secrets,
# an operator finds the person who wants to be forgotten, an auditor opens nothing.
OF_TOOLS: Mapping[str, frozenset[Purpose]] = {
    "owner": frozenset({Purpose.ACCOUNT, Purpose.ENDPOINT}),
    "operator": frozenset({Purpose.NUMBER_TOKEN}),
    "audit": frozenset(),
}


class KeyringError(Exception):
    """The keyring cannot be used; the message names the file, the fault and the fix, and no key."""


class _StoredKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    purpose: Purpose
    created_at: datetime
    secret: str
    waits: bool = False


class _Stored(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: int
    keys: list[_StoredKey]


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be told of a key: everything but the key."""

    id: str
    purpose: Purpose
    created_at: datetime
    seals: bool


class Keyring:
    """The keys of some purposes. Asking for another purpose raises KeyringError: a wiring mistake, not a state."""

    def __init__(self, keys: Mapping[Purpose, tuple[Key, ...]]) -> None:
        """`keys` per purpose, the one that seals first; a purpose needs at least one."""
        self._keys = dict(keys)
        self._tenant_keys: dict[tuple[Purpose, str], Key] = {}

    @classmethod
    def load(cls, path: Path | str, purposes: Iterable[Purpose]) -> Self:
        """The keys of `purposes` from the file. Raises KeyringError."""
        wanted = frozenset(purposes)
        stored = _read(Path(path))
        keys = {purpose: _of_purpose(stored, purpose) for purpose in wanted}
        for purpose in sorted(wanted):
            if not keys[purpose]:
                raise KeyringError(f"{path}: no key for {purpose}; `watchword keys rotate {path} --purpose {purpose}`")
        return cls(keys)

    @classmethod
    def load_some(cls, path: Path | str, purposes: Iterable[Purpose]) -> Self:
        """The keys of those of `purposes` that the file has any of. Raises KeyringError."""
        stored = _read(Path(path))
        found = {purpose: _of_purpose(stored, purpose) for purpose in purposes}
        return cls({purpose: keys for purpose, keys in found.items() if keys})

    def holds(self, purpose: Purpose) -> bool:
        """Whether keys of that purpose are in this keyring."""
        return purpose in self._keys

    def sealing(self, purpose: Purpose) -> Key:
        """The key that seals now."""
        return self.opening(purpose)[0]

    def opening(self, purpose: Purpose) -> tuple[Key, ...]:
        """Every key that may have sealed or soon will, the one that seals now first."""
        try:
            return self._keys[purpose]
        except KeyError:
            raise KeyringError(f"this process may not hold keys for {purpose}") from None

    def tenant_key(self, purpose: Purpose, tenant: str) -> Key:
        """The tenant's own key of a purpose, derived from the one that seals."""
        known = self._tenant_keys.get((purpose, tenant))
        if known is None:
            known = derived(self.sealing(purpose), purpose, tenant)
            self._tenant_keys[purpose, tenant] = known
        return known

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(sorted(self._keys))}>"


def create(path: Path, now: datetime) -> list[KeyFacts]:
    """A new keyring file with one key per purpose. Raises KeyringError if there is a file already."""
    if path.exists():
        raise KeyringError(f"{path} exists already; keys that are lost cannot be made again, so it is left alone")
    stored = _Stored(format=_FORMAT, keys=[_new_key(purpose, now) for purpose in Purpose])
    _write(path, stored)
    return _facts(stored)


def rotate(path: Path, now: datetime, purposes: Iterable[Purpose] | None = None) -> list[KeyFacts]:
    """Add a key for each of `purposes` (by default all but the naming ones), which opens and waits to seal.

    Raises KeyringError. Workers take a new key up when they start. The first key of a purpose does not wait.
    """
    stored = _read(path)
    chosen = frozenset(Purpose) - NAMING if purposes is None else frozenset(purposes)
    known = {key.purpose for key in stored.keys}
    stored.keys += [_new_key(purpose, now, waits=purpose in known) for purpose in Purpose if purpose in chosen]
    _write(path, stored)
    return _facts(stored)


def promote(path: Path) -> list[KeyFacts]:
    """Keys that waited seal from the next start of the workers on; the older ones still open. Raises KeyringError."""
    stored = _read(path)
    for key in stored.keys:
        key.waits = False
    _write(path, stored)
    return _facts(stored)


def facts(path: Path) -> list[KeyFacts]:
    """What the keyring holds, without the keys. Raises KeyringError."""
    return _facts(_read(path))


def _facts(stored: _Stored) -> list[KeyFacts]:
    sealing = {purpose: found[0].id for purpose in Purpose if (found := _of_purpose(stored, purpose))}
    return [KeyFacts(key.id, key.purpose, key.created_at, sealing[key.purpose] == key.id) for key in stored.keys]


def _of_purpose(stored: _Stored, purpose: Purpose) -> tuple[Key, ...]:
    """The file lists keys oldest first; the last one that does not wait seals."""
    newest_first = [key for key in reversed(stored.keys) if key.purpose is purpose]
    found = sorted(newest_first, key=lambda key: key.waits)
    return tuple(Key(key.id, base64.b64decode(key.secret)) for key in found)


def _new_key(purpose: Purpose, now: datetime, *, waits: bool = False) -> _StoredKey:
    secret = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
    named = secrets.token_hex(KEY_ID_CHARS // 2)
    return _StoredKey(id=named, purpose=purpose, created_at=now, secret=secret, waits=waits)


def _read(path: Path) -> _Stored:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_SIZE_MAX)
    except OSError as error:
        raise KeyringError(f"{path}: {error.strerror}; `watchword keys init {path}` makes a keyring") from None
    if mode & _OPEN_TO_OTHERS:
        raise KeyringError(f"{path} is open to others (mode {mode & 0o777:03o}); `chmod 600 {path}`")
    try:
        stored = msgspec.json.decode(text, type=_Stored)
        for purpose in Purpose:
            _of_purpose(stored, purpose)
    except (msgspec.MsgspecError, ValueError):
        raise KeyringError(f"{path} is not a keyring, or it is damaged; restore it from its backup") from None
    if stored.format != _FORMAT:
        raise KeyringError(f"{path} has format {stored.format}; this version reads format {_FORMAT}")
    return stored


def _write(path: Path, stored: _Stored) -> None:
    """Whole or not at all: a new file beside it, synced, then renamed."""
    text = json.dumps(msgspec.to_builtins(stored), indent=1).encode()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise KeyringError(f"{path}: {error.strerror}; it must lie in a directory that you may write to") from None
