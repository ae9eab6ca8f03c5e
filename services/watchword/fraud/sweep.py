"""Lets go of features of which nothing is left, a few with every batch, so that the table follows what is alive."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from watchword.fraud.decide.node import CROWDED_IDLE_S, IDLE_S, OF_ONE_USER, SPENT_IDLE_S, WRITTEN_AS, Node, forgettable
from watchword.fraud.decide.rules import Rules
from watchword.fraud.table import Kept, Touched
from watchword.kernel.feature import kind_of, shard_of

SWEPT_PER_FEATURE = 2
ROUND_S = 60.0
_AT_ONCE_S = 0.0
_OF_ONE_USER = tuple(f"{kind.value}:".encode() for kind in OF_ONE_USER)


class _Age(msgspec.Struct, rename=WRITTEN_AS.get):
    """So much of a node that it can be seen to be alive."""

    at_s: float = 0.0


_ages = msgspec.msgpack.Decoder(_Age)
_nodes = msgspec.msgpack.Decoder(Node)


@dataclass(frozen=True, slots=True)
class Faded:
    """Keys of features that may be dropped, by shard, and those among them whose level was told."""

    all: Mapping[int, Sequence[bytes]]
    told: tuple[bytes, ...]


@dataclass(slots=True)
class _Round:
    """The keys of a shard, each once, in the order in which they are looked at. So many are `left` of the round that
    was begun at `began_s`; they are the table's own keys, so that one more feature costs eight bytes here."""

    keys: deque[bytes] = field(default_factory=deque)
    left: int = 0
    began_s: float = _AT_ONCE_S

    def turns(self, wanted: int, now_s: float) -> int:
        """How many keys to look at now: each at most once in `ROUND_S`."""
        if not self.left and now_s - self.began_s >= ROUND_S:
            self.left, self.began_s = len(self.keys), now_s
        turns = min(wanted, self.left)
        self.left -= turns
        return turns


class Sweep:
    """Looks through the table a little with every batch, round after round."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._rounds: dict[int, _Round] = {}

    def start_over(self) -> None:
        """Forget what was queued; it is gathered anew from the table."""
        self._rounds.clear()

    def faded(self, touched: Mapping[int, Touched], table: Kept, now_s: float) -> Faded:
        """What can be dropped of the shards in which something was touched: a few features of each are looked at.
        What is new there is looked at from now on. Keys by shard."""
        if is_anew := not self._rounds:
            self._gather(table)
        found, told = {}, list[bytes]()
        for shard, (count, new) in touched.items():
            round_ = self._rounds.setdefault(shard, _Round())
            gone = self._look(round_, SWEPT_PER_FEATURE * count, table, now_s)
            if not is_anew:
                round_.keys.extend(new)
            found[shard] = [key for key, _ in gone]
            told += [key for key, node in gone if node.until_s or node.proven_s]
        return Faded(found, tuple(told))

    def _look(self, round_: _Round, wanted: int, table: Kept, now_s: float) -> list[tuple[bytes, Node]]:
        found, keys = [], round_.keys
        is_crowded = len(table) >= self._rules.nodes_max
        idle_s = CROWDED_IDLE_S if is_crowded else IDLE_S
        for _ in range(round_.turns(wanted, now_s)):
            key = keys.popleft()
            known = table.get(key)
            if known is None:
                continue
            if now_s - _ages.decode(known).at_s > (SPENT_IDLE_S if key.startswith(_OF_ONE_USER) else idle_s):
                node, kind = _nodes.decode(known), kind_of(key.decode("utf-8", "replace"))
                if kind is None or forgettable(kind, node, now_s, crowded=is_crowded):
                    found.append((key, node))
                    continue
            keys.append(key)
        return found

    def _gather(self, table: Kept) -> None:
        for key in table:
            shard = shard_of(key.decode("utf-8", "replace"))
            self._rounds.setdefault(shard, _Round()).keys.append(key)
