"""The expressions that pick events."""

from typing import Any

import pytest

from watchword.replay.where import DEPTH_MAX, TEXT_MAX, WhereError, where

DOCUMENT: dict[str, Any] = {
    "event": "verification-ended",
    "state": "blocked",
    "sends_used": 2,
    "score": 71.5,
    "trusted": False,
    "not_before": None,
    "reference": "",
    "told_at": "2026-03-01T10:00:00.250Z",
    "reasons": [{"code": "range_blocked", "value": 3}, {"code": "hurried", "value": 9}],
    "ce": {"sequence": 4, "source": "/watchword/codes"},
}


@pytest.mark.parametrize(
    "text",
    [
        "state = blocked",
        "state == 'blocked'",
        '$.state="blocked"',
        "sends_used = 2",
        "sends_used >= 2 and sends_used < 3",
        "score > 70",
        "trusted = false",
        "not_before = null",
        "not reference",
        "reasons",
        "reasons[0].code = range_blocked",
        "reasons[*].code = hurried",
        "reasons[*].value > 8",
        "ce.sequence = 4",
        "ce.source contains codes",
        "told_at > 2026-03-01T09 and told_at <= '2026-03-01T10:00:00.250Z'",
        "state = approved or state = blocked",
        "state = approved or state = blocked and sends_used = 2",
        "(state = approved or state = blocked) and not sends_used = 3",
        "state != approved",
        "absent != anything",
    ],
)
def test_expression_holds(text: str) -> None:
    assert where(text)(DOCUMENT)


@pytest.mark.parametrize(
    "text",
    [
        "state = approved",
        "state = Blocked",
        "sends_used = two",
        "sends_used > many",
        "sends_used = '2.5'",
        "trusted",
        "trusted = true",
        "reference",
        "absent",
        "absent = ''",
        "reasons[7].code = hurried",
        "reasons.code = hurried",
        "state[0] = b",
        "ce = 4",
        "score contains 7",
        "trusted > 0",
        "not (state = approved or state = blocked)",
        "reasons[*].code != hurried",
    ],
)
def test_expression_does_not_hold(text: str) -> None:
    assert not where(text)(DOCUMENT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ends where a field"),
        ("state =", "ends where a value"),
        ("state = a b", "'b' at character 11 follows"),
        ("= a", "where a field"),
        ("(state = a", "not closed"),
        ("state = a and", "ends where a field"),
        ("state = )", "where a value"),
        ("a..b = 1", "not the name of a field"),
        ("__import__('os')", r"'\('"),
        ("state = 'a", "cannot read"),
        ("(" * (DEPTH_MAX + 2) + "a" + ")" * (DEPTH_MAX + 2), "nested deeper"),
        ("a" * (TEXT_MAX + 1), "longer than"),
    ],
)
def test_expression_that_cannot_be_read_is_refused_with_its_place(text: str, told: str) -> None:
    with pytest.raises(WhereError, match=told):
        where(text)
