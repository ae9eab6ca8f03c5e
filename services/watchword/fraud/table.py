"""The judge's table as it works with it: a node per feature, read when it is asked for, written once per batch."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from watchword.events.risk_level_set import RiskLevel
from watchword.fraud.decide.node import WRITTEN_AS, Node, says_nothing

Changes = dict[int, dict[bytes, bytes | None]]
"""What a batch changes: by partition of the signals, keys and new values; None for what is dropped."""


class _Level(msgspec.Struct, rename=WRITTEN_AS.get):
    """So much of a node that its level can be seen."""

    level: RiskLevel = RiskLevel.NORMAL


_nodes = msgspec.msgpack.Decoder(Node)
_levels = msgspec.msgpack.Decoder(_Level)
_encode = msgspec.msgpack.Encoder().encode


class Touched(NamedTuple):
    """What a batch asked for of one shard: how many `features`, and the keys of those that were not there before."""

    features: int
    new: Sequence[bytes]


class Kept(Protocol):
    """Encoded nodes by feature key, all that this process looks after."""

    def get(self, key: bytes) -> bytes | None:
        """The encoded node, None for one that is not there."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...

    def __len__(self) -> int: ...


class Table(Kept, Protocol):
    """The same, kept beyond this process."""

    async def write(self, changes: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        """Keep all changes, durably first. Raises PublishUnknown, and then may have kept some of them."""
        ...


class TableNodes:
    """The nodes of one batch. A feature belongs to the shard its signals came in, and that to their partition (decision
    0002)."""

    def __init__(self, table: Kept) -> None:
        self._table = table
        self._shard = 0
        self._partition_of = {0: 0}
        self._read: dict[str, tuple[int, bytes, bytes | None, Node]] = {}
        self._new = 0

    def enter(self, shard: int, partition: int) -> None:
        """What is asked for from now on is of this shard, whose signals come from this partition."""
        self._shard = shard
        self._partition_of[shard] = partition

    def __len__(self) -> int:
        """How many nodes there are, those of this batch among them."""
        return len(self._table) + self._new

    def __contains__(self, feature: str) -> bool:
        return feature in self._read or self._table.get(feature.encode()) is not None

    def node(self, feature: str) -> Node:
        """The node of a feature, a new one where the table has none."""
        found = self._read.get(feature)
        if found is not None:
            return found[3]
        key = feature.encode()
        known = self._table.get(key)
        node = _nodes.decode(known) if known else Node()
        self._new += not known
        self._read[feature] = (self._shard, key, known, node)
        return node

    def before(self, feature: str) -> RiskLevel:
        """The level of a feature of this batch as the table still has it."""
        known = self._read[feature][2]
        return _levels.decode(known).level if known else RiskLevel.NORMAL

    def touched(self) -> dict[int, Touched]:
        """What was asked for, by shard."""
        counts, new = Counter[int](), defaultdict[int, list[bytes]](list)
        for shard, key, known, node in self._read.values():
            counts[shard] += 1
            if known is None and not _is_not_begun(node):
                new[shard].append(key)
        return {shard: Touched(count, new[shard]) for shard, count in counts.items()}

    def changed(self) -> Changes:
        """Everything that the table does not hold so yet. What was only refused is not begun: it would hold nothing,
        and whoever is refused may come from anywhere."""
        found: Changes = defaultdict(dict)
        for shard, key, known, node in self._read.values():
            encoded = _encode(node)
            if known != encoded and (known is not None or not _is_not_begun(node)):
                found[self._partition_of[shard]][key] = encoded
        return found

    def without(self, faded: Mapping[int, Sequence[bytes]]) -> Changes:
        """Keys by shard as changes that drop them. Shards share partitions."""
        found: Changes = defaultdict(dict)
        for shard, keys in faded.items():
            found[self._partition_of[shard]].update(dict.fromkeys(keys))
        return found


def _is_not_begun(node: Node) -> bool:
    return node.at_s == 0.0 and says_nothing(node)
