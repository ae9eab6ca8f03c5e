"""API keys: what they look like, and what is kept of them. The key itself is shown once and stored nowhere.

`wwk_live_` or `wwk_test_`, 32 random bytes in base64url, and six characters of checksum, by which scanners find
leaked keys and a door tells a mistyped one without asking anybody.
"""

import hashlib
import re
import secrets
from datetime import datetime

import msgspec

LIVE, TEST = "wwk_live_", "wwk_test_"
SCOPES = frozenset({"start", "check", "read", "cancel", "admin"})
_RANDOM_BYTES = 32
_CHECK_CHARS = 6
_SHAPE = re.compile(r"wwk_(?:live|test)_[A-Za-z0-9_-]{49}", re.ASCII)


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key: whose it is and what it may do. `admin` may do everything."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[str]
    test: bool = False
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether the key still opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, scope: str) -> bool:
        """Whether the key may be used for `scope`."""
        return scope in self.scopes or "admin" in self.scopes


def new_key(*, test: bool) -> str:
    """A new key. 256 bits: it needs no slow hash and cannot be guessed."""
    body = (TEST if test else LIVE) + secrets.token_urlsafe(_RANDOM_BYTES)
    return body + _checksum(body)


def well_formed(key: str) -> bool:
    """Whether `key` could be one of ours: its shape and its checksum."""
    return bool(_SHAPE.fullmatch(key)) and _checksum(key[:-_CHECK_CHARS]) == key[-_CHECK_CHARS:]


def hash_of(key: str) -> bytes:
    """What is stored, and looked up by: SHA-256. A look-up by hash tells nothing by its time."""
    return hashlib.sha256(key.encode()).digest()


def id_of(key_hash: bytes) -> str:
    """The name of a key in logs and lists."""
    return f"ak_{key_hash[:8].hex()}"


def _checksum(body: str) -> str:
    return hashlib.sha256(b"watchword api key" + body.encode()).hexdigest()[:_CHECK_CHARS]
