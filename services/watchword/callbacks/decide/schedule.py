"""When a delivery is tried: densely while the code lives, then ever more seldom for three days. Pure.

The moments follow from when the delivery began and when the code dies, not from how often it was tried: an endpoint
that is left alone for a while loses tries, never time.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import accumulate, chain, repeat
from typing import Final

DENSE_S: Final = (1, 2, 5, 10, 20, 40)
LONG_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""The example schedule of Standard Webhooks: 75 h 35 min in all."""
JITTER: Final = 0.1
RETRY_AFTER_MAX_S: Final = 3_600.0
_DRAW_BYTES: Final = 7


def next_try(begun_at: datetime, expires_at: datetime, now: datetime, draw: float) -> datetime | None:
    """The next moment after `now`, up to a tenth of its gap late by `draw` in [0, 1); None when there is none left.

    A moment inside the code's life stays inside it.
    """
    for moment, gap_s in moments(begun_at, expires_at):
        if moment > now:
            late = moment + timedelta(seconds=gap_s * JITTER * draw)
            return min(late, expires_at) if moment < expires_at else late
    return None


def moments(begun_at: datetime, expires_at: datetime) -> Iterator[tuple[datetime, int]]:
    """Every moment of a delivery after its first try at `begun_at`, each with its gap in seconds."""
    elapsed_s = 0
    for gap_s in chain(DENSE_S, repeat(DENSE_S[-1])):
        elapsed_s += gap_s
        moment = begun_at + timedelta(seconds=elapsed_s)
        if moment >= expires_at:
            break
        yield moment, gap_s
    anchor = max(begun_at, expires_at)
    for gap_s, after_s in zip(LONG_S, accumulate(LONG_S), strict=True):
        yield anchor + timedelta(seconds=after_s), gap_s


def gives_up_at(begun_at: datetime, expires_at: datetime) -> datetime:
    """The end of the schedule, the last try and its jitter included."""
    return max(begun_at, expires_at) + timedelta(seconds=sum(LONG_S) + LONG_S[-1] * JITTER)


def after_pause(moment: datetime, now: datetime, retry_after_s: float | None) -> datetime:
    """`moment`, or later if the endpoint asked for it; an hour at most, so that nobody puts us off for good."""
    if retry_after_s is None:
        return moment
    return max(moment, now + timedelta(seconds=min(retry_after_s, RETRY_AFTER_MAX_S)))


def draw_of(*parts: object) -> float:
    """A number in [0, 1) that looks drawn and follows from `parts`: a repeat draws the same."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=_DRAW_BYTES).digest()
    return int.from_bytes(digest, "big") / (1 << 8 * _DRAW_BYTES)
