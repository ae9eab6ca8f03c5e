"""The headers are what the CloudEvents SDK writes, and hostile ones are refused with ValueError and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings.kafka import from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.events.contract_cases import STRUCTS
from watchword.contracts.folder import read_json, root
from watchword.contracts.inbox import header_flaws
from watchword.events import envelope
from watchword.events.code_issued import CodeIssued
from watchword.events.envelope import Envelope
from watchword.kernel.event import Event

WHEN = datetime(2026, 3, 2, 9, 15, 4, 120_000, tzinfo=UTC)
VERIFICATION = "019cadd4-6638-7c4e-9b1f-3f0c5d6e7a81"
ENVELOPE = Envelope(
    id="5f0f6c1a-8f3b-5d0e-9a51-2b7f4c9e1d33",
    source="/watchword/codes",
    type="otp.code-issued.v1",
    time=WHEN,
    subject=VERIFICATION,
    tenant="acme",
    sequence=3,
    expires_at=WHEN + timedelta(minutes=5),
    correlation_id="req-5ad3f0",
    causation_id="0b7d9a52-6c7e-5f55-8a43-9d5e1c7f2b60",
    partition_key=VERIFICATION,
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
LEAST = Envelope(id="a", source="b", type="otp.code-issued.v1", time=WHEN)


def by_sdk(told: Envelope, event: type[Event]) -> dict[str, bytes]:
    """What the SDK writes for the same event. The trace context is no CloudEvents attribute but a header of its own."""
    attributes = {
        "specversion": "1.0",
        "id": told.id,
        "source": told.source,
        "type": told.type,
        "time": told.time,
        "dataschema": envelope.schema_of(event),
        "datacontenttype": "application/json",
        "subject": told.subject,
        "tenant": told.tenant,
        "sequence": str(told.sequence) if told.sequence else "",
        "expirytime": envelope.instant(told.expires_at) if told.expires_at else "",
        "correlationid": told.correlation_id,
        "causationid": told.causation_id,
        "partitionkey": told.partition_key,
    }
    written = to_binary_event(CloudEvent({name: held for name, held in attributes.items() if held}, {}))
    return dict(written.headers)


def received(**changes: bytes | None) -> list[tuple[str, bytes]]:
    """The headers of ENVELOPE with some replaced (`ce_` is put in front) or, with None, left out."""
    named = {f"ce_{name}": value for name, value in changes.items()}
    kept = [(name, value) for name, value in envelope.headers(CodeIssued, ENVELOPE) if name not in named]
    return kept + [(name, value) for name, value in named.items() if value is not None]


@pytest.mark.parametrize("event", STRUCTS.values(), ids=lambda event: event.NAME)
@pytest.mark.parametrize("told", [ENVELOPE, LEAST], ids=["full", "least"])
def test_headers_are_byte_for_byte_what_the_sdk_writes(event: type[Event], told: Envelope) -> None:
    ours = dict(envelope.headers(event, told))
    theirs = by_sdk(told, event)
    ours.pop("traceparent", None)
    # Both are RFC 3339; the SDK writes microseconds, or no fraction where there is none, and we always milliseconds.
    assert datetime.fromisoformat(ours.pop("ce_time").decode()) == datetime.fromisoformat(
        theirs.pop("ce_time").decode()
    )
    assert ours == theirs


def test_the_sdk_reads_what_we_write() -> None:
    message = to_binary_event(CloudEvent({"id": "x", "source": "y", "type": "z"}, {}))
    ours = type(message)(headers=dict(envelope.headers(CodeIssued, ENVELOPE)), key=None, value=b"{}")
    event = from_binary_event(ours)
    assert (event.get_id(), event.get_type(), event.get_time()) == (ENVELOPE.id, ENVELOPE.type, WHEN)
    assert event.get_extension("sequence") == "3"


def test_we_read_what_the_sdk_writes() -> None:
    expected = Envelope(
        **{name: getattr(ENVELOPE, name) for name in Envelope.__struct_fields__ if name != "traceparent"}
    )
    assert envelope.read(by_sdk(ENVELOPE, CodeIssued).items()) == expected


@pytest.mark.parametrize("told", [ENVELOPE, LEAST], ids=["full", "least"])
def test_what_is_written_reads_as_the_same(told: Envelope) -> None:
    assert envelope.read(envelope.headers(CodeIssued, told)) == told


@pytest.mark.parametrize("told", [ENVELOPE, LEAST], ids=["full", "least"])
def test_what_is_written_meets_the_published_envelope(told: Envelope) -> None:
    assert header_flaws(envelope.headers(CodeIssued, told)) == ()


def test_the_published_envelope_names_every_header_and_no_other() -> None:
    published = read_json(root() / "envelope.v1.schema.json")["properties"]
    assert {name for name, _ in envelope.headers(CodeIssued, ENVELOPE)} == set(published)


def test_a_moment_elsewhere_is_told_in_utc() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert envelope.instant(datetime(2026, 3, 2, 14, 45, 4, 120_999, tzinfo=kolkata)) == "2026-03-02T09:15:04.120Z"


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_header_that_must_be_there_is_named_when_it_is_not(name: str) -> None:
    for missing in (received(**{name: None}), received(**{name: b""})):
        with pytest.raises(ValueError, match=f"missing header ce_{name}"):
            envelope.read(missing)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", b"0.3"),
        ("specversion", b"1"),
        ("id", b"\xff\xfe"),
        ("time", b"yesterday"),
        ("time", b"2026-03-02T09:15:04"),
        ("time", b""),
        ("time", b"2026-02-30T00:00:00Z"),
        ("expirytime", b"2026-03-02"),
        ("sequence", b"-1"),
        ("sequence", b"\xc2\xb2"),
        ("sequence", b""),
        ("sequence", b"9" * 5000),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(name: str, value: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        envelope.read(received(**{name: value}))


def test_the_last_of_repeated_headers_counts() -> None:
    assert envelope.read([("ce_id", b"first"), *received(id=b"last")]).id == "last"


NAMES = st.sampled_from([name for name, _ in envelope.headers(CodeIssued, ENVELOPE)]) | st.text(max_size=12)
VALUES = (
    st.binary(max_size=40)
    | st.none()
    | st.sampled_from([b"1.0", b"9999-12-31T23:59:59-14:00", b"0001-01-01T00:00:00+14:00", b"2026-03-02T09:15:04Z"])
    | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass"))
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.booleans())
def test_hostile_headers_are_read_or_refused_with_value_error(
    hostile: list[tuple[str, bytes]], behind_good_ones: bool
) -> None:
    told = [*(received() if behind_good_ones else []), *hostile]
    try:
        read = envelope.read(told)
    except ValueError as refused:
        assert str(refused)
    else:
        assert read.time.tzinfo is not None
        assert all((read.id, read.source, read.type))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_headers_that_meet_the_published_envelope_can_be_read(hostile: list[tuple[str, bytes | None]]) -> None:
    told = [*received(), *hostile]
    if not header_flaws(told):
        assert envelope.read([(name, value) for name, value in told if value is not None]).id


def test_a_header_of_somebody_else_is_not_looked_at() -> None:
    assert envelope.read([("x-agent", b"\xff"), *envelope.headers(CodeIssued, LEAST)]) == LEAST
