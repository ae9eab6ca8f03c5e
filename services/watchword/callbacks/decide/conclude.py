"""What one call to an endpoint leads to: delivered, again later, given up, or the endpoint is gone. Pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from uuid import UUID

from watchword.callbacks.decide.schedule import after_pause, draw_of, next_try
from watchword.events.callback_delivered import CallbackDelivered
from watchword.events.verification import Facts, shared
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write

GONE = int(HTTPStatus.GONE)
_RETRY_AFTER_DIGITS_MAX = 9


class Ending(StrEnum):
    """How a delivery ends; the states of `callback_deliveries` but for pending."""

    DELIVERED = "delivered"
    GAVE_UP = "gave_up"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery, claimed: nobody else calls until its lease ends. `attempts` counts this one too; with `round` it
    is how a late result of somebody whose lease ended is told apart. `version` is the endpoint's as called."""

    verification_id: UUID
    event_id: UUID
    tenant: str
    endpoint: str
    round: int
    attempts: int
    begun_at: datetime
    expires_at: datetime
    version: int = 0
    event: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> str:
        """What names the delivery."""
        return f"{self.event_id}/{self.endpoint}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. `status` is 0 where no HTTP answer came, and `failure` then one word for why."""

    status: int = 0
    failure: str = ""
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the endpoint has the notification. A redirect is no answer: the secret signs for one address."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Result:
    """A claim and what is to become of it. `next_at` is set where it is tried again, `ending` otherwise."""

    claim: Claim
    answer: Answer
    ending: Ending | None
    next_at: datetime | None = None

    @property
    def word(self) -> str:
        """The outcome as it is counted."""
        return self.ending or "again"


def conclude(claim: Claim, answer: Answer, now: datetime) -> Result:
    """What one call leads to. Total."""
    if answer.taken:
        return Result(claim, answer, Ending.DELIVERED)
    if answer.status == GONE:
        return Result(claim, answer, Ending.DISABLED)
    draw = draw_of(claim.key, claim.round, claim.attempts)
    at = next_try(claim.begun_at, claim.expires_at, now, draw)
    if at is None:
        return Result(claim, answer, Ending.GAVE_UP)
    return Result(claim, answer, None, after_pause(at, now, answer.retry_after_s))


def record(result: Result, about: Facts | None) -> Done:
    """What is written of a result, and told of an end. `about` is the verification, None if it is there no more.

    What was never tried ends without an event: callback-delivered tells of tries.
    """
    claim, answer = result.claim, result.answer
    place = (claim.verification_id, claim.event_id, claim.endpoint, claim.round, claim.attempts)
    if result.ending is None:
        again = (*place, answer.status, answer.failure, result.next_at)
        return Done(writes=(Write("again", claim.key, again),))
    emits = (_told(result, about),) if about is not None and claim.attempts else ()
    ended = Write("conclude", claim.key, (*place, result.ending.value, answer.status, answer.failure), emits)
    if answer.status != GONE:
        return Done(writes=(ended,))
    gone = Write("disable", f"{claim.tenant}/{claim.endpoint}", (claim.tenant, claim.endpoint, claim.version, "gone"))
    return Done(writes=(ended, gone))


def _told(result: Result, about: Facts) -> Emit:
    claim = result.claim
    delivered = CallbackDelivered(
        **shared(about),
        endpoint=claim.endpoint,
        about=claim.event_id,
        status=result.answer.status,
        attempts=claim.attempts,
        gave_up=result.ending is not Ending.DELIVERED,
    )
    return Emit(delivered, claim.key, claim.round, key=str(about.verification_id))


def retry_after(text: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, section 10.2.3: seconds or a date), None where there
    is none that can be read."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:_RETRY_AFTER_DIGITS_MAX])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((aware - now).total_seconds(), 0.0)
