"""Whether what was accepted leaves again, or more is accepted than the workers behind intake can do. Pure.

A few of those that are accepted are followed until their first attempt was tried. The newest of these that was tried
tells how far the others have come; how many were accepted since, beside the pace at which that grew, tells how long
whoever is accepted now would wait. Where nothing moves nothing can be told of the pace: a worker is being started
anew, or a message waits on purpose, and what stands still for good is not mended by refusing the next.
"""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

FOLLOW_EVERY_S = 0.05
FOLLOWED_MAX = 400
SLOW_S = 1.0  # what is tried within this time is in no line worth the name,
FEW = 16  # and so are these: they wait for a moment in which nothing goes on
STANDS_STILL_S = 2.0
# Whoever comes now waits at most so many times as long as the first of those that wait has waited: a pace that was
# seen while little came says little about how fast it could have been.
BEYOND_AGE = 4.0
PACE_OVER_S = 4.0
PACE_FROM_S = 1.5  # what was seen for a shorter time, since it goes on again, is no pace


@dataclass(frozen=True, slots=True)
class Followed:
    """An accepted verification: how many were accepted up to it, and when, on the monotonic clock."""

    id: UUID
    number: int
    accepted_s: float


class Progress:
    """Follows what is accepted."""

    def __init__(self) -> None:
        self._accepted = 0
        self._followed: deque[Followed] = deque(maxlen=FOLLOWED_MAX)
        self._newest_s = float("-inf")
        # When somebody saw that it goes on, and how far it was.
        self._steps: deque[tuple[float, int]] = deque([(float("-inf"), 0)])

    def accepted(self, identity: Callable[[], UUID], now_s: float) -> None:
        """One more was accepted. `identity` is asked only if it is to be followed."""
        self._accepted += 1
        if now_s - self._newest_s >= FOLLOW_EVERY_S:
            self._newest_s = now_s
            self._followed.append(Followed(identity(), self._accepted, now_s))

    def open(self) -> list[UUID]:
        """Those of which it is not known yet whether they were tried."""
        return [each.id for each in self._followed]

    def seen(self, tried: Collection[UUID], now_s: float) -> None:
        """Of `open()`, these were tried. Whatever was accepted before the newest of them is followed no longer."""
        reached = max((each.number for each in self._followed if each.id in tried), default=0)
        if not reached:
            return
        while self._followed and self._followed[0].number <= reached:
            self._followed.popleft()
        if not self._moves(now_s):
            self._steps.clear()  # what was before it stood still says nothing about its pace now
        self._steps.append((now_s, reached))
        while self._steps[0][0] < now_s - PACE_OVER_S:
            self._steps.popleft()

    def wait_s(self, now_s: float) -> float:
        """How long whoever is accepted now would wait, 0 while nobody waits for long or nothing moves."""
        age_s = now_s - self._followed[0].accepted_s if self._followed else 0.0
        (since_s, was), (at_s, reached) = self._steps[0], self._steps[-1]
        ahead = self._accepted - reached
        if age_s < SLOW_S or ahead <= FEW or not self._moves(now_s):
            return 0.0
        if at_s - since_s < PACE_FROM_S or reached == was:
            return 0.0
        return min(ahead * (at_s - since_s) / (reached - was), BEYOND_AGE * age_s)

    def _moves(self, now_s: float) -> bool:
        return self._steps[-1][0] > now_s - STANDS_STILL_S
