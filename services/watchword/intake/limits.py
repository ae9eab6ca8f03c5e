"""Which limits a send must pass, in which order, and what is left of them. Pure: buckets come in, buckets go out.

A send passes all of its limits or takes from none: what one caller is refused burns nothing of what another may still
use. The number's own come last (guarantees.md, section 3).
"""

from collections.abc import Iterable, Mapping

import msgspec

from watchword.intake.gcra import Rate, per, taken, wait_us
from watchword.kernel.policy import Policy
from watchword.kernel.tenancy import Tenant

RATE_LIMITED = "rate_limited"
NUMBER_LIMITED = "number_limited"
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
_SECOND_US = 1_000_000


class Limit(msgspec.Struct, frozen=True):
    """One bucket a send takes from. `name` says whose it is; `code` is the problem that a refusal by it is."""

    name: str
    code: str
    key: str
    rate: Rate


class Shortage(msgspec.Struct, frozen=True):
    """The first limit that refused, and when to ask again, in whole seconds from now, at least one."""

    limit: Limit
    retry_after_s: int


class Room(msgspec.Struct, frozen=True):
    """What is left of a limit: `remaining` of `quota` now, all of it again in `reset_s`; `window_s` is how long the
    whole quota takes to come back."""

    quota: int
    window_s: int
    remaining: int
    reset_s: float


def limits_of(
    tenant: Tenant, policy: Policy, *, country: str, range_: str, number_token: str, ip_token: str = ""
) -> tuple[Limit, ...]:
    """The limits of one send, in the order in which they are asked. `ip_token` is "" where no address was claimed.

    `number_token` is made under the tenant's key, so a number's budget is per tenant.
    """
    whole = Rate(tenant.requests_per_second, 1, tenant.requests_burst)
    found = [Limit("tenant", RATE_LIMITED, f"send/tenant/{tenant.id}/", whole)]
    for name, code, whose, count, period_s in (
        ("ip", RATE_LIMITED, ip_token, tenant.ip_per_hour, HOUR_S),
        ("country", RATE_LIMITED, country, tenant.country_per_hour, HOUR_S),
        ("range", RATE_LIMITED, range_, tenant.range_per_hour, HOUR_S),
        ("10min", NUMBER_LIMITED, number_token, policy.sends_per_10min, 10 * MINUTE_S),
        ("day", NUMBER_LIMITED, number_token, policy.sends_per_day, DAY_S),
    ):
        if whose:
            found.append(Limit(name, code, f"send/{name}/{tenant.id}/{whose}", per(count, period_s)))
    return tuple(found)


class Buckets:
    """The buckets of a batch while it is decided. `now_us` is the batch's one moment, in microseconds since 1970."""

    def __init__(self, tats_us: Mapping[str, int], now_us: int) -> None:
        self._tats_us = dict(tats_us)
        self._now_us = now_us
        self._changed: set[str] = set()

    def take(self, limits: Iterable[Limit]) -> Shortage | None:
        """One from every bucket, or, if one of them is exhausted, none from any and what was short."""
        wanted = tuple(limits)
        for limit in wanted:
            wait = wait_us(limit.rate, self._tats_us.get(limit.key, 0), self._now_us)
            if wait:
                return Shortage(limit, -(-wait // _SECOND_US))
        for limit in wanted:
            self._tats_us[limit.key] = taken(limit.rate, self._tats_us.get(limit.key, 0), self._now_us)
            self._changed.add(limit.key)
        return None

    def room(self, limit: Limit) -> Room:
        """What is left in the bucket of `limit`."""
        return room_of(limit.rate, self._tats_us.get(limit.key, 0), self._now_us)

    def changed(self) -> dict[str, int]:
        """The buckets that were taken from, as they are now, in microseconds since 1970."""
        return {key: self._tats_us[key] for key in sorted(self._changed)}


def room_of(rate: Rate, tat_us: int, now_us: int) -> Room:
    """What is left in a bucket."""
    spacing_us, filled_us = rate.spacing_us, max(tat_us - now_us, 0)
    whole_us = rate.burst * spacing_us
    return Room(rate.burst, -(-whole_us // _SECOND_US), (whole_us - filled_us) // spacing_us, filled_us / _SECOND_US)
