"""Every event the pipeline knows, by its wire name, and how a value of any published version is read."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from watchword.events import attempt_made, signal_observed
from watchword.events.attempt_made import AttemptMade
from watchword.events.callback_delivered import CallbackDelivered
from watchword.events.code_checked import CodeChecked
from watchword.events.code_issued import CodeIssued
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.resend_requested import ResendRequested
from watchword.events.risk_level_set import RiskLevelSet
from watchword.events.send_requested import SendRequested
from watchword.events.signal_observed import SignalObserved
from watchword.events.verification_assessed import VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_refused import VerificationRefused
from watchword.events.verification_requested import VerificationRequested
from watchword.events.verification_submitted import VerificationSubmitted
from watchword.kernel.event import Event

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

EVENTS: tuple[type[Event], ...] = (
    VerificationSubmitted,
    VerificationRequested,
    ResendRequested,
    VerificationRefused,
    SignalObserved,
    RiskLevelSet,
    VerificationAssessed,
    CodeIssued,
    SendRequested,
    AttemptMade,
    ReceiptReceived,
    ReceiptRecorded,
    CodeChecked,
    VerificationEnded,
    FeedbackGiven,
    CallbackDelivered,
)
UPCASTERS: Mapping[type[Event], Mapping[int, Upcaster]] = {
    AttemptMade: attempt_made.UPCASTERS,
    SignalObserved: signal_observed.UPCASTERS,
}

_BY_NAME = {event.NAME: event for event in EVENTS}
_BY_TYPE = {f"otp.{event.NAME}.v{major}": (event, major) for event in EVENTS for major in range(1, event.MAJOR + 1)}
_TYPE = re.compile(r"otp\.([a-z][a-z-]{0,60})\.v[1-9][0-9]{0,2}")
_MAJOR = re.compile(r"[1-9][0-9]{0,2}")
_UNKNOWN = "unknown event type"
_TOO_DEEP = "nested too deeply"
_NEWER = re.compile(r"version [0-9]+ of [a-z-]+ is not known to this reader")
_DECODERS = {event: msgspec.json.Decoder(event) for event in EVENTS}


class UnreadableEvent(ValueError):
    """The value cannot be read as the event its type names. The message says why and holds no value."""


def name_of(wire_type: str) -> str:
    """The event's name in a `ce_type` such as `otp.code-issued.v1`, whether this version knows it or not.

    Raises UnreadableEvent if it is not of that form.
    """
    if (known := _BY_TYPE.get(wire_type)) is not None:
        return known[0].NAME
    found = _TYPE.fullmatch(wire_type)
    if found is None:
        raise UnreadableEvent("ce_type is not of the form otp.<event>.v<major>")
    return found[1]


def event_class(wire_type: str) -> tuple[type[Event], int]:
    """The class and the major version that a `ce_type` such as `otp.code-issued.v1` names.

    Raises UnreadableEvent for a name nobody knows or a major that is newer than this reader.
    """
    known = _BY_TYPE.get(wire_type)
    if known is None:
        raise UnreadableEvent(_why_unknown(wire_type))
    return known


def _why_unknown(wire_type: str) -> str:
    name, _, major = wire_type.removeprefix("otp.").rpartition(".v")
    if name not in _BY_NAME or not wire_type.startswith("otp.") or not _MAJOR.fullmatch(major):
        return _UNKNOWN
    return f"version {major} of {name} is not known to this reader"


def is_up_to_the_reader(problem: str) -> bool:
    """Whether an event was unreadable, by the words of UnreadableEvent, for this reader and may not be for another: one
    that is newer, or has more of its stack left. What else cannot be read never can: within a major that never changes.
    """
    return problem in (_UNKNOWN, _TOO_DEEP) or _NEWER.fullmatch(problem) is not None


def decode(wire_type: str, value: bytes | None) -> Event:
    """The event in `value`, in its newest version. Raises UnreadableEvent."""
    known, major = event_class(wire_type)
    try:
        if major == known.MAJOR:
            return _DECODERS[known].decode(value or b"")
        return upcast(known, major, msgspec.json.decode(value or b"", type=dict[str, Any]))
    except RecursionError as error:
        raise UnreadableEvent(_TOO_DEEP) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableEvent(_without_values(error)) from error


def upcast(known: type[Event], major: int, value: dict[str, Any]) -> Event:
    """The newest version of an event whose decoded value has version `major`. Raises msgspec.ValidationError."""
    for version in range(major, known.MAJOR):
        value = UPCASTERS[known][version](value)
    return msgspec.convert(value, known)


def _without_values(error: Exception) -> str:
    """What msgspec says of the shape; its messages name types and paths, and quote enum values only."""
    return str(error)[:200]
