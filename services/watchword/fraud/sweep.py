"""Lets go of features of which nothing is left, a few with every batch, so that the table follows what is alive."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from watchword.fraud.decide.node import CROWDED_IDLE_S, IDLE_S, Node, forgettable
from watchword.fraud.decide.rules import Rules
from watchword.fraud.table import Kept
from watchword.kernel.feature import kind_of, shard_of

SWEPT_PER_FEATURE = 2
_AT_ONCE_S = 0.0


class _Age(msgspec.Struct, array_like=True):
    """The beginning of a node: enough to see that it is alive."""

    at_s: float = 0.0


_ages = msgspec.msgpack.Decoder(_Age)
_nodes = msgspec.msgpack.Decoder(Node)


@dataclass(frozen=True, slots=True)
class Faded:
    """Keys of features that may be dropped, by shard, and those among them whose level was told."""

    all: Mapping[int, Sequence[bytes]]
    told: tuple[bytes, ...]


class Sweep:
    """Looks through the table a little with every batch, the features longest unseen first. What was looked at, or
    seen, is left alone for as long as it could not have become idle."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._queues: dict[int, OrderedDict[bytes, float]] = {}

    def start_over(self) -> None:
        """Forget what was queued; it is gathered anew from the table."""
        self._queues.clear()

    def faded(self, touched: Mapping[int, Sequence[bytes]], table: Kept, now_s: float) -> Faded:
        """What can be dropped of the shards in which something was touched: a few features of each are looked at.
        Keys by shard."""
        if not self._queues:
            self._gather(table)
        found, told = {}, list[bytes]()
        for shard, keys in touched.items():
            queue = self._queues.setdefault(shard, OrderedDict())
            for key in keys:
                queue[key] = now_s
                queue.move_to_end(key)
            gone = self._look(queue, SWEPT_PER_FEATURE * len(keys), table, now_s)
            found[shard] = [key for key, _ in gone]
            told += [key for key, node in gone if node.until_s or node.proven_s]
        return Faded(found, tuple(told))

    def _look(
        self, queue: OrderedDict[bytes, float], turns: int, table: Kept, now_s: float
    ) -> list[tuple[bytes, Node]]:
        found = []
        is_crowded = len(table) >= self._rules.nodes_max
        idle_s = CROWDED_IDLE_S if is_crowded else IDLE_S
        for _ in range(min(turns, len(queue))):
            key, queued_s = next(iter(queue.items()))
            if now_s - queued_s <= idle_s:
                break
            del queue[key]
            known = table.get(key)
            if known is None:
                continue
            if now_s - _ages.decode(known).at_s > idle_s:
                node, kind = _nodes.decode(known), kind_of(key.decode("utf-8", "replace"))
                if kind is None or forgettable(kind, node, now_s, crowded=is_crowded):
                    found.append((key, node))
                    continue
            queue[key] = now_s
        return found

    def _gather(self, table: Kept) -> None:
        for key in table:
            shard = shard_of(key.decode("utf-8", "replace"))
            self._queues.setdefault(shard, OrderedDict())[key] = _AT_ONCE_S
