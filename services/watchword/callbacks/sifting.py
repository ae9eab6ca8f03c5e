"""Records that nobody can want are passed over by their headers, before they cost any decoding or a query.

Most tenants have no endpoint and every verification tells five events, so mostly that is all of them.
"""

from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from watchword.events.envelope import Headers

Batches = dict[TopicPartition, list[Any]]


class SiftingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka ships no types
    """A consumer that hands out what `may_be_wanted` by its headers, and the last record of each partition, wanted or
    not: its offset stands for those before it, so that what was passed over is committed like everything else."""

    def __init__(self, may_be_wanted: Callable[[Headers], bool], **options: Any) -> None:
        super().__init__(**options)
        self._may_be_wanted = may_be_wanted

    async def getmany(self, *partitions: TopicPartition, **limits: Any) -> Batches:
        """As the client's, sifted."""
        return sifted(await super().getmany(*partitions, **limits), self._may_be_wanted)


def sifted(batches: Batches, may_be_wanted: Callable[[Headers], bool]) -> Batches:
    """Of each partition the records that may be wanted, in their order, and its last one."""
    return {
        partition: [*(record for record in records[:-1] if may_be_wanted(record.headers)), *records[-1:]]
        for partition, records in batches.items()
    }
