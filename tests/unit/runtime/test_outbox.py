"""An outbox row is the event as it will travel."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import decode
from watchword.events.code_issued import CodeIssued
from watchword.kernel.event import Emit
from watchword.runtime import outbox
from watchword.runtime.outbox import Origin

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VERIFICATION = UUID("0195f000-0000-7000-8000-000000000001")
ISSUED = CodeIssued(
    verification_id=VERIFICATION,
    tenant="shop",
    number_token="token",
    country="IN",
    range="+91987654",
    purpose="login",
    channel="sms",
    policy="default",
    policy_version=3,
    expires_at=NOW + timedelta(seconds=300),
    code_version=1,
    send_no=1,
    digits=6,
)
ORIGIN = Origin("codes", NOW, causation_id="cause", correlation_id="request-1")


def test_the_row_of_an_event_reads_back_as_the_event_and_its_envelope() -> None:
    row = outbox.row(Emit(ISSUED, str(VERIFICATION), 1), ORIGIN, sequence=3)
    told = envelopes.read(row.headers)
    assert decode(told.type, row.value) == ISSUED
    assert (row.topic, row.key) == (topics.LIFECYCLE, str(VERIFICATION).encode())
    assert (told.sequence, told.subject, told.tenant) == (3, str(VERIFICATION), "shop")
    assert (told.causation_id, told.correlation_id) == ("cause", "request-1")
    assert told.expires_at == ISSUED.expires_at


def test_a_repeat_of_the_same_fact_carries_the_same_id() -> None:
    first, again = (outbox.row(Emit(ISSUED, str(VERIFICATION), 1), ORIGIN, sequence=3) for _ in range(2))
    other = outbox.row(Emit(ISSUED, str(VERIFICATION), 2), ORIGIN, sequence=4)
    assert first.id == again.id != other.id


def test_headers_of_any_bytes_survive_the_store() -> None:
    headers = (("ce_id", b"1"), ("odd", bytes(range(256))), ("wörd", "wörd".encode()))
    assert outbox.unpack(outbox.pack(headers)) == headers


def test_a_dead_letter_keeps_the_value_and_says_why() -> None:
    row = outbox.dead_row(topics.REQUESTS, (2, 41), b"key", b"\xff{", [("a", b"b")], ("unreadable", "not JSON"))
    assert (row.topic, row.key, row.value) == ("otp.requests.v1.dead", b"key", b"\xff{")
    assert dict(row.headers) == {
        "a": b"b",
        "wwd_reason": b"unreadable",
        "wwd_detail": b"not JSON",
        "wwd_topic": b"otp.requests.v1",
        "wwd_partition": b"2",
        "wwd_offset": b"41",
    }
    assert row.id == outbox.dead_row(topics.REQUESTS, (2, 41), None, None, [], ("x", "")).id


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [(b"k" * 900_000, b"{", ()), (b"k", b"v" * 1_048_400, ()), (b"k", b"{", (("a", b"h" * 900_000),))],
    ids=["key", "value", "headers"],
)
def test_the_dead_letter_of_a_record_as_large_as_kafka_takes_is_one_that_kafka_takes(
    key: bytes, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> None:
    row = outbox.dead_row(topics.INBOX, (2, 41), key, value, headers, ("body_too_large", ""))
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(row.key, row.value, list(row.headers))
    assert size < 700_000, "a producer of ours sends no more than 1 MiB"
    told = dict(row.headers)
    assert b" bytes" in told["wwd_withheld"] and told["wwd_reason"] == b"body_too_large"


def test_only_dead_letters_have_reasons_and_a_publisher_cannot_choose_one() -> None:
    alive = outbox.row(Emit(ISSUED, str(VERIFICATION), 1), ORIGIN, sequence=3)
    sly = [("wwd_reason", b"mine")]
    letter = outbox.dead_row(topics.INBOX, (0, 1), None, b"{", sly, ("malformed_json", ""))
    assert outbox.reasons([alive, letter]) == ["malformed_json"]
