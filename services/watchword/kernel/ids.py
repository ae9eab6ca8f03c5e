"""Identities. An id that names a fact is derived from that fact, so that a repeat carries the same id."""

from hashlib import blake2b
from typing import NewType
from uuid import UUID

import msgspec
import uuid_utils

VerificationId = NewType("VerificationId", UUID)
AttemptId = NewType("AttemptId", UUID)
TenantId = NewType("TenantId", str)
AccountId = NewType("AccountId", str)
NumberToken = NewType("NumberToken", str)

_NAMESPACE = uuid_utils.UUID("6f1b4c1e-52a5-5f0a-9f39-7f0d5c2f6d11")
_TIME_BITS = 48
_RANDOM_BITS = 128 - _TIME_BITS


def event_id(subject: str, transition: str, ordinal: int = 0) -> UUID:
    """The id of the event that tells `transition` number `ordinal` of `subject`: the same facts, the same id."""
    made = uuid_utils.uuid5(_NAMESPACE, f"{subject}/{transition}/{ordinal}")
    return msgspec.convert(str(made), UUID)


def text_of(identity: UUID) -> str:
    """`str(identity)`, in a quarter of the time: each event says two ids or three."""
    text: str = msgspec.to_builtins(identity)
    return text


def attempt_id(verification: UUID, send_no: int, try_no: int) -> AttemptId:
    """The id of try `try_no` (from 1) of send `send_no` (from 1) of a verification.

    A UUIDv8 that keeps the verification's millisecond in front, so that attempts lie beside their verification
    in every index and partition, and derives the rest, so that a redelivered event names the same attempt.
    """
    time_part = verification.int >> _RANDOM_BITS
    digest = blake2b(
        verification.bytes + send_no.to_bytes(8, "big", signed=True) + try_no.to_bytes(8, "big", signed=True),
        digest_size=_RANDOM_BITS // 8,
    ).digest()
    return AttemptId(_with_version_8(time_part << _RANDOM_BITS | int.from_bytes(digest, "big")))


def attempt_span(verification: UUID) -> tuple[UUID, UUID]:
    """The least and the greatest id that an attempt of the verification can have: by it one partition is read."""
    first = verification.int >> _RANDOM_BITS << _RANDOM_BITS
    return UUID(int=first), UUID(int=first | (1 << _RANDOM_BITS) - 1)


def _with_version_8(value: int) -> UUID:
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def born_ms(identity: UUID) -> int:
    """The millisecond since the epoch at which a time-ordered id was made (RFC 9562, section 5.7)."""
    return identity.int >> _RANDOM_BITS
