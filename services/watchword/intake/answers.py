"""What a platform reads of a verification: the JSON bodies of the public API. Pure; no code and no full number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from watchword.events.envelope import instant
from watchword.intake.limits import Room
from watchword.kernel.deadline import send_deadline
from watchword.kernel.policy import Policy
from watchword.kernel.verification import LIVE, STATUS, State

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request was carried out, now or, if `replayed`, when it was first made. `body` is JSON; `room` is what is
    left of the tenant's rate, None where none of it was taken."""

    status: int
    body: bytes = field(repr=False)
    replayed: bool = False
    room: Room | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request changed nothing. `code` is a word of runtime/problems.py; `retry_after_s` 0 if asking again is no
    use; `members` are further fields of the problem."""

    code: str
    detail: str = ""
    retry_after_s: int = 0
    members: Mapping[str, Any] = field(default_factory=dict)
    room: Room | None = None


Reply = Accepted | Refused


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A verification as start, resend and cancel answer it. Times are RFC 3339 in UTC."""

    id: str
    status: str
    to: str
    expires_at: str
    next_send_at: str
    sends_left: int
    checks_left: int


def counted(
    identity: str,
    state: State,
    rules: Policy,
    *,
    shown_number: str,
    expires_at: datetime,
    next_send_at: datetime,
    sends_requested: int,
    checks_used: int,
) -> Counted:
    """The verification with what is left of it: nothing once it has ended."""
    live = state in LIVE
    return Counted(
        id=identity,
        status=STATUS[state],
        to=shown_number,
        expires_at=instant(expires_at),
        next_send_at=instant(next_send_at),
        sends_left=max(rules.sends_max - sends_requested, 0) if live else 0,
        checks_left=max(rules.checks_max - checks_used, 0) if live else 0,
    )


def encoded(answer: msgspec.Struct) -> bytes:
    """An answer as JSON."""
    return _encoder.encode(answer)


def next_send(rules: Policy, sends: int, now: datetime, *, created_at: datetime, expires_at: datetime) -> datetime:
    """When, after send number `sends` at `now`, the next may be asked for. The expiry if there can be none before:
    none are left, or a message would come too late to be typed. A new verification can be started then."""
    at = now + timedelta(seconds=rules.gap_before_s(sends + 1))
    if sends >= rules.sends_max or at >= send_deadline(created_at, expires_at):
        return expires_at
    return at
