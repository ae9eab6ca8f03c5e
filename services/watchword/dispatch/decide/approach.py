"""What to do about an attempt once it is ours: call, ask, or leave it. Only here is a lost call taken up again."""

from datetime import datetime
from enum import StrEnum

from watchword.dispatch.decide.facts import Attempt, Called, Nobody, Skipped
from watchword.gateways.outcome import Outcome, OutcomeClass

TOO_LATE = Skipped("too_late")
RECEIPT_CAME = Skipped("receipt_came")
IT_LEFT = Called(Outcome(OutcomeClass.ACCEPTED, raw_code="receipt_came"))
NO_ANSWER = Called(Outcome(OutcomeClass.AMBIGUOUS, raw_code="no_answer"))


class Way(StrEnum):
    """`send`: call the gateway with the message. `ask`: ask it whether it has the reference already."""

    SEND = "send"
    ASK = "ask"


def approach(attempt: Attempt, now: datetime) -> Way | Called | Skipped:
    """What to do first, or what the attempt has come to already.

    Where an earlier owner may have called, a receipt tells that it did. Without one the gateway decides: one that
    dedupes is called again with the same reference, one that can be asked is asked, and of a blind one nothing can
    be learnt.
    """
    if not attempt.called_before:
        return RECEIPT_CAME if attempt.settled else Way.SEND if in_time(attempt, now) else TOO_LATE
    if attempt.received:
        return IT_LEFT
    if attempt.abilities.dedupes and in_time(attempt, now):
        return Way.SEND
    return Way.ASK if attempt.abilities.can_be_asked else NO_ANSWER


def after_asking(attempt: Attempt, found: Outcome | None, now: datetime) -> Way | Called | Skipped:
    """What follows from a gateway's word on a reference: it has it, it never saw it (None), or cannot say."""
    if found is not None:
        return Called(found)
    return Way.SEND if in_time(attempt, now) else TOO_LATE


def uncalled(attempt: Attempt, came: Nobody | Skipped) -> Called | Nobody | Skipped:
    """What it has come to where we did not call: unknown still, if it may have been called before."""
    return NO_ANSWER if attempt.called_before else came


def in_time(attempt: Attempt, now: datetime) -> bool:
    """Whether a message may leave now: the code is still wanted, and can still be typed in time."""
    return attempt.live and now < attempt.send_deadline
