"""What a carrier draws: shares come out as asked, and the same seed draws the same."""

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.gateways.outcome import OutcomeClass
from watchword.simulator import decide
from watchword.simulator.behaviour import Behaviour, LogNormal, Uniform, changed, read
from watchword.simulator.decide import Answer, Due, Way

DRAWS = 4_000
NEAR = 0.03


def behaviour(**fields: Any) -> Behaviour:
    """A behaviour with these fields."""
    return changed(Behaviour(), fields)


def test_carrier_left_alone_accepts_at_once_and_delivers() -> None:
    draw = random.Random(1)
    assert decide.answer(Behaviour(), 0, draw) == Answer(Way.ACCEPT)
    assert decide.fate(Behaviour(), draw) == decide.Fate(arrives=True, receipts=(Due(0.0, "delivered"),))


@pytest.mark.parametrize("kind", [kind for kind in OutcomeClass if kind is not OutcomeClass.ACCEPTED])
def test_each_outcome_class_can_be_asked_for(kind: OutcomeClass) -> None:
    told = decide.answer(behaviour(errors={kind.value: 1}), 0, random.Random(1))
    assert (told.way, told.error) == (Way.REFUSE, kind.value)


def test_shares_of_answers_come_out_as_asked() -> None:
    asked = behaviour(errors={"throttled": 0.2, "blocked": 0.1}, timeouts_before=0.1, timeouts_after=0.2)
    draw = random.Random(7)
    seen = Counter(told.error or told.way.value for told in (decide.answer(asked, 0, draw) for _ in range(DRAWS)))
    wanted = {"throttled": 0.2, "blocked": 0.1, "hang_before": 0.1, "hang_after": 0.2, "accept": 0.4}
    assert {name: pytest.approx(share, abs=NEAR) for name, share in wanted.items()} == {
        name: count / DRAWS for name, count in seen.items()
    }


def test_shares_of_fates_come_out_as_asked() -> None:
    asked = behaviour(loss=0.2, endings={"undelivered": 0.25, "unknown": 0.25}, receipt_duplicates=0.5)
    draw = random.Random(7)
    fates = [decide.fate(asked, draw) for _ in range(DRAWS)]
    assert sum(not fate.receipts for fate in fates) / DRAWS == pytest.approx(0.2, abs=NEAR)
    assert sum(fate.arrives for fate in fates) / DRAWS == pytest.approx(0.8 * 0.75, abs=NEAR)
    assert sum(len(fate.receipts) == 2 for fate in fates) / DRAWS == pytest.approx(0.4, abs=NEAR)


def test_lost_message_is_never_heard_of_again() -> None:
    asked = behaviour(loss=1, receipt_duplicates=1, receipt_steps=["submitted"])
    assert decide.fate(asked, random.Random(1)) == decide.Fate(arrives=False)


@pytest.mark.parametrize("ending,arrives", [("undelivered", False), ("rejected", False), ("unknown", True)])
def test_message_ends_as_asked(ending: str, arrives: bool) -> None:
    fate = decide.fate(behaviour(endings={ending: 1}), random.Random(1))
    assert (fate.arrives, [due.state for due in fate.receipts]) == (arrives, [ending])


def test_receipts_come_in_steps_reordered_early_or_late() -> None:
    asked = {"receipt_steps": ["submitted", "enroute"], "receipt_delay_ms": {"kind": "uniform", "min": 300, "max": 300}}
    draw = random.Random(1)
    in_order = (Due(100.0, "submitted"), Due(200.0, "enroute"), Due(300.0, "delivered"))
    assert decide.fate(behaviour(**asked), draw).receipts == in_order
    backwards = decide.fate(behaviour(**asked, receipt_reordered=1), draw).receipts
    assert [due.state for due in backwards] == ["delivered", "enroute", "submitted"]
    early = decide.fate(behaviour(**asked, receipt_early=1), draw)
    assert early.early
    assert {due.delay_ms for due in early.receipts} == {0.0}
    late = decide.fate(behaviour(**asked, receipt_late=1), draw)
    assert late.receipts[-1] == Due(5_000.0, "delivered")
    assert decide.fate(behaviour(**asked, receipts=False), draw).receipts == ()


def test_outage_holds_in_its_window_only() -> None:
    away = behaviour(outages=[{"start_s": 10, "end_s": 20}, {"start_s": 30, "end_s": 31}])
    answers = {age_s: decide.answer(away, age_s, random.Random(1)).error for age_s in (0, 10, 19.9, 20, 30, 31)}
    assert answers == {0: "", 10: "temporary", 19.9: "temporary", 20: "", 30: "temporary", 31: ""}


@pytest.mark.parametrize("kind,way", [("unavailable", Way.REFUSE), ("reset", Way.RESET), ("hang", Way.HANG_BEFORE)])
def test_carrier_that_is_down_answers_as_asked(kind: str, way: Way) -> None:
    assert decide.answer(behaviour(down=True, outage_answer=kind), 0, random.Random(1)).way is way


@given(seed=st.integers(0, 2**32))
def test_same_seed_draws_the_same(seed: int) -> None:
    asked = behaviour(
        errors={"throttled": 0.3},
        latency_ms={"kind": "lognormal", "median": 20},
        loss=0.2,
        receipt_duplicates=0.5,
        receipt_reordered=0.5,
        receipt_early=0.3,
    )
    runs = []
    for _ in range(2):
        draw = random.Random(seed)
        runs.append([(decide.answer(asked, 0, draw), decide.fate(asked, draw)) for _ in range(20)])
    assert runs[0] == runs[1]


@given(seed=st.integers(0, 2**32), low=st.floats(0, 1_000), more=st.floats(0, 1_000))
def test_latency_stays_within_its_bounds(seed: int, low: float, more: float) -> None:
    drawn = decide.spread(Uniform(low, low + more), random.Random(seed))
    assert low <= drawn <= low + more
    assert 0 <= decide.spread(LogNormal(median=50, sigma=2, max=80), random.Random(seed)) <= 80


def test_lognormal_latency_lies_around_its_median() -> None:
    draw = random.Random(3)
    drawn = sorted(decide.spread(LogNormal(median=50, sigma=0.5), draw) for _ in range(DRAWS))
    assert drawn[DRAWS // 2] == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize(
    "text,parts",
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 307, 3), ("\u0915" * 70, 1), ("\u0915" * 71, 2), ("\U0001f600" * 36, 2)],
)
def test_parts_are_counted_as_carriers_bill_them(text: str, parts: int) -> None:
    assert decide.segments(text) == parts


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"los":0.1}',
        b'{"loss":1.1}',
        b'{"loss":-0.1}',
        b'{"loss":"0.1"}',
        b'{"loss":NaN}',
        b'{"down":1}',
        b'{"errors":{"accepted":0.5}}',
        b'{"errors":{"throttled":0.6,"blocked":0.6}}',
        b'{"errors":{"throttled":0.6},"timeouts_after":0.6}',
        b'{"receipt_early":0.6,"receipt_late":0.6}',
        b'{"endings":{"unknown":0.6,"expired":0.6}}',
        b'{"latency_ms":5}',
        b'{"latency_ms":{"kind":"uniform","min":5,"max":1}}',
        b'{"latency_ms":{"kind":"lognormal","median":0}}',
        b'{"outages":[{"start_s":1}]}',
        b'{"receipt_steps":["delivered"]}',
        b'{"receipt_url":"ftp://x/"}',
        b'{"currency":"usd"}',
    ],
)
def test_behaviour_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        changed(Behaviour(), read(body))
