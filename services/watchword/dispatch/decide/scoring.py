"""How often codes that an account carried were typed in time, by country: counts that fade, so that an account is
judged by its last hour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

HALF_LIFE: Final = timedelta(minutes=15)
VERIFIED_WITHIN: Final = timedelta(seconds=120)
SLICE_MIN: Final = timedelta(seconds=1)
SLICE_MAX: Final = timedelta(seconds=60)
LOOKED_BACK: Final = timedelta(hours=1)

Key = tuple[str, str]
"""Account and country."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Codes typed in time and not, as they count at `as_of`."""

    verified: float
    unverified: float
    as_of: datetime

    def faded(self, now: datetime) -> "Tally":
        """The same as it counts at `now`: half of it for every `HALF_LIFE` gone by."""
        left = 0.5 ** (max(now - self.as_of, timedelta()) / HALF_LIFE)
        return Tally(self.verified * left, self.unverified * left, max(now, self.as_of))


def next_slice(counted_until: datetime, now: datetime) -> tuple[datetime, datetime] | None:
    """From when to when verifications that began are counted next; None where too few are old enough.

    All are looked at at the same age: those that end well end soon, and whoever counted endings as they come would
    hear of an account that delivers nothing only once its codes have expired.
    """
    begins = max(counted_until, now - LOOKED_BACK)
    ends = min(now - VERIFIED_WITHIN, begins + SLICE_MAX)
    return (begins, ends) if ends - begins >= SLICE_MIN else None


def added(tallies: Mapping[Key, Tally], counts: Mapping[Key, tuple[int, int]], at: datetime) -> Mapping[Key, Tally]:
    """The tallies that `counts` of a slice that ended `at` change."""
    return {key: _plus(tallies.get(key), verified, unverified, at) for key, (verified, unverified) in counts.items()}


def _plus(before: Tally | None, verified: int, unverified: int, at: datetime) -> Tally:
    base = (before or Tally(0.0, 0.0, at)).faded(at)
    return Tally(base.verified + verified, base.unverified + unverified, base.as_of)
