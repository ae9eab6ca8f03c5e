"""Whether caps were kept, by their counters, the money that is held, and the sends that cost more than was held. Pure.

What a send was taken to cost is held before it is assessed, one part's price (decision 0025). Two things may take a
counter past its limit and break nothing: an operator who lowers it, and messages that came to more parts than one,
which is only known once they are settled. Neither excuses more than it comes to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from watchword.audit.facts import Breach, Counter, Facts
from watchword.kernel.document import ANY
from watchword.kernel.verification import LIVE, MAY_HAVE_LEFT

SPANS: Mapping[str, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
LIFE_MAX = timedelta(hours=1)
"""More than any verification lives: one that began so long before a counter did counts under none of its sends."""
SETTLED_WITHIN = timedelta(minutes=2)
"""A minute after the life of its code a send is settled by a sweep; with the sweep's own pace, generously."""
_LIVE = frozenset(state.value for state in LIVE)
_LEFT = frozenset(state.value for state in MAY_HAVE_LEFT)


@dataclass(frozen=True, slots=True)
class Excess:
    """What a send came to beyond what was held for it, of whom, and when it can have been counted."""

    tenant: str
    country: str
    since: datetime
    until: datetime
    micros: int


def caps_are_kept(facts: Facts) -> Iterator[Breach]:
    """Nothing is spent beyond a cap, held for no send, or held for one that is long over."""
    excesses = tuple(_excesses(facts)) if any(_beyond(each, facts) > 0 for each in facts.counters) else ()
    for counter in facts.counters:
        beyond = _beyond(counter, facts)
        if beyond <= 0 or not is_whole(counter, facts):
            continue
        excused = sum(each.micros for each in excesses if _counts_under(each, counter, facts))
        if beyond > excused:
            words = f"{_used(counter)} micros are held and spent, {_allowed(counter, facts)} are allowed"
            yield Breach(counter.key, f"{words} and {excused} excused")
    yield from _held_and_reserved(facts)
    yield from _held_for_too_long(facts)


def is_whole(counter: Counter, facts: Facts) -> bool:
    """Whether every send that counted under it can be looked at: it began late enough."""
    return _began(counter) >= facts.live.kept_since + LIFE_MAX


def _beyond(counter: Counter, facts: Facts) -> int:
    return _used(counter) - _allowed(counter, facts)


def _used(counter: Counter) -> int:
    return counter.held_micros + counter.spent_micros


def _began(counter: Counter) -> datetime:
    return counter.ends_at - SPANS[counter.span]


def _allowed(counter: Counter, facts: Facts) -> int:
    """The highest limit that stood while it counted: a lower one takes nothing back."""
    stood = [each.cap for each in facts.limits if each.stood(_began(counter), counter.ends_at)]
    limits = (cap.hour_micros if counter.span == "hour" else cap.day_micros for cap in stood if cap.id == counter.cap)
    return max((counter.limit_micros, *limits))


def _excesses(facts: Facts) -> Iterator[Excess]:
    """Every send that left in more parts than the one that was held for it, taken-over attempts among them."""
    parts: dict[tuple[UUID, int], int] = {}
    for attempt in facts.live.attempts.values():
        if attempt.state in _LEFT:
            send = (attempt.verification_id, attempt.send_no)
            parts[send] = parts.get(send, 0) + max(attempt.segments, 1)
    for (identity, _), count in parts.items():
        row = facts.live.verifications.get(identity)
        if count > 1 and row is not None:
            price = max(facts.prices_micros.get(row.country, 0), facts.prices_micros.get(ANY, 0))
            since = row.requested_at or row.expires_at - LIFE_MAX
            yield Excess(row.tenant, row.country, since, row.expires_at, (count - 1) * price)


def _counts_under(excess: Excess, counter: Counter, facts: Facts) -> bool:
    """Whether it may count under the counter. With whose key it was asked for is not known here, so it may be any."""
    if excess.until < _began(counter) or excess.since > counter.ends_at:
        return False
    whose = counter.key.split("/")[2]
    if whose not in ("-", excess.tenant, excess.country) and not whose.startswith(f"{excess.tenant}."):
        return False
    caps = [each.cap for each in facts.limits if each.cap.id == counter.cap]
    return not caps or any(cap.tenant in (ANY, excess.tenant) and cap.country in (ANY, excess.country) for cap in caps)


def _held_and_reserved(facts: Facts) -> Iterator[Breach]:
    """What a counter holds is what the reservations under it come to, in every moment."""
    reserved: dict[str, int] = {}
    for hold in facts.holds:
        for key in hold.counters:
            reserved[key] = reserved.get(key, 0) + hold.price_micros
    held = {each.key: each.held_micros for each in facts.counters}
    for key in sorted({*reserved, *held}):
        if held.get(key, 0) != reserved.get(key, 0):
            yield Breach(key, f"{held.get(key, 0)} micros are held, {reserved.get(key, 0)} are reserved")


def _held_for_too_long(facts: Facts) -> Iterator[Breach]:
    """A send that is over gives back what was held for it, or has it spent."""
    under_way = {each.verification_id for each in facts.open_attempts}
    for hold in facts.holds:
        row = facts.live.verifications.get(hold.verification_id)
        if row is None or row.state in _LIVE or hold.verification_id in under_way:
            continue
        if row.expires_at + SETTLED_WITHIN < facts.late:
            words = f"is long {row.state}, and {hold.price_micros} micros are held for send {hold.send_no}"
            yield Breach(str(row.id), words)
