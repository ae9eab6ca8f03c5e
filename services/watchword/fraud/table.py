"""The judge's table as it works with it: a node per feature, read when it is asked for, written once per batch."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from watchword.fraud.decide.node import Node

Changes = dict[int, dict[bytes, bytes | None]]
"""What a batch changes: by partition of the signals, keys and new values; None for what is dropped."""

_nodes = msgspec.msgpack.Decoder(Node)
_encode = msgspec.msgpack.Encoder().encode
_NOTHING = Node()


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
    """The nodes of one batch. A feature belongs to the partition its signals came from (decision 0002)."""

    def __init__(self, table: Kept) -> None:
        self.partition = 0
        self._table = table
        self._read: dict[str, tuple[int, Node]] = {}
        self._new = 0

    def __len__(self) -> int:
        """How many nodes there are, those of this batch among them."""
        return len(self._table) + self._new

    def __contains__(self, feature: str) -> bool:
        return feature in self._read or self._table.get(feature.encode()) is not None

    def node(self, feature: str) -> Node:
        """The node of a feature, a new one where the table has none."""
        found = self._read.get(feature)
        if found is not None:
            return found[1]
        known = self._table.get(feature.encode())
        node = _nodes.decode(known) if known else Node()
        self._new += not known
        self._read[feature] = (self.partition, node)
        return node

    def touched(self) -> dict[int, list[str]]:
        """The features that were asked for, by partition."""
        found = defaultdict(list)
        for feature, (partition, _) in self._read.items():
            found[partition].append(feature)
        return found

    def changed(self) -> Changes:
        """Everything that the table does not hold so yet. What was only refused is not begun: it would hold nothing,
        and whoever is refused may come from anywhere."""
        found: Changes = defaultdict(dict)
        for feature, (partition, node) in self._read.items():
            key, encoded = feature.encode(), _encode(node)
            known = self._table.get(key)
            if known != encoded and (known is not None or not _holds_nothing(node)):
                found[partition][key] = encoded
        return found


def _holds_nothing(node: Node) -> bool:
    return node.at_s == 0.0 and msgspec.structs.replace(node, ring=b"") == _NOTHING
