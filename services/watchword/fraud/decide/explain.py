"""One assessment in words: why, and what would have let the send pass; from the event alone."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from watchword.events.risk_level_set import Reason
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.fraud.decide.money import COST_CAP
from watchword.fraud.decide.rules import Points, Rule
from watchword.kernel.feature import TRIE, kind_of

CHALLENGE_AT: Final = "challenge_at"
BLOCK_AT: Final = "block_at"
DELAY_AT: Final = "delay_at"
_REFUSED = (Action.BLOCK, Action.CHALLENGE)
_AT_LEAST = frozenset({Rule.TOO_FAST_FORM, Rule.RANGE_NOVEL, Rule.ASN_NOVEL})
_SOONEST: Mapping[str, str] = {
    Rule.COUNTRY_NOT_PERMITTED: "the tenant permitted the country",
    Rule.NUMBER_TYPE: "the number were of another type",
    Rule.SEQUENTIAL_SUFFIX: "fewer numbers in a row were asked for and not verified",
}


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a send and why. `passes_if` names everything that would have had to be otherwise, all of it
    together, for the send to pass; it is empty for one that passed, or would have without monitor mode. `silent` says
    that nobody was told of the block."""

    verification_id: str
    send_no: int
    action: str
    would: str
    mode: str
    mode_reason: str
    score: int
    ruleset: str
    reasons: tuple[Reason, ...]
    passes_if: tuple[str, ...]
    or_if: str = ""
    shadow: str = ""
    silent: bool = False


def thresholds(points: Points) -> dict[str, float]:
    """The scores from which something becomes of a send, as an assessment's `features` hold them."""
    return {DELAY_AT: points.delay_at, CHALLENGE_AT: points.challenge_at, BLOCK_AT: points.block_at}


def explained(told: VerificationAssessed) -> Explanation:
    """The assessment, and the fewest of its heaviest reasons without which the send would have passed."""
    needed = _needed(told)
    others = sum(reason.weight for reason in told.reasons if kind_of(reason.feature) not in TRIE)
    vouching = bool(needed) and others < told.features.get(CHALLENGE_AT, 0.0)
    return Explanation(
        verification_id=str(told.verification_id),
        send_no=told.send_no,
        action=told.action.value,
        would=told.would.value,
        mode=told.mode.value,
        mode_reason=told.mode_reason.value,
        score=told.score,
        ruleset=told.ruleset,
        reasons=told.reasons,
        passes_if=tuple(_otherwise(reason) for reason in needed),
        or_if="the platform vouched for the user (signals.trusted)" if vouching else "",
        silent=told.silent,
        shadow=f"{told.shadow.action} with {told.shadow.score} by {told.shadow.ruleset}" if told.shadow else "",
    )


def _needed(told: VerificationAssessed) -> Sequence[Reason]:
    if told.would not in _REFUSED and told.action not in _REFUSED:
        return ()
    left = sum(reason.weight for reason in told.reasons)
    needed = []
    for reason in told.reasons:
        if left < told.features.get(CHALLENGE_AT, 0.0):
            break
        needed.append(reason)
        left -= reason.weight
    return needed


def _otherwise(reason: Reason) -> str:
    where = f" ({reason.feature})" if reason.feature else ""
    if reason.code == COST_CAP:
        return f"the cap were at least {reason.value:.0f} micros, not {reason.threshold:.0f}{where}"
    if reason.code in _SOONEST:
        return _SOONEST[reason.code] + where
    bound = "at least" if reason.code in _AT_LEAST else "below"
    return f"{reason.code} were {bound} {reason.threshold:g}, not {reason.value:g}{where}"
