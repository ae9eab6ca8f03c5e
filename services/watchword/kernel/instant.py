"""Moments as whole microseconds since 1970, for arithmetic that must not round. Postgres keeps no finer ones."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(count: int) -> datetime:
    """The moment, in UTC, that many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=count)
