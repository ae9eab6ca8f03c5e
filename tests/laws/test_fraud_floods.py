"""Laws of fraud against floods and bad clocks: nobody whitens what he pumps, and no order of signals breaks a node."""

from math import isfinite

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fraud.facts import KEYS, NOW_S, RANGE, SENT, VERIFIED, Judged, seen, sends, served
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.node import Node
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.decide.seen import Seen
from watchword.kernel.feature import Kind

COUNTS = tuple(name for name, kind in Node.__annotations__.items() if kind is float)
FED = st.sampled_from([Kind.RANGE, Kind.IP_NET, Kind.DEVICE, Kind.NUMBER, Kind.TENANT])
ANY_KIND = st.sampled_from(list(SignalKind))
# A clock that stands, jumps ahead by years or to the end of the calendar, and falls back.
ANY_MOMENT = st.one_of(st.floats(0, 100), st.floats(0, 1e9), st.just(253_402_300_799.0 - NOW_S), st.just(-NOW_S))
PLACES = st.sampled_from(["", "one", "two"])
SIGNALS = st.lists(st.tuples(FED, ANY_KIND, ANY_MOMENT, PLACES, st.integers(0, 9)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(signals=SIGNALS)
def test_no_order_of_signals_and_no_clock_breaks_a_node(
    signals: list[tuple[Kind, SignalKind, float, str, int]],
) -> None:
    judged = Judged()
    for fed, kind, at_s, place, number in signals:
        each = seen(kind, at_s, place=place, delay_s=at_s, digest=number.to_bytes(6, "big"))
        judged.see(KEYS[fed], each, each)
    for feature, node in judged.memory.nodes().items():
        assert all(isfinite(getattr(node, name)) for name in COUNTS), feature
        assert node.fast >= 0 <= node.pressure
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(node), type=Node) == node


@settings(max_examples=30, deadline=None)
@given(again=st.integers(2, 60), gap_s=st.integers(1, 50))
def test_one_phone_whose_codes_are_typed_again_and_again_takes_back_no_more_than_once(again: int, gap_s: int) -> None:
    """Nine unverified numbers block a new range; so do they with an own phone verified between any two of them."""
    once, flooded = Judged(), Judged()
    for judged, times in ((once, 1), (flooded, again)):
        for n in range(times):
            at_s = n * gap_s
            judged.see(RANGE, seen(SENT, at_s, place="mine"), seen(VERIFIED, at_s + 0.5, place="mine", delay_s=5))
        judged.see(RANGE, *(seen(SENT, 3_000 + n, place=f"{n}") for n in range(14)))
    assert flooded.node().verified_fast == once.node().verified_fast
    assert flooded.levels()[-1:] == once.levels()[-1:] == [RiskLevel.BLOCKED]


@settings(max_examples=30, deadline=None)
@given(flood=st.lists(st.sampled_from([SENT, VERIFIED]), min_size=1, max_size=60))
def test_a_past_moves_by_a_tenth_while_something_piles_up(flood: list[SignalKind]) -> None:
    judged = Judged()
    until_s = served(judged, [RANGE], days=3, per_day=40)
    judged.see(RANGE, *(seen(SENT, until_s + n, place=f"a{n}") for n in range(30)))
    node = judged.node()
    for n, kind in enumerate(flood):
        suspicious = node.pressure * 3 > DEFAULT.range.pressure
        before = node.slow + node.verified_slow
        judged.see(RANGE, seen(kind, until_s + 31 + n / 100, place=f"f{n}", delay_s=6))
        moved = node.slow + node.verified_slow - before
        assert moved <= (0.1 if suspicious else 1.0) + 1e-9


@settings(max_examples=30, deadline=None)
@given(late_s=st.floats(0, 1e6), count=st.integers(1, 50))
def test_signals_that_come_late_fade_nothing(late_s: float, count: int) -> None:
    """Nor does a flood of old ones: what a node knows is as of its newest signal."""
    judged = Judged().see(RANGE, *sends(8, at_s=2_000_000))
    before = judged.node().pressure
    old = [Seen(SignalKind.REFUSED, NOW_S + 2_000_000 - late_s, "UZ") for _ in range(count)]
    judged.see(RANGE, *old)
    assert judged.node().pressure == before
    judged.see(RANGE, *(seen(SENT, 2_000_000 - late_s) for _ in range(count)))
    assert judged.node().pressure >= before
