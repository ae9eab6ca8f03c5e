"""What a step is given: records that could be read, each with its event, and dead letters for those that could not."""

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition

from watchword.events.envelope import Envelope
from watchword.kernel.event import Event
from watchword.kernel.verdict import Dead, Verdict
from watchword.runtime import acting, outbox
from watchword.runtime.kafka import Reader
from watchword.runtime.outbox import OutboxRow

log = structlog.get_logger()


class Incoming(msgspec.Struct, frozen=True):
    """One record that could be read: its event in the newest version, its envelope, and where it lay."""

    event: Event
    envelope: Envelope
    key: str
    partition: TopicPartition
    offset: int
    record: Any

    def __repr__(self) -> str:
        return f"Incoming({self.envelope.type}, {self.partition}, {self.offset})"


def rounds(batch: Sequence[Incoming]) -> list[list[Incoming]]:
    """The batch split so that no round holds two events of one key, each key's events in order: the second
    decides on facts that the first has changed."""
    split: list[list[Incoming]] = []
    seen: dict[str, int] = {}
    for each in batch:
        index = seen.get(each.key, 0)
        seen[each.key] = index + 1
        if index == len(split):
            split.append([])
        split[index].append(each)
    return split


def partition_of(record: Any) -> TopicPartition:
    """The partition that a record lay in."""
    return TopicPartition(record.topic, record.partition)


def cause_of(incoming: Incoming) -> acting.Cause:
    """What an event says of itself in the events that it leads to."""
    told = incoming.envelope
    return acting.Cause(told.id, told.correlation_id, told.traceparent)


def letters_of(reader: Reader, carried: Sequence[tuple[Incoming, Verdict]]) -> list[OutboxRow]:
    """A dead letter for each event of which nothing can come."""
    return [
        letter_of(reader, each.record, (verdict.reason, verdict.detail))
        for each, verdict in carried
        if isinstance(verdict, Dead)
    ]


def letter_of(reader: Reader, record: Any, reason: tuple[str, str]) -> OutboxRow:
    """The dead letter of one record; `reason` is a stable word and a detail without values."""
    headers = [(name, value) for name, value in record.headers if value is not None]
    position = (record.partition, record.offset)
    log.warning("runtime.buried", topic=reader.plain(record.topic), reason=reason[0], offset=record.offset)
    return outbox.dead_row(reader.plain(record.topic), position, record.key, record.value, headers, reason)
