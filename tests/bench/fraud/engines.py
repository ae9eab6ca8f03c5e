"""Our scorer as a season meets it: the recording of `watchword fraud score`, fed line by line: with all that a line
tells, or with what live events tell of it."""

from tests.bench.fraud.traffic import Ask
from watchword.fraud.decide.line import Line, LineKind
from watchword.fraud.decide.recording import Recording
from watchword.fraud.decide.rules import DEFAULT, Rules

_LINES = {
    "verified": (LineKind.VERIFIED, None, None),
    "wrong": (LineKind.WRONG, None, None),
    "delivered": (LineKind.RECEIPT, "delivered", None),
    "good": (LineKind.FEEDBACK, None, True),
    "bad": (LineKind.FEEDBACK, None, False),
}


class Watchword:
    """The scorer of this repository."""

    def __init__(self, rules: Rules = DEFAULT, *, as_live: bool = False) -> None:
        self.recording = Recording(rules, as_live=as_live)

    def request(self, ask: Ask) -> tuple[str, float, str]:
        decision = self.recording.take(line_of(ask))
        if decision is None:
            raise AssertionError("a request has a decision")
        reason = decision.reasons[0].code if decision.reasons else ""
        return decision.action.value, float(decision.score), reason

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        word, state, good = _LINES[kind]
        self.recording.take(Line(kind=word, at=at_s, id=ask.id, state=state, good=good))


def line_of(ask: Ask) -> Line:
    """A request as a line of a recording."""
    return Line(
        kind=LineKind.REQUEST, at=ask.at_s, id=ask.id, tenant=ask.tenant, to=ask.to, ip=ask.ip, device=ask.device,
        purpose="login", price_micros=ask.price_micros,
    )  # fmt: skip
