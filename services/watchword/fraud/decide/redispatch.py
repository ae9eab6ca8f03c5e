"""What a lifted block still owes: a send that it refused, asked for once more while its code lives. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchword.events.resend_requested import ResendRequested
from watchword.events.verification import Facts, Signals, shared
from watchword.fraud.decide.observe import subject_of
from watchword.kernel.event import Emit
from watchword.kernel.policy import Policy
from watchword.kernel.verdict import Done, Write


@dataclass(frozen=True, slots=True)
class RefusedSend:
    """A live verification whose last send fraud refused: its code is out, and may be sent again."""

    about: Facts
    signals: Signals
    rules: Policy
    sends_requested: int


def again(refused: Sequence[RefusedSend], feature: str, now: datetime) -> list[Done]:
    """One more send for each that counts under `feature`, as its policy allows: numbered anew, so that it is assessed
    anew, and a fact of its own."""
    return [_asked(each, now) for each in refused if _is_due(each, feature, now)]


def _is_due(refused: RefusedSend, feature: str, now: datetime) -> bool:
    if now >= refused.about.expires_at or refused.sends_requested >= refused.rules.sends_max:
        return False
    return feature in subject_of(_event(refused), refused.signals).features.values()


def _asked(refused: RefusedSend, now: datetime) -> Done:
    event = _event(refused)
    subject = str(refused.about.verification_id)
    next_at = now + timedelta(seconds=refused.rules.gap_before_s(event.send_no + 1))
    due_at = min(now + timedelta(milliseconds=refused.rules.assess_timeout_ms), refused.about.expires_at)
    told = (Emit(event, subject, event.send_no),)
    return Done((Write("ask_again", subject, (event.send_no, next_at, due_at), told),))


def _event(refused: RefusedSend) -> ResendRequested:
    return ResendRequested(**shared(refused.about), send_no=refused.sends_requested + 1, signals=refused.signals)
