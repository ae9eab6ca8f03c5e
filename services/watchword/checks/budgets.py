"""How many wrong guesses a number may take, across all its verifications. Pure.

A budget is one GCRA bucket: `per_hour` guesses at once, then one every hour / `per_hour`; the same for the day. A
check is charged to both before anything is compared, and a right code gets its charge back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Charge:
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
