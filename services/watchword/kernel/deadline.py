"""Moments after which something may no longer happen."""

from datetime import datetime, timedelta

from watchword.kernel.policy import send_margin_s

RECEIPT_PATIENCE = timedelta(minutes=10)


def receipt_deadline(expires_at: datetime) -> datetime:
    """The moment after which nobody waits for a receipt any more; a later one still counts."""
    return expires_at + RECEIPT_PATIENCE


def send_deadline(created_at: datetime, expires_at: datetime) -> datetime:
    """The moment after which a code may not be sent any more: it would reach the user too late to be typed.

    A life shorter than its margin would never send; it keeps half of itself instead.
    """
    life_s = (expires_at - created_at).total_seconds()
    return expires_at - timedelta(seconds=min(send_margin_s(int(life_s)), life_s / 2))
