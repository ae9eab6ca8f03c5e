"""A record of otp.dispatch or a retry topic, as it was read."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from aiokafka import TopicPartition

from watchword.events import envelope as envelopes
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.envelope import Envelope
from watchword.events.send_requested import SendRequested
from watchword.runtime import unfinished
from watchword.runtime.acting import Cause
from watchword.runtime.unfinished import Unfinished

_NUMBER_MAX: Final = 255
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)  # what is added to a time must find room in the calendar


class Taken(msgspec.Struct, frozen=True):
    """One record that was read. `event` is None where it is no send request; then `fault` says why, "" if it is
    an event that dispatch has no business with."""

    record: Any
    partition: TopicPartition
    tier_s: int
    event: SendRequested | None
    envelope: Envelope | None
    fault: str = ""

    @property
    def cause(self) -> Cause:
        """What is told because of it. Only of one that can be read."""
        assert self.envelope is not None
        return Cause(self.envelope.id, self.envelope.correlation_id, self.envelope.traceparent)

    @property
    def unfinished(self) -> Unfinished:
        """What to say of how late it is: a message is worth nothing past its send deadline, which comes before its
        code's end."""
        deadline_s = self.event.send_deadline.timestamp() if self.event is not None else 0.0
        return unfinished.of_record(self.record, deadline_s=deadline_s)


def taken(record: Any, tier_s: int) -> Taken:
    """The record of a topic that delays by `tier_s` seconds, with whatever is wrong with it."""
    partition = TopicPartition(record.topic, record.partition)
    try:
        told = envelopes.read(record.headers)
        event = decode(told.type, record.value)
    except (UnreadableEvent, ValueError) as error:
        return Taken(record, partition, tier_s, None, None, str(error) or "unreadable")
    if not isinstance(event, SendRequested):
        return Taken(record, partition, tier_s, None, told)
    if not _in_bounds(event):
        return Taken(record, partition, tier_s, None, told, "a count is out of bounds")
    if told.time > _LATEST or (event.not_before is not None and event.not_before > _LATEST):
        return Taken(record, partition, tier_s, None, told, "a time is out of bounds")
    return Taken(record, partition, tier_s, event, told)


def send_of(event: SendRequested) -> tuple[UUID, int]:
    """Which send of which verification it asks for."""
    return event.verification_id, event.send_no


def was_tried(event: SendRequested) -> bool:
    """Whether there is something to know of earlier tries."""
    return event.try_no > 1 or event.recovery > 0


def _in_bounds(event: SendRequested) -> bool:
    """Whether its counts fit their columns, and what attempt ids are made of."""
    return 1 <= event.send_no <= _NUMBER_MAX and 1 <= event.try_no <= _NUMBER_MAX and 0 <= event.recovery <= _NUMBER_MAX
