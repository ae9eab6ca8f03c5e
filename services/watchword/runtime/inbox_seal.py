"""Numbers that platforms seal for the Kafka door: HPKE (RFC 9180) to a public key that anybody may have.

A sealed number is base64 of `version (1 byte) · key id (8) · encapsulated key (32) · ciphertext and tag`. It is bound
to the `ce_source` it is published under, so that whoever copies one from the topic cannot publish it as his own.
"""

import base64
import binascii
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from watchword.runtime.sealing import KEY_ID_CHARS, Key, SealBroken

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_VERSION = b"\x01"
_INFO = "watchword otp.inbox 1 "
_BODY_AT = 1 + KEY_ID_CHARS


def public_key(key: Key) -> bytes:
    """The public half of an inbox key, 32 bytes of X25519."""
    return _private(key).public_key().public_bytes_raw()


def opened(keys: Iterable[Key], sealed: str, source: str) -> str:
    """The number that was sealed by whoever publishes as `source`, as it was typed. Raises SealBroken."""
    try:
        raw = base64.b64decode(sealed.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise SealBroken("not a sealed number") from None
    for key in keys:
        if raw[:_BODY_AT] == _VERSION + key.id.encode("ascii"):
            return _opened(key, raw[_BODY_AT:], source)
    raise SealBroken("the key that this was sealed to is not held")


def _opened(key: Key, body: bytes, source: str) -> str:
    try:
        return _SUITE.decrypt(body, _private(key), info=(_INFO + source).encode()).decode("ascii")
    except (InvalidTag, ValueError):  # too short, a bad point, not ASCII inside
        raise SealBroken("the seal is broken") from None


def _private(key: Key) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(key.secret)
