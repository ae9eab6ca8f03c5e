"""Moments as operators type them."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(?P<count>[0-9]{1,6}(?:\.[0-9]{1,3})?)(?P<unit>[smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def moment(text: str, now: datetime) -> datetime:
    """The moment that `text` names: `now`, `15m` (that long ago; s, m, h, d), or an RFC 3339 time, UTC where it says
    no zone. Raises ValueError."""
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=float(ago["count"]) * _UNITS_S[ago["unit"]])
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write now, 15m (ago), or 2026-01-31T12:00Z") from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
