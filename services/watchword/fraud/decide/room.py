"""What an observation counts for when there is no room for more features."""

from typing import Protocol

from watchword.events.signal_observed import Observation, SignalKind
from watchword.kernel.feature import SOURCES, Kind, trail_of

_COUNTLESS = frozenset({*SOURCES, Kind.BLOCK, Kind.ROW})


class Held(Protocol):
    """The features that nodes are kept of."""

    def __len__(self) -> int: ...

    def __contains__(self, feature: str, /) -> bool: ...


def counted_under(kind: Kind | None, seen: Observation, held: Held, nodes_max: int) -> str | None:
    """The feature that an observation counts for, None for none; `kind` is that of the one it names, None if unknown.

    Past `nodes_max` a new row or block counts for the finest known above it, its range at the least, and whoever asks
    and is new for nothing: these come in any number. Ranges, what is above them and tenants are few and always find
    room.
    """
    if kind is None or seen.kind is SignalKind.UNKNOWN:
        return None
    if kind not in _COUNTLESS or len(held) < nodes_max or seen.feature in held:
        return seen.feature
    if kind in SOURCES or seen.kind is SignalKind.LIFTED:
        return None
    above = reversed(trail_of(seen.feature, seen.country))
    return next(feature for each, feature in above if each is Kind.RANGE or feature in held)
