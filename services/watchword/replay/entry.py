"""One record of a topic, understood as far as it can be, and how it is shown: numbers and codes masked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from watchword.events import envelope as envelopes
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.envelope import Envelope
from watchword.events.verification import VerificationEvent
from watchword.kernel.event import Event
from watchword.kernel.feature import TRIE
from watchword.kernel.instant import from_us

MASK = "••••"
_HIDDEN = frozenset({"to", "mobile", "phone", "code", "otp", "pin", "ip", "device_id", "user_agent", "account_ref"})
# A number in clear: a plus and at least seven digits, or eight and more digits that are no part of an id or a time.
# A range (leading digits, the last four dropped) is shown: it names the neighbourhood and not the person.
_NUMBER = re.compile(r"\+[0-9][0-9 ().-]{5,}[0-9]|(?<![0-9A-Za-z.:-])[0-9]{8,15}(?![0-9A-Za-z.:-])")
_SHOWN = frozenset({"range", "provider_id", "client_ref"})
_FEATURE = re.compile(rf"(?:{'|'.join(TRIE)}):\+[0-9]{{1,11}}(?:@[a-z0-9][a-z0-9_.-]{{0,62}})?")
_WORD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record. `event` and `envelope` are None where it cannot be read; `problem` then says why. `appended_at` is
    when the broker took it, `told_at` when the event was told."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: str = ""
    envelope: Envelope | None = None
    event: Event | None = field(default=None, repr=False)
    problem: str = ""
    headers: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    value: bytes | None = field(default=None, repr=False)

    @property
    def told_at(self) -> datetime:
        """When the event says it was told; when the record was appended, if it says nothing."""
        return self.appended_at if self.envelope is None else self.envelope.time

    @property
    def name(self) -> str:
        """The event's name, "unreadable" without one."""
        return "unreadable" if self.event is None else self.event.NAME

    @property
    def about(self) -> UUID | None:
        """The verification it is about, None where it is about none."""
        return self.event.verification_id if isinstance(self.event, VerificationEvent) else None

    @property
    def tenant(self) -> str:
        """Whose it is, "" where it does not say."""
        return str(getattr(self.event, "tenant", "") or (self.envelope.tenant if self.envelope else ""))

    @property
    def place(self) -> str:
        """Where it lies: topic/partition/offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def entry_of(record: Any, topic: str) -> Entry:
    """A record of `topic` (its plain name). Total: what cannot be read is an entry with a `problem`."""
    appended_at = from_us(record.timestamp * 1_000)
    key = (record.key or b"").decode("utf-8", "replace")
    told: Envelope | None = None
    try:
        told = envelopes.read(record.headers)
        event, problem = decode(told.type, record.value), ""
    except (UnreadableEvent, ValueError) as error:
        event, problem = None, str(error)
    return Entry(
        topic, record.partition, record.offset, appended_at, key, told, event, problem, record.headers, record.value
    )


def fields_of(event: Event) -> dict[str, Any]:
    """The event's fields as JSON values, those with their default included."""
    return {name: msgspec.to_builtins(getattr(event, name)) for name in event.__struct_fields__}


def document(entry: Entry) -> dict[str, Any]:
    """The entry as one JSON object: where it lies, its envelope under `ce`, the event's fields beside them, nothing
    masked. What expressions are asked of."""
    told = entry.envelope
    return {
        **({} if entry.event is None else fields_of(entry.event)),
        "event": entry.name,
        "topic": entry.topic,
        "partition": entry.partition,
        "offset": entry.offset,
        "key": entry.key,
        "appended_at": shown_time(entry.appended_at),
        "told_at": shown_time(entry.told_at),
        "tenant": entry.tenant,
        **({"problem": entry.problem} if entry.problem else {}),
        "ce": {} if told is None else {
            "id": told.id, "source": told.source, "type": told.type, "subject": told.subject,
            "sequence": told.sequence, "causation_id": told.causation_id, "correlation_id": told.correlation_id,
            "traceparent": told.traceparent,
        },
    }  # fmt: skip


def shown(entry: Entry) -> dict[str, Any]:
    """`document` with every number and code masked: what leaves the process."""
    hidden = masked(document(entry))
    assert isinstance(hidden, dict)
    return hidden


def masked(value: Any, name: str = "") -> Any:
    """A JSON value without numbers and codes. A field is judged by its name first and then by its look; stable words
    stay, such as the `code` of a reason."""
    if isinstance(value, Mapping):
        return {str(key): masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, name) for inner in value]
    if name in _HIDDEN and value not in ("", None) and not (isinstance(value, str) and _WORD.fullmatch(value)):
        return MASK
    return masked_text(value) if isinstance(value, str) and name not in _SHOWN else value


def masked_text(text: str) -> str:
    """A text with the numbers in it masked, but for the range in a feature's name."""
    return text if _FEATURE.fullmatch(text) else _NUMBER.sub(MASK, text)


def shown_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return envelopes.instant(moment.astimezone(UTC))
