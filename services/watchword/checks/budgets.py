"""How many wrong guesses a number may take, across all its verifications, and a tenant beyond what is usual. Pure.

A budget is one GCRA bucket: `per_hour` guesses at once, then one every hour / `per_hour`; the same for the day. A
check is charged to all of them before anything is compared, and a right code gets its charge back. To its tenant it
gives back one more: wrong codes are as usual as long as right ones keep step with them, and only the excess fills the
bucket.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
USUAL_WRONG_PER_RIGHT = 1


class Charge(msgspec.Struct, frozen=True):
    """One guess taken from one bucket: the bucket's key, what a guess costs there, how far ahead it may run."""

    key: str
    cost: timedelta
    span: timedelta


def charges(tenant: str, number_token: str, *, per_hour: int, per_day: int) -> tuple[Charge, Charge]:
    """What one check of a number costs. The keys' beginnings are known to the statement `charge`."""
    of_number = f"{tenant}/{number_token}"
    return (
        Charge(f"wrong/hour/{of_number}", HOUR / per_hour, HOUR),
        Charge(f"wrong/day/{of_number}", DAY / per_day, DAY),
    )


class Excess(msgspec.Struct, frozen=True):
    """How many wrong codes of a tenant beyond its right ones are borne an hour, and whether checks are refused then
    (`enforced`) or only counted as alarming."""

    tenant: str
    per_hour: int
    enforced: bool

    def charge(self, checks: int) -> Charge:
        """What so many checks cost together: a batch passes as a whole or not at all."""
        return Charge(f"wrong/tenant/{self.tenant}", HOUR / self.per_hour * checks, HOUR)

    def returned(self) -> Charge:
        """What a right code gives back: itself, and a wrong one that goes with it."""
        return self.charge(1 + USUAL_WRONG_PER_RIGHT)


def summed(taken: Iterable[Charge]) -> dict[str, timedelta]:
    """The cost of all of `taken` per key."""
    total: dict[str, timedelta] = {}
    for charge in taken:
        total[charge.key] = total.get(charge.key, timedelta()) + charge.cost
    return total


def retry_after_s(refused: Iterable[Charge], buckets: Mapping[str, datetime], now: datetime) -> int:
    """Whole seconds, at least one, until every bucket has room for the charge it refused. `buckets` holds each
    key's theoretical arrival time."""
    waits = [
        (buckets[charge.key] + charge.cost - now - charge.span).total_seconds()
        for charge in refused
        if charge.key in buckets
    ]
    return max(1, *(int(-(-wait // 1)) for wait in waits)) if waits else 1
