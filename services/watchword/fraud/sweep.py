"""Lets go of features of which nothing is left, a few with every batch, so that the table follows what is alive."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from watchword.fraud.decide.node import CROWDED_IDLE_S, IDLE_S, Node, forgettable
from watchword.fraud.decide.rules import Rules
from watchword.fraud.table import Kept
from watchword.kernel.feature import kind_of, shard_of

SWEPT_PER_FEATURE = 2


class _Age(msgspec.Struct, array_like=True):
    """The beginning of a node: enough to see that it is alive."""

    at_s: float = 0.0


_ages = msgspec.msgpack.Decoder(_Age)
_nodes = msgspec.msgpack.Decoder(Node)


@dataclass(frozen=True, slots=True)
class Faded:
    """Features that may be dropped, and those among them whose level was told."""

    all: tuple[str, ...]
    told: tuple[str, ...]


class Sweep:
    """Looks through the table a little with every batch, the features longest unseen first."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._queues: dict[int, OrderedDict[str, None]] = {}

    def start_over(self) -> None:
        """Forget what was queued; it is gathered anew from the table."""
        self._queues.clear()

    def faded(self, seen: Iterable[str], table: Kept, now_s: float) -> Faded:
        """What can be dropped of the shards in which `seen` were touched: a few features of each are looked at."""
        if not self._queues:
            self._gather(table)
        turns: dict[int, int] = defaultdict(int)
        for feature in seen:
            shard = shard_of(feature)
            queue = self._queues.setdefault(shard, OrderedDict())
            queue[feature] = None
            queue.move_to_end(feature)
            turns[shard] += SWEPT_PER_FEATURE
        found = [each for shard, count in turns.items() for each in self._look(shard, count, table, now_s)]
        told = tuple(name for name, node in found if node.until_s or node.proven_s)
        return Faded(tuple(name for name, _ in found), told)

    def _look(self, shard: int, turns: int, table: Kept, now_s: float) -> list[tuple[str, Node]]:
        queue, found = self._queues[shard], []
        is_crowded = len(table) >= self._rules.nodes_max
        idle_s = CROWDED_IDLE_S if is_crowded else IDLE_S
        for _ in range(min(turns, len(queue))):
            feature, _nothing = queue.popitem(last=False)
            known = table.get(feature.encode())
            if known is None:
                continue
            if now_s - _ages.decode(known).at_s > idle_s:
                node, kind = _nodes.decode(known), kind_of(feature)
                if kind is None or forgettable(kind, node, now_s, crowded=is_crowded):
                    found.append((feature, node))
                    continue
            queue[feature] = None
        return found

    def _gather(self, table: Kept) -> None:
        for key in table:
            feature = key.decode("utf-8", "replace")
            self._queues.setdefault(shard_of(feature), OrderedDict())[feature] = None


def dropped(faded: Iterable[str], touched: Mapping[int, Iterable[str]]) -> dict[int, dict[bytes, bytes | None]]:
    """The faded features as changes of the partition in whose batch they were found."""
    partition_of = {shard_of(feature): partition for partition, features in touched.items() for feature in features}
    changes: dict[int, dict[bytes, bytes | None]] = defaultdict(dict)
    for feature in faded:
        changes[partition_of[shard_of(feature)]][feature.encode()] = None
    return changes
