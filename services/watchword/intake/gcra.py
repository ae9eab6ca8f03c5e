"""The generic cell rate algorithm: a limit kept as one moment per bucket (ITU-T I.371, annex A).

A bucket is its theoretical arrival time, `tat`: the moment at which it will be empty again. Everything is counted in
whole microseconds, so that any number of takers, in any number of batches, come to the same count.
"""

import msgspec

_SECOND_US = 1_000_000


class Rate(msgspec.Struct, frozen=True):
    """At most `burst` at once, and after that `count` per `period_s` seconds, evenly spread."""

    count: int
    period_s: int
    burst: int

    @property
    def spacing_us(self) -> int:
        """Microseconds that one take costs; rounded up, so that rounding never gives anything away."""
        return -(-self.period_s * _SECOND_US // self.count)

    @property
    def span_us(self) -> int:
        """How far ahead of the present a bucket may run, in microseconds: what `burst` takes cost."""
        return self.burst * self.spacing_us


def per(count: int, period_s: int) -> Rate:
    """`count` at once, then `count` per `period_s`."""
    return Rate(count, period_s, count)


def wait_us(rate: Rate, tat_us: int, now_us: int) -> int:
    """How long after `now_us` one may be taken; 0 if it may be taken now."""
    full_at = max(tat_us, now_us) + rate.spacing_us
    return max(0, full_at - now_us - rate.span_us)


def taken(rate: Rate, tat_us: int, now_us: int) -> int:
    """The bucket after one was taken. Ask `wait_us` first: this never refuses."""
    return max(tat_us, now_us) + rate.spacing_us
