"""Records as entries, and what is shown of them."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.history import History, approved
from watchword.events import topics
from watchword.replay.entry import MASK, document, entry_of, masked, shown
from watchword.replay.where import where


@dataclass
class Record:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


def record(value: bytes | None, headers: Any = (), key: bytes | None = b"k") -> Record:
    return Record("t.otp.inbox.v1", 1, 7, 1_760_000_000_000, key, value, headers)


def test_event_is_read_with_its_envelope() -> None:
    told = History().requested().told[0]
    row = told.row
    read = entry_of(record(row.value, row.headers, row.key), topics.REQUESTS)
    assert (read.event, read.problem, read.place) == (told.event, "", "otp.requests.v1/1/7")
    assert read.about == told.event.verification_id
    assert read.envelope is not None
    assert read.envelope.sequence == 1


@pytest.mark.parametrize("value", [b"\xff\x00", b"{}", None])
def test_what_cannot_be_read_is_an_entry_with_its_problem(value: bytes | None) -> None:
    read = entry_of(record(value, key=None), topics.REQUESTS)
    assert read.event is None
    assert read.name == "unreadable"
    assert read.problem.startswith("missing header")
    assert document(read)["problem"] == read.problem


def test_document_has_defaults_and_envelope_so_that_both_can_be_asked_for() -> None:
    told = document(approved().entries()[0])
    assert where("send_no = 1 and own_code = false and ce.sequence = 1 and tenant = shop")(told)


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ({"to": "+919876543210"}, {"to": MASK}),
        ({"mobile": "9876543210", "otp": "493021"}, {"mobile": MASK, "otp": MASK}),
        ({"detail": "call +91 98765 43210 now"}, {"detail": f"call {MASK} now"}),
        ({"detail": "sent to 919876543210"}, {"detail": f"sent to {MASK}"}),
        ({"code": 493021}, {"code": MASK}),
        ({"reasons": [{"code": "range_blocked"}]}, {"reasons": [{"code": "range_blocked"}]}),
        ({"range": "+91987654"}, {"range": "+91987654"}),
        ({"feature": "range:+91987654"}, {"feature": "range:+91987654"}),
        ({"feature": "series:+9198765@demo"}, {"feature": "series:+9198765@demo"}),
        ({"feature": "series:+919876543210@demo"}, {"feature": f"series:{MASK}@demo"}),
        ({"reference": "+91987654"}, {"reference": MASK}),
        ({"signals": {"ip": "10.1.2.3"}}, {"signals": {"ip": MASK}}),
        ({"expires_at": "2026-03-01T10:00:00.123456Z"}, {"expires_at": "2026-03-01T10:00:00.123456Z"}),
        ({"latency_ms": 12345678}, {"latency_ms": 12345678}),
        ({"provider_id": "123456789012"}, {"provider_id": "123456789012"}),
    ],
)
def test_numbers_and_codes_are_masked_and_nothing_else(told: dict[str, Any], seen: dict[str, Any]) -> None:
    assert masked(told) == seen


def test_ids_survive_masking() -> None:
    read = approved().entries()[3]
    assert shown(read)["attempt_id"] == document(read)["attempt_id"]
    assert shown(read)["key"] == read.key
