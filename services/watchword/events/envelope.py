"""How an event travels: JSON value, CloudEvents 1.0 attributes as Kafka headers (binary mode).

Written by hand because the SDK costs forty times as much per event; a test holds it to what the SDK writes.
Headers name the event, so a reader can shed, skip or route a record without decoding its value.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import msgspec

from watchword.kernel.event import Event

Headers = Sequence[tuple[str, bytes]]

_encoder = msgspec.json.Encoder()
_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/json")
SCHEMA_ROOT = "urn:watchword:schema:"
_EPOCH = datetime.fromtimestamp(0, UTC)
_READ = frozenset(
    {
        *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_tenant", "ce_sequence"),
        *("ce_expirytime", "ce_correlationid", "ce_causationid", "ce_partitionkey", "traceparent"),
    }
)


class Envelope(msgspec.Struct, frozen=True):
    """The CloudEvents attributes of one event. `sequence` is 0 where the event is not counted; `expires_at` is
    None where the event never goes stale; the others are "" where absent."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str = ""
    tenant: str = ""
    sequence: int = 0
    expires_at: datetime | None = None
    correlation_id: str = ""
    causation_id: str = ""
    partition_key: str = ""
    traceparent: str = ""


def type_of(event: type[Event]) -> str:
    """The CloudEvents type of an event class, such as `otp.code-issued.v1`."""
    return f"otp.{event.NAME}.v{event.MAJOR}"


def schema_of(event: type[Event]) -> str:
    """The URI that names the exact schema, minor version included."""
    return f"{SCHEMA_ROOT}{event.NAME}:{event.MAJOR}.{event.MINOR}"


def encode(event: Event) -> bytes:
    """The JSON value of an event, fields in declaration order, defaults left out."""
    return _encoder.encode(event)


@lru_cache(maxsize=1_024)  # the events of a batch share theirs, and those of a verification its deadline
def instant(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and a "Z"."""
    told = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return told.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def headers(event: type[Event], envelope: Envelope) -> list[tuple[str, bytes]]:
    """The Kafka headers of one event. Optional attributes that are absent are left out."""
    told = [
        _SPECVERSION,
        ("ce_id", envelope.id.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_time", instant(envelope.time).encode()),
        _schema_header(event),
        _CONTENT_TYPE,
    ]
    _add_what_it_is_of(envelope, told)
    _add_what_led_to_it(envelope, told)
    return told


def _add_what_it_is_of(envelope: Envelope, told: list[tuple[str, bytes]]) -> None:
    if envelope.subject:
        told.append(("ce_subject", envelope.subject.encode()))
    if envelope.tenant:
        told.append(("ce_tenant", envelope.tenant.encode()))
    if envelope.sequence:
        told.append(("ce_sequence", b"%d" % envelope.sequence))
    if envelope.expires_at:
        told.append(("ce_expirytime", instant(envelope.expires_at).encode()))


def _add_what_led_to_it(envelope: Envelope, told: list[tuple[str, bytes]]) -> None:
    if envelope.correlation_id:
        told.append(("ce_correlationid", envelope.correlation_id.encode()))
    if envelope.causation_id:
        told.append(("ce_causationid", envelope.causation_id.encode()))
    if envelope.partition_key:
        told.append(("ce_partitionkey", envelope.partition_key.encode()))
    if envelope.traceparent:
        told.append(("traceparent", envelope.traceparent.encode()))


@lru_cache(maxsize=128)
def _schema_header(event: type[Event]) -> tuple[str, bytes]:
    return "ce_dataschema", schema_of(event).encode()


def type_in(received: Iterable[tuple[str, bytes]]) -> str:
    """The `ce_type` among a record's headers, to route by before anything is decoded. Raises ValueError if there is
    none or it is not UTF-8; the last of repeated ones counts."""
    told = ""
    for name, value in received:
        if name == "ce_type" and value is not None:
            told = _text(name, value)
    if not told:
        raise ValueError("missing header ce_type")
    return told


def read(received: Iterable[tuple[str, bytes]]) -> Envelope:
    """The attributes in a record's headers. Raises ValueError, saying which one, if a required one is missing or
    one cannot be read; the last of repeated headers counts, and headers of others are not looked at."""
    try:
        told = {name: value.decode() for name, value in received if name in _READ and value is not None}
    except UnicodeDecodeError:
        told = {name: _text(name, value) for name, value in received if name in _READ and value is not None}
    identity, source, kind = told.get("ce_id"), told.get("ce_source"), told.get("ce_type")
    if not (identity and source and kind and told.get("ce_specversion") == "1.0"):
        raise ValueError(_what_is_wrong(told))
    time, sequence, expiry = told.get("ce_time"), told.get("ce_sequence"), told.get("ce_expirytime")
    return Envelope(
        id=identity,
        source=source,
        type=kind,
        time=_EPOCH if time is None else _moment("ce_time", time),
        subject=told.get("ce_subject", ""),
        tenant=told.get("ce_tenant", ""),
        sequence=0 if sequence is None else _number("ce_sequence", sequence),
        expires_at=None if expiry is None else _moment("ce_expirytime", expiry),
        correlation_id=told.get("ce_correlationid", ""),
        causation_id=told.get("ce_causationid", ""),
        partition_key=told.get("ce_partitionkey", ""),
        traceparent=told.get("traceparent", ""),
    )


def _what_is_wrong(told: Mapping[str, str]) -> str:
    missing = [name for name in ("ce_specversion", "ce_id", "ce_source", "ce_type") if not told.get(name)]
    if missing:
        return f"missing header {', '.join(missing)}"
    return "ce_specversion is not 1.0, the only one that is read"


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"header {name} is not UTF-8") from error


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"header {name} is not an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise ValueError(f"header {name} has no time zone")
    return moment


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"header {name} is not a number")
    return int(text)


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in any of its usual spellings."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
