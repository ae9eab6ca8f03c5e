"""Offsets below which nothing is owed, and when they are committed: a few times a second, and before partitions leave.

What is read again after a death changes nothing, so that a commit a turn would only cost.
"""

import time
from collections.abc import Callable, Mapping

from aiokafka import TopicPartition

from watchword.runtime.kafka import Reader

COMMIT_EVERY_S = 0.2


class Finished:
    """The next offset of every partition that a reader has finished since the last commit. `committed` is called after
    each one."""

    def __init__(self, reader: Reader, committed: Callable[[], None]) -> None:
        self._reader = reader
        self._committed = committed
        self._offsets: dict[TopicPartition, int] = {}
        self._epoch = -1
        self._tried_at_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last try is long enough ago for another one in the middle of work."""
        return time.monotonic() - self._tried_at_s >= COMMIT_EVERY_S

    def add(self, offsets: Mapping[TopicPartition, int], epoch: int) -> None:
        """Nothing more is owed below these offsets, which were read in `epoch`."""
        if self._epoch != epoch:
            self._offsets, self._epoch = {}, epoch
        self._offsets |= offsets

    async def commit(self) -> None:
        """Commit them; what is refused is tried again for as long as the partitions are ours."""
        self._tried_at_s = time.monotonic()
        if self._epoch != self._reader.epoch:
            self._offsets = {}
        if self._offsets and await self._reader.commit(self._offsets, epoch=self._epoch):
            self._offsets = {}
            self._committed()
