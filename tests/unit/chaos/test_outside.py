"""What endpoints and carriers know is held against the system, and an honest one is not blamed."""

from typing import Any

import orjson
import pytest

from tests.chaos.outside import ENDED, Notice, notices, unheard, untold
from tests.support.receiver import Called

NOTICE = Notice("w-1", "v", "approved")


def words(found: Any) -> list[str]:
    return [what for what, _ in found]


def test_ending_that_was_told_even_twice_is_told() -> None:
    assert list(untold({"v": "approved"}, [NOTICE, NOTICE])) == []


@pytest.mark.parametrize(
    ("ends", "told", "what"),
    [
        ({"v": "expired"}, [], "is expired, and its endpoint was never told"),
        (
            {"v": "approved"},
            [NOTICE, Notice("w-2", "v", "approved")],
            "its endpoint was told of its end under 2 ids",
        ),
        ({"v": "locked"}, [NOTICE], "its endpoint was told that it is approved, and it is locked"),
        ({}, [NOTICE], "its endpoint was told that it is approved, and it is live or unknown"),
    ],
)
def test_ending_that_was_not_told_once_and_as_it_is(ends: dict[str, str], told: list[Notice], what: str) -> None:
    assert words(untold(ends, told)) == [what]


def test_of_all_calls_those_that_tell_of_an_end_count() -> None:
    data = {"verification_id": "v", "state": "approved"}
    bodies = [{"type": ENDED, "data": data}, {"type": "otp.code-checked.v1", "data": {"verification_id": "v"}}]
    calls = [Called("/otp", {"webhook-id": "w-1"}, orjson.dumps(body), 0.0) for body in bodies]
    assert notices(calls) == [NOTICE]


@pytest.mark.parametrize(
    ("state", "reported"),
    [
        ("delivered", ["enroute", "delivered"]),
        ("delivered", ["delivered", "enroute"]),
        ("delivered_implied", ["enroute"]),
        ("", []),
    ],
)
def test_report_that_raised_its_attempt_or_found_it_higher_was_heard(state: str, reported: list[str]) -> None:
    assert list(unheard({"a": state}, {"a": reported} if reported else {})) == []


@pytest.mark.parametrize(
    ("attempts", "what"),
    [
        ({"a": "enroute"}, "a carrier reported delivered, and it is enroute"),
        ({"a": ""}, "a carrier reported delivered, and it is not recorded"),
        ({"a": "delivered_implied"}, "a carrier reported delivered, and it is delivered_implied"),
        ({}, "a carrier reported delivered, and nobody knows the attempt"),
    ],
)
def test_report_that_came_to_nothing_is_told(attempts: dict[str, str], what: str) -> None:
    assert words(unheard(attempts, {"a": ("delivered", "enroute")})) == [what]
