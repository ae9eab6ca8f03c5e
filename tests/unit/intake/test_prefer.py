"""`Prefer: wait=N` as RFC 7240 writes it, and everything that looks like it."""

import pytest
from multidict import CIMultiDict

from watchword.intake.prefer import applied, wait_s

SAID = {
    "wait=1": 1,
    "wait=10": 10,
    "wait=11": 10,
    "wait=999999999": 10,
    "WAIT=3": 3,
    "wait = 3": 3,
    'wait="3"': 3,
    "respond-async, wait=3": 3,
    "wait=3; strictly": 3,
    "wait=3, wait=5": 3,
    'handling="a, wait=5", wait=3': 3,
    "wait=x, wait=3": 3,
    "": 0,
    "wait": 0,
    "wait=": 0,
    "wait=0": 0,
    "wait=-1": 0,
    "wait=1.5": 0,
    "wait=\u0663": 0,
    "wait=9999999999": 0,
    'wait="3': 0,
    "await=3": 0,
    "wait3": 0,
    '"wait=3"': 0,
    '"' * 8_000: 0,
}


@pytest.mark.parametrize("said", SAID, ids=lambda said: said[:24])
def test_the_first_wait_that_can_be_understood_counts_and_is_bounded(said: str) -> None:
    assert wait_s({"Prefer": said}) == SAID[said]


def test_several_headers_are_one_list() -> None:
    assert wait_s(CIMultiDict([("prefer", "respond-async"), ("Host", "x"), ("PREFER", "wait=2")])) == 2
    assert wait_s(CIMultiDict([("Host", "wait=2")])) == 0


def test_what_was_honoured_is_said() -> None:
    assert applied(10) == {"Preference-Applied": "wait=10"}
