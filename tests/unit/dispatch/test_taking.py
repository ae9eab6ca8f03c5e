"""What dispatch makes of a record before it does anything about it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.support.sends import ABOUT, NOW
from watchword.dispatch.taking import taken, was_tried
from watchword.events import topics
from watchword.events.envelope import Envelope, encode, headers, type_of
from watchword.events.send_requested import SendRequested
from watchword.events.verification import shared

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
REQUEST = SendRequested(
    **shared(ABOUT),
    attempt_id=uuid4(),
    send_no=1,
    try_no=1,
    code_version=1,
    send_deadline=NOW + timedelta(seconds=240),
    not_before=NOW + timedelta(seconds=5),
)


def record(event: SendRequested, told_at: datetime = NOW) -> Any:
    envelope = Envelope(id=str(uuid4()), source="/dispatch", type=type_of(SendRequested), time=told_at)
    return SimpleNamespace(
        topic=topics.DISPATCH, partition=3, offset=7, headers=headers(SendRequested, envelope), value=encode(event)
    )


def test_a_request_is_taken_as_it_was_told() -> None:
    found = taken(record(REQUEST), 5)
    assert (found.event, found.fault, found.tier_s) == (REQUEST, "", 5)


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (record(msgspec.structs.replace(REQUEST, try_no=256)), "a count is out of bounds"),
        (record(msgspec.structs.replace(REQUEST, send_no=0)), "a count is out of bounds"),
        (record(msgspec.structs.replace(REQUEST, not_before=LAST)), "a time is out of bounds"),
        (record(REQUEST, told_at=LAST), "a time is out of bounds"),
    ],
    ids=["a 256th try", "a send before the first", "wanted at the end of all time", "told at the end of all time"],
)
def test_what_no_column_and_no_calendar_has_room_for_is_buried(made: Any, fault: str) -> None:
    found = taken(made, 5)
    assert (found.event, found.fault) == (None, fault)


def test_earlier_tries_are_asked_for_where_there_can_be_some() -> None:
    again = (msgspec.structs.replace(REQUEST, **change) for change in ({"try_no": 2}, {"recovery": 1}))
    assert [was_tried(each) for each in (REQUEST, *again)] == [False, True, True]
