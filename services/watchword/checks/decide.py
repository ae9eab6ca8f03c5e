"""What a check is answered, and what follows from it. Pure: the code itself never comes here, only whether the MAC
was right."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import State

RIGHT_CODE = "right_code"
TOO_MANY_WRONG = "too_many_wrong_codes"


class Result(StrEnum):
    """The words of the public API for one check."""

    APPROVED = "approved"
    WRONG = "wrong"
    EXPIRED = "expired"
    LOCKED = "locked"
    USED = "used"
    BINDING_MISMATCH = "binding_mismatch"


class CheckFacts(msgspec.Struct, frozen=True):
    """A verification as a check finds it. `in_time` says that the database's clock has not reached `expires_at`."""

    about: Facts
    state: State
    in_time: bool
    requested_at: datetime
    binding_hash: str
    signals: Signals
    sends_issued: int
    checks_used: int
    checks_max: int


class Answer(msgspec.Struct, frozen=True):
    """What the platform is told. `checks_left` is 0 once the verification has ended, however it ended, so that an
    expired one and one that never was look the same."""

    result: Result
    checks_left: int


class Guess(msgspec.Struct, frozen=True):
    """One counted check after the comparison. `check_no` counts from 1."""

    check_no: int
    right: bool
    bound: bool


_ENDED = {
    State.APPROVED: Answer(Result.USED, 0),
    State.LOCKED: Answer(Result.LOCKED, 0),
    State.EXPIRED: Answer(Result.EXPIRED, 0),
    State.CANCELLED: Answer(Result.EXPIRED, 0),
    State.FAILED: Answer(Result.EXPIRED, 0),
}
NOTHING_THERE = Answer(Result.EXPIRED, 0)
_NEVER_CHECKED_RIGHT = frozenset({State.REQUESTED, State.ISSUED, State.BLOCKED, State.EXPIRED})


def uncounted(facts: CheckFacts) -> Answer | None:
    """The answer to a check that cannot succeed and so is not counted; None for one that must be counted.

    A verification that was blocked, or has no code yet, is checked like one whose code is not typed right, and
    answers as that does until its checks are used up and for ever after: whoever is refused by the fraud rules does
    not learn it here (ASVS 6.3.8).
    """
    if facts.checks_used >= facts.checks_max and facts.state in _NEVER_CHECKED_RIGHT:
        return Answer(Result.LOCKED, 0)
    if facts.state in _ENDED:
        return _ENDED[facts.state]
    return None if facts.in_time else Answer(Result.EXPIRED, 0)


def answer(facts: CheckFacts, guess: Guess) -> Answer:
    """The answer to a counted check. A wrong binding is told whatever the code was: it tells nothing of the code."""
    if guess.bound and guess.right:
        return Answer(Result.APPROVED, 0)
    if guess.check_no >= facts.checks_max:
        return Answer(Result.LOCKED, 0)
    return Answer(Result.WRONG if guess.bound else Result.BINDING_MISMATCH, facts.checks_max - guess.check_no)


def conclude(facts: CheckFacts, guess: Guess) -> Done:
    """What a counted check changes and tells. The ending is guarded: whoever loses the race finds `note` instead.
    Without a code there is nothing to lock: the count alone does it."""
    told = answer(facts, guess)
    about, subject = shared(facts.about), str(facts.about.verification_id)
    checked = Emit(_checked(facts, about, guess, CheckResult(told.result)), subject, guess.check_no)
    if facts.state is not State.ISSUED:
        return Done((Write("note", subject, (guess.check_no,), (checked,)),))
    match told.result:
        case Result.APPROVED:
            ended = Emit(_ended(facts, about, guess, Ending.APPROVED, RIGHT_CODE), subject)
            return Done((Write("approve", subject, (guess.check_no, RIGHT_CODE), (checked, ended)),))
        case Result.LOCKED:
            ended = Emit(_ended(facts, about, guess, Ending.LOCKED, TOO_MANY_WRONG), subject)
            return Done((Write("lock", subject, (guess.check_no, TOO_MANY_WRONG), (checked, ended)),))
    return Done((Write("note", subject, (guess.check_no,), (checked,)),))


def conclude_late(facts: CheckFacts, guess: Guess, state: State) -> tuple[Answer, Done]:
    """The same for a check whose ending changed nothing, because the verification ended as `state` between the
    count and the comparison. A right code is told as `unknown`: it was neither wrong nor did it approve. One that was
    blocked answers as ever."""
    result = CheckResult.UNKNOWN if guess.right and guess.bound else CheckResult.WRONG
    subject = str(facts.about.verification_id)
    checked = Emit(_checked(facts, shared(facts.about), guess, result), subject, guess.check_no)
    told = Done((Write("note", subject, (guess.check_no,), (checked,)),))
    return (answer(facts, guess) if state is State.BLOCKED else _ENDED.get(state, NOTHING_THERE)), told


def _checked(facts: CheckFacts, about: Mapping[str, Any], guess: Guess, result: CheckResult) -> CodeChecked:
    return CodeChecked(
        **about,
        result=result,
        check_no=guess.check_no,
        checks_left=max(facts.checks_max - guess.check_no, 0),
        signals=facts.signals if result is CheckResult.WRONG else Signals(),
    )


def _ended(facts: CheckFacts, about: Mapping[str, Any], guess: Guess, ending: Ending, reason: str) -> VerificationEnded:
    return VerificationEnded(
        **about,
        state=ending,
        reason=reason,
        requested_at=facts.requested_at,
        sends_used=facts.sends_issued,
        checks_used=guess.check_no,
        signals=facts.signals,
    )
