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

    def node(self, feature: str) -> Node:
        """The node of a feature, a new one where the table has none."""
        found = self._read.get(feature)
        if found is not None:
            return found[1]
        known = self._table.get(feature.encode())
        node = _nodes.decode(known) if known else Node()
        self._read[feature] = (self.partition, node)
        return node

    def touched(self) -> dict[int, list[str]]:
        """The features that were asked for, by partition."""
        found = defaultdict(list)
        for feature, (partition, _) in self._read.items():
            found[partition].append(feature)
        return found

    def changed(self) -> Changes:
        """Everything that the table does not hold so yet."""
        found: Changes = defaultdict(dict)
        for feature, (partition, node) in self._read.items():
            key, encoded = feature.encode(), _encode(node)
            if self._table.get(key) != encoded:
                found[partition][key] = encoded
        return found
