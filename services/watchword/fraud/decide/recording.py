"""A recorded stream of requests and what became of them, one line at a time: what `watchword fraud score` reads.

Pure: lines in, decisions out. Nothing of a request that was refused is believed afterwards, for it never happened.
"""

from collections import OrderedDict
from math import isfinite
from typing import Any, NamedTuple

from watchword.events.risk_level_set import Reason
from watchword.events.signal_observed import SignalKind
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.engine import Engine, Outcome
from watchword.fraud.decide.line import BadLine, Line, LineKind, Reading
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.score import Claims
from watchword.fraud.decide.subject import Subject
from watchword.kernel.feature import KNOWN_FOR, Kind
from watchword.kernel.networks import Owners

AT_MAX_S = 253_402_300_799.0
SENDS_KEPT = 400_000
CHAINS_KEPT = 200_000
TRUSTED_KEPT = 500_000
TRUSTED_S = KNOWN_FOR.total_seconds()
CHAIN_S = 600.0
WRONG_MAX = 20
LIVE_LATE_S = 0.5
"""From a send to a level that follows from it: fraud gathers signals for up to 0.4 s, the judge for up to 0.25 s."""
_DELIVERED = frozenset({"delivered", "delivrd"})


class Decision(NamedTuple):
    """What became of one request of the stream."""

    id: str | int
    action: Action
    score: int
    reasons: tuple[Reason, ...]


class _Send:
    """One request that was let through, and what is known of it since. `about` is the first one's of its chain."""

    __slots__ = ("about", "at_s", "chain", "delivered", "good", "number", "outcome", "verified", "wrong")

    def __init__(self, about: Subject, number: tuple[str, str], at_s: float, outcome: Outcome) -> None:
        self.about = about
        self.number = number
        self.at_s = at_s
        self.outcome = outcome
        self.chain: _Send = self
        self.verified = self.delivered = False
        self.good: bool | None = None
        self.wrong = 0


class Recording:
    """Plays a stream through the engine. `ignored` counts lines about what was refused or is not known, and repeats;
    `as_live` lets levels come into force as late as they do where judge and fraud are two processes."""

    def __init__(
        self, rules: Rules, *, enforces: bool = True, owners: Owners | None = None, as_live: bool = False
    ) -> None:
        self.engine = Engine(rules, enforces=enforces, late_s=LIVE_LATE_S if as_live else 0.0)
        self.ignored = 0
        self._reading = Reading(owners)
        self._sends: OrderedDict[str | int, _Send] = OrderedDict()
        self._chains: OrderedDict[tuple[str, str, str], _Send] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def take(self, line: Line) -> Decision | None:
        """The decision on a request; None for every other line. Raises BadLine and then has changed nothing."""
        if not isfinite(line.at) or not 0 <= line.at <= AT_MAX_S:
            raise BadLine("`at` is no time in seconds")
        if line.kind is LineKind.REQUEST:
            return self._request(line)
        send = self._sends.get(line.id)
        if send is None or send.outcome.action is Action.BLOCK or not self._learn(line, send):
            self.ignored += 1
        return None

    def _request(self, line: Line) -> Decision:
        known = self._sends.get(line.id)
        if known is not None:
            self.ignored += 1
            return _decision(line.id, known.outcome)
        about, number, number_type = self._reading.understood(line)
        tenant, at_s = about.tenant, line.at
        name = (tenant, number, line.purpose or "")
        before = self._chains.get(name)
        is_repeat = before is not None and not before.verified and at_s - before.at_s < CHAIN_S
        claims = Claims(
            number_type=number_type,
            country_permitted=True,
            trusted=bool(line.trusted) or at_s - self._trusted.get((tenant, number), -TRUSTED_S) < TRUSTED_S,
            form_ms=line.form_ms,
            send_no=2 if is_repeat else 1,
            known_networks=Kind.ASN in about.features,
        )
        outcome = self.engine.request(about, claims, str(line.id), at_s)
        send = _Send(about, (tenant, number), at_s, outcome)
        _keep(self._sends, line.id, send, SENDS_KEPT)
        if outcome.action is not Action.BLOCK:
            if before is not None and is_repeat:
                send.chain = before.chain
            _keep(self._chains, name, send, CHAINS_KEPT)
        return _decision(line.id, outcome)

    def _learn(self, line: Line, send: _Send) -> bool:
        """Whether the line says something new of a send that was let through."""
        match line.kind:
            case LineKind.VERIFIED:
                return self._verified(line, send)
            case LineKind.WRONG:
                send.wrong += 1
                if send.wrong > WRONG_MAX:
                    return False
                self.engine.outcome(send.about, SignalKind.WRONG, line.at)
            case LineKind.RECEIPT:
                if line.state is None:
                    raise BadLine("a receipt has a `state`")
                if send.delivered or line.state.lower() not in _DELIVERED:
                    return False
                send.delivered = True
                self.engine.outcome(send.chain.about, SignalKind.DELIVERED, line.at)
            case _:
                return self._feedback(line, send)
        return True

    def _verified(self, line: Line, send: _Send) -> bool:
        first = send.chain
        _keep(self._trusted, send.number, line.at, TRUSTED_KEPT)
        if first.verified:
            return False
        first.verified = send.verified = True
        self.engine.outcome(first.about, SignalKind.VERIFIED, line.at, max(line.at - send.at_s, 0.0))
        return True

    def _feedback(self, line: Line, send: _Send) -> bool:
        if line.good is None:
            raise BadLine("feedback is `good` or not")
        if send.good is line.good:
            return False
        send.good = line.good
        if line.good:
            self.engine.outcome(send.chain.about, SignalKind.CONFIRMED, line.at)
        else:
            self._trusted.pop(send.number, None)
            self.engine.outcome(send.chain.about, SignalKind.DENIED, line.at)
        return True


def _decision(identity: str | int, outcome: Outcome) -> Decision:
    return Decision(identity, outcome.action, outcome.answer.value, outcome.answer.reasons)


def _keep(where: OrderedDict[Any, Any], name: object, value: object, most: int) -> None:
    where[name] = value
    where.move_to_end(name)
    if len(where) > most:
        where.popitem(last=False)
