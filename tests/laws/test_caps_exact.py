"""Caps are exact: however sends are split into batches, what is held never passes a cap, and nothing is refused that
there was money for."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from watchword.fraud.decide.money import Counter, Purse

LATER = datetime(2026, 3, 2, 10, tzinfo=UTC)
limits = st.integers(0, 5_000)
prices = st.lists(st.integers(1, 900), min_size=1, max_size=60)


def counter(key: str, limit: int) -> Counter:
    return Counter(key, "hour", key, limit, LATER)


@given(limits, limits, prices, st.data())
def test_any_split_into_batches_holds_the_same_and_never_more_than_a_cap(
    wide: int, narrow: int, wanted: list[int], data: st.DataObject
) -> None:
    counters = (counter("wide", wide), counter("narrow", narrow))
    used, held, left = {"wide": 0, "narrow": 0}, 0, list(wanted)
    expected = 0
    for price in wanted:
        expected += price if expected + price <= min(wide, narrow) else 0
    while left:
        size = data.draw(st.integers(1, len(left)))
        purse, batch, left = Purse(used), left[:size], left[size:]
        bought = [price for price in batch if purse.take(counters, price) is None]
        used = {key: sums + sum(bought) for key, sums in used.items()}
        held += sum(bought)
    assert held == expected <= min(wide, narrow)


@given(limits, prices)
def test_a_send_is_refused_only_where_it_would_pass_the_cap(limit: int, wanted: list[int]) -> None:
    one, held = counter("one", limit), 0
    purse = Purse({})
    for price in wanted:
        short = purse.take((one,), price)
        assert (short is None) == (held + price <= limit)
        assert short is None or short.wanted_micros == held + price
        held += 0 if short else price
