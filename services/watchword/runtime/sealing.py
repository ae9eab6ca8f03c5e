"""Sealing and tokens: AES-256-GCM for what is opened again, HMAC-SHA-256 for what is only compared.

A sealed value is `version (1 byte) · key id (8) · nonce (12) · ciphertext and tag`. What it belongs to goes into
the additional data, so that a sealed value copied to another row does not open there.
"""

import base64
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.kernel.secret import Code

KEY_BYTES = 32
KEY_ID_CHARS = 8
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_NONCE_AT = 1 + KEY_ID_CHARS
_BODY_AT = _NONCE_AT + _NONCE_BYTES
_TOKEN_BYTES = 20
_DATA_KEY_ID = "subject-"


class SealBroken(Exception):
    """A sealed value does not open: it was changed, belongs elsewhere, or its key is not held. Says no values."""


@dataclass(frozen=True, slots=True)
class Key:
    """One secret of 32 bytes and the id that sealed values carry. The secret does not print."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.id) != KEY_ID_CHARS or not self.id.isascii() or len(self.secret) != KEY_BYTES:
            raise ValueError(f"a key has an id of {KEY_ID_CHARS} ASCII characters and {KEY_BYTES} bytes")


def seal(key: Key, plaintext: bytes, aad: bytes) -> bytes:
    """`plaintext` sealed under `key`, bound to `aad`."""
    nonce = os.urandom(_NONCE_BYTES)
    head = _VERSION + key.id.encode("ascii")
    return head + nonce + AESGCM(key.secret).encrypt(nonce, plaintext, head + aad)


def open_sealed(keys: Iterable[Key], sealed: bytes, aad: bytes) -> bytes:
    """What was sealed, by whichever of `keys` sealed it. Raises SealBroken."""
    if len(sealed) < _BODY_AT + _TAG_BYTES or sealed[:1] != _VERSION:
        raise SealBroken("not a sealed value")
    head = sealed[:_NONCE_AT]
    for key in keys:
        if key.id.encode("ascii") == head[1:]:
            try:
                return AESGCM(key.secret).decrypt(sealed[_NONCE_AT:_BODY_AT], sealed[_BODY_AT:], head + aad)
            except InvalidTag:
                raise SealBroken("the seal is broken") from None
    raise SealBroken("the key that sealed this is not held")


def joined(*parts: str | bytes) -> bytes:
    """The parts as one byte string that no other parts give: each behind its length. For additional data."""
    found = bytearray()
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        found += len(encoded).to_bytes(4, "big")
        found += encoded
    return bytes(found)


def derived(key: Key, *labels: str) -> Key:
    """A key of its own for `labels` (HKDF-SHA-256), under the same id: a tenant's key from the purpose's."""
    info = joined("watchword", *labels)
    return Key(key.id, HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key.secret))


def token(key: Key, text: str) -> str:
    """A stable name for `text` that only holders of `key` can make: 27 base64url characters of its HMAC."""
    digest = hmac.digest(key.secret, text.encode(), "sha256")[:_TOKEN_BYTES]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_mac(
    pepper: Key,
    *,
    tenant: str,
    verification: UUID,
    number_token: str,
    purpose: str,
    binding_hash: str,
    code: Code,
) -> bytes:
    """The check value of a code: HMAC-SHA-256 over a version byte and every part behind its length."""
    message = _VERSION + joined(tenant, verification.bytes, number_token, purpose, binding_hash, code.reveal())
    return hmac.digest(pepper.secret, message, "sha256")


def macs_equal(stored: bytes, candidates: Iterable[bytes]) -> bool:
    """Whether any candidate (one per live pepper) is the stored MAC. Every one is compared, in constant time."""
    equal = False
    for candidate in candidates:
        equal |= hmac.compare_digest(stored, candidate)
    return equal


def new_data_key() -> Key:
    """A fresh key for one subject's data. It is kept only wrapped."""
    return Key(_DATA_KEY_ID, os.urandom(KEY_BYTES))


def wrap(wrapping: Key, data_key: Key, *, tenant: str, number_token: str) -> bytes:
    """A subject's data key, sealed for its row in `subjects`."""
    return seal(wrapping, data_key.secret, joined("subject", tenant, number_token))


def unwrap(wrapping: Iterable[Key], wrapped: bytes, *, tenant: str, number_token: str) -> Key:
    """The data key that was wrapped for this subject. Raises SealBroken."""
    return Key(_DATA_KEY_ID, open_sealed(wrapping, wrapped, joined("subject", tenant, number_token)))
