"""Whether a tenant's assessments are acted on. Who says nothing is monitored at first: until its own traffic is known,
rules that were made on others' would refuse its users."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchword.events.verification_assessed import ModeReason
from watchword.kernel.tenancy import FraudMode

MONITORED_FOR = timedelta(days=7)
MONITORED_SENDS = 10_000


@dataclass(frozen=True, slots=True)
class Season:
    """How long a tenant has been seen: its first send was assessed at `began_at`, and `sends` have been since."""

    began_at: datetime
    sends: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """The mode that holds for one send, `MONITOR` or `ENFORCE`, and why."""

    mode: FraudMode
    reason: ModeReason


def over(season: Season, now: datetime) -> ModeReason | None:
    """By what the time of monitoring is over; None while it lasts."""
    if season.sends > MONITORED_SENDS:
        return ModeReason.SENDS_PASSED
    return ModeReason.DAYS_PASSED if now - season.began_at >= MONITORED_FOR else None


def resolved(configured: FraudMode | None, seasoned: ModeReason | None) -> Resolved:
    """The mode of a tenant whose document says `configured`, None for one that is not known (any more). `seasoned` is
    what `over` says of it."""
    if configured is None:
        return Resolved(FraudMode.MONITOR, ModeReason.NO_TENANT)
    if configured is not FraudMode.AUTO:
        return Resolved(configured, ModeReason.CONFIGURED)
    if seasoned is None:
        return Resolved(FraudMode.MONITOR, ModeReason.NEW_TENANT)
    return Resolved(FraudMode.ENFORCE, seasoned)
