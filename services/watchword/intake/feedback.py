"""What a platform says of a verification afterwards: whether its user was one. Pure."""

from typing import TYPE_CHECKING

import msgspec

from watchword.events.feedback_given import FeedbackGiven
from watchword.events.verification import shared
from watchword.intake.answers import Accepted, Refused, Reply, encoded
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write

if TYPE_CHECKING:
    from watchword.intake.decide import Standing

CHANGES_MAX = 20
OK = 200


class FeedbackTold(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the platform's word."""

    id: str
    good: bool


def given(good: bool, standing: "Standing | None") -> tuple[Reply, Done]:
    """Keep the platform's word. The same again changes nothing; another takes its place, a bounded number of times."""
    if standing is None:
        return Refused("not_found"), Done()
    about, number = standing.about, standing.feedback_no + 1
    subject = str(about.verification_id)
    answer = Accepted(OK, encoded(FeedbackTold(id=subject, good=good)))
    if standing.feedback is good:
        return answer, Done()
    if number > CHANGES_MAX:
        return Refused("conflict", f"The feedback on this verification was changed {CHANGES_MAX} times."), Done()
    told = FeedbackGiven(
        **shared(about),
        good=good,
        feedback_no=number,
        sent=standing.sends_issued > 0,
        signals=standing.signals,
    )
    return answer, Done((Write("give_feedback", subject, (good, number), (Emit(told, subject, number),)),))
