"""What a provider is told of the code in its message, when, and for how long that is tried (decision 0054). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from watchword.gateways.contract import Account, Conversion
from watchword.gateways.facts import Feedback
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import LIVE, State

FIRST_LOOK: Final = timedelta(seconds=60)  # most codes that are typed at all have been by then
GRACE: Final = timedelta(seconds=15)  # after the life of a code, for timers to end its verification
PAUSES: Final[Sequence[timedelta]] = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
TRIES_MAX: Final = len(PAUSES) + 1
LATEST: Final = timedelta(hours=1)  # AWS closes its record then, and no route is chosen by what is older
_PASSING: Final = frozenset({OutcomeClass.THROTTLED, OutcomeClass.TEMPORARY, OutcomeClass.AMBIGUOUS})


class Word(StrEnum):
    """What came of an attempt that was looked at, as metrics count it. After `again` and `waiting` it is looked at once
    more; `untold`: of this end its provider takes nothing."""

    CONVERTED = "converted"
    UNCONVERTED = "unconverted"
    AGAIN = "again"
    WAITING = "waiting"
    UNTOLD = "untold"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    TOO_LATE = "too_late"


@dataclass(frozen=True, slots=True)
class Due:
    """An attempt of which its provider may be told, held by us until `held_until`. `tries` counts this one, where the
    verification has ended. `carried`: it is this message that brought the code, if one was typed."""

    attempt_id: UUID
    verification_id: UUID
    provider_id: str
    tries: int
    held_until: datetime
    state: State
    ended_at: datetime | None
    expires_at: datetime
    carried: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """What is written down of one: when it is looked at again, None for never, and how often it was tried."""

    due: Due
    word: Word
    look_at: datetime | None = None
    tries: int = 0


def first_look_at(account: Account | None, provider_id: str, sent_at: datetime) -> datetime | None:
    """When a message that was taken at `sent_at` is looked at first. None for never: its account is not to tell, or the
    provider gave it no name."""
    return sent_at + FIRST_LOOK if account is not None and account.feedback and provider_id else None


def decide(due: Due, takes: Feedback, now: datetime) -> Conversion | Noted:
    """What to tell, or why nothing is told now. Only two ends say something of a message: the right code was typed, or
    time passed without it. Whoever cancels, or guesses until it is locked, says nothing of who carried it."""
    if due.state in LIVE or due.ended_at is None:
        return Noted(due, Word.WAITING, max(due.expires_at, now) + GRACE, due.tries)
    converted = due.state is State.APPROVED
    told = due.carried if converted else due.state is State.EXPIRED and takes is Feedback.EITHER
    if not told or takes is Feedback.NONE:
        return Noted(due, Word.UNTOLD, None, due.tries)
    if now - due.ended_at > LATEST:
        return Noted(due, Word.TOO_LATE, None, due.tries)
    if due.tries > TRIES_MAX:  # whoever took it up died over it, every time
        return Noted(due, Word.GIVEN_UP, None, due.tries)
    return Conversion(due.provider_id, converted, due.ended_at, now)


def conclude(due: Due, told: Conversion, outcome: Outcome | None, now: datetime) -> Noted:
    """What follows from the provider's answer, None where none came: what may pass is tried again, a few times."""
    if outcome is not None and outcome.kind is OutcomeClass.ACCEPTED:
        return Noted(due, Word.CONVERTED if told.converted else Word.UNCONVERTED, None, due.tries)
    if outcome is not None and outcome.kind not in _PASSING:
        return Noted(due, Word.REFUSED, None, due.tries)
    if due.tries >= TRIES_MAX:
        return Noted(due, Word.GIVEN_UP, None, due.tries)
    asked = timedelta(milliseconds=outcome.retry_after_ms if outcome is not None else 0)
    return Noted(due, Word.AGAIN, now + max(PAUSES[due.tries - 1], asked), due.tries)


def put_back(due: Due, now: datetime) -> Noted:
    """One that was not told because the provider did not answer for others: it does not count as a try."""
    return Noted(due, Word.AGAIN, now + PAUSES[0], due.tries - 1)
