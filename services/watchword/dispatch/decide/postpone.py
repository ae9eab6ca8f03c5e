"""Waiting by topic: each retry topic delays by a fixed time, so that its head is always the next one due."""

import math
from datetime import datetime, timedelta

import msgspec

from watchword.events.send_requested import SendRequested
from watchword.events.topics import RETRY_TIERS_S
from watchword.kernel.event import Emit

_AT_ONCE = timedelta(seconds=1)
# Ordinals 0 to 99 are recoveries; a postponement is told apart by the seconds that were left.
_POSTPONED = 100


def tier_after(tier_s: int, at_least_s: float = 0) -> int:
    """The delay, in seconds, of the retry after one that came through the topic of `tier_s` (0 for none).

    It is `at_least_s` where the gateway asked for that much.
    """
    longer = [delay_s for delay_s, _ in RETRY_TIERS_S if delay_s > tier_s]
    return max(longer[0] if longer else RETRY_TIERS_S[-1][0], math.ceil(at_least_s))


def topic_for(wait_s: float) -> str:
    """The retry topic with the longest delay that is not longer than `wait_s`, so that nothing comes too late."""
    fitting = [topic for delay_s, topic in RETRY_TIERS_S if delay_s <= wait_s]
    return fitting[-1] if fitting else RETRY_TIERS_S[0][1]


def held_s(event: SendRequested, told_at: datetime, tier_s: int, now: datetime, known_s: float) -> float:
    """For how many seconds more its topic holds an event that was told at `told_at` and has been known for `known_s`
    here; 0.0 or less where it does not: the topic's delay, less where it is due sooner or all but due then.

    The first topic holds nothing, and none holds anything for longer than its delay after it was read: once a database
    clock went back, what was told before seems to come from the future, and nobody may wait until that has come.
    """
    if event.not_before is None or tier_s == 0:
        return 0.0
    held = min(event.not_before, told_at + timedelta(seconds=tier_s))
    until = event.not_before if event.not_before - held < _AT_ONCE else held
    return min((until - now).total_seconds(), tier_s + _AT_ONCE.total_seconds() - known_s)


def onward(event: SendRequested, told_at: datetime, tier_s: int, now: datetime) -> Emit | None:
    """The same request for the topic that covers what is left of its wait; None where it is due. What its topic has
    held it for is over by any clock."""
    if event.not_before is None:
        return None
    left = min(event.not_before - now, event.not_before - told_at - timedelta(seconds=tier_s))
    left_s = left.total_seconds()
    if left_s <= 0:
        return None
    return Emit(
        msgspec.structs.replace(event, not_before=now + left),
        str(event.attempt_id),
        ordinal=_POSTPONED + math.ceil(left_s),
        topic=topic_for(left_s),
        key=str(event.verification_id),
        counted=False,
    )
