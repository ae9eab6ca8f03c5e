"""What the judge's consumer commits after a restart, and what its table lets go of when partitions move: Faust's own
arithmetic, without the holes it falls into."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from faust.stores.memory import Store
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from watchword.fraud.stream import ChangelogTable, SureFooted

SIGNALS = TP("otp.signals.v1", 3)


class Books(Consumer):  # type: ignore[misc]  # Faust is not typed for us
    """What Faust's consumer remembers of one partition: no thread, no broker. `known` is what a broker would answer."""

    def __init__(self, known: int | None = None) -> None:
        self._known = known
        self._acked: dict[TP, list[int]] = defaultdict(list)
        self._acked_index: dict[TP, set[int]] = defaultdict(set)
        self._gap: dict[TP, Any] = defaultdict(set)
        self._committed_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._read_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self.sought: list[tuple[TP, int]] = []

    def assignment(self) -> set[TP]:
        return {SIGNALS}

    def _is_changelog_tp(self, tp: TP) -> bool:
        return False

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        return {SIGNALS: self._known}

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought.append((partition, offset))


class Unstarted(SureFooted, Books):
    """The judge's consumer on such books."""


def test_records_that_came_twice_do_not_hold_up_the_others() -> None:
    consumer = Unstarted()
    consumer._committed_offset[SIGNALS] = 120
    consumer._acked[SIGNALS] = [120, 121, 122, 121, 122, 123, 123, 124]
    assert consumer._new_offset(SIGNALS) == 125
    assert consumer._acked[SIGNALS] == []


async def test_what_was_committed_while_the_broker_was_asked_is_not_forgotten() -> None:
    consumer = Unstarted(known=340)
    consumer._committed_offset[SIGNALS] = 346
    await consumer.perform_seek()
    consumer._acked[SIGNALS] = [346, 347, 348]
    assert consumer._new_offset(SIGNALS) == 349


async def test_a_partition_of_which_nothing_was_committed_is_read_from_its_beginning() -> None:
    consumer = Unstarted(known=None)
    await consumer.perform_seek()
    assert consumer.sought == [(SIGNALS, 0)]


class Acknowledging:
    """A broker that takes whatever is written to a changelog."""

    async def append(self, topic: str, changes: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        return


async def test_a_judge_that_gives_a_partition_away_does_not_keep_its_features() -> None:
    store = Store.__new__(Store)  # what it is of, an application and a table, does not matter here
    store.__post_init__()
    table = ChangelogTable(store, Acknowledging(), "judge-nodes-changelog")
    await table.write({3: {b"range:+4479": b"a", b"range:+4477": b"b"}, 4: {b"range:+9989": b"c"}})
    await table.write({3: {b"range:+4477": None}})
    await store.on_recovery_completed({TP("otp.signals.v1", 4)}, set())
    assert set(table) == {b"range:+9989"}
    assert store._key_partition == {b"range:+9989": 4}
