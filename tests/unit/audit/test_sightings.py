"""Numbers and codes where none may be."""

from uuid import UUID

import pytest

from tests.support.history import approved
from watchword.audit.sightings import Canaries, CanaryError, canaries, sightings
from watchword.events import topics

IDENTITY = str(UUID(int=7))


def seen(
    value: bytes = b"{}", *, topic: str = topics.LIFECYCLE, key: bytes = b"k", known: Canaries | None = None
) -> int:
    return len(list(sightings(topic, key, value, [("ce_subject", IDENTITY.encode())], IDENTITY, known or Canaries())))


@pytest.mark.parametrize(
    "value",
    [
        b'{"reference":"+919876543210"}',
        b'{"detail":"call +4712345678"}',
        b'{"range":"+919876543210"}',
        b'{"feature":"series:+919876543210@demo"}',
        b"poison +919876543210",
        b'{"code":"493021"}',
        b'{"otp": 493021}',
    ],
)
def test_number_or_code_is_seen_wherever_it_stands(value: bytes) -> None:
    assert seen(value) == 1


@pytest.mark.parametrize(
    "value",
    [
        b'{"range":"+91987654","reference":"o-493021"}',
        b'{"feature":"range:+91987654"}',
        b'{"feature":"series:+9198765@demo"}',
        b'{"feature":"block:+91987654.Zk3-x@demo"}',
        b'{"code":"range_blocked"}',
        b'{"raw_code":"30003"}',
        b'{"provider_time":"2026-03-01T10:00:00+05:30"}',
        b'{"sealed":"ab+12345678/9012=="}',
        b'{"latency_ms":12345678}',
    ],
)
def test_what_only_looks_a_little_alike_is_not_taken_for_one(value: bytes) -> None:
    assert seen(value) == 0


def test_every_event_of_a_usual_life_is_free_of_sightings() -> None:
    for told in approved().told:
        row = told.row
        assert not list(sightings(row.topic, row.key, row.value, row.headers, "x", Canaries()))


def test_key_and_headers_are_looked_at_too() -> None:
    assert seen(key=b"+919876543210") == 1
    assert list(sightings(topics.RESULTS, b"k", b"{}", [("x-to", b"+919876543210")], "", Canaries())) == [
        "header x-to holds what looks like a phone number"
    ]


@pytest.mark.parametrize(
    "feature",
    [b"operator:+9987@shop", b"series:+9171115@shop", b"range:+91711150@shop", b"block:+91711150.a1b2@shop"],
)
def test_an_operator_is_not_alarmed_by_the_leading_digits_that_fraud_judges(feature: bytes) -> None:
    value = b'{"feature":"' + feature + b'","level":"elevated"}'
    seen = sightings(topics.RISK_LEVELS, feature, value, [("ce_partitionkey", feature)], "", Canaries())
    assert list(seen) == []


def test_a_number_in_the_place_of_leading_digits_is_seen() -> None:
    assert list(sightings(topics.RISK_LEVELS, b"series:+919876543210@shop", None, [], "", Canaries()))


@pytest.mark.parametrize("topic", [topics.INBOX, topics.dead(topics.INBOX)])
def test_publishers_own_topic_is_excepted(topic: str) -> None:
    assert seen(b'{"to":"+919876543210"}', topic=topic) == 0


def test_canary_number_is_seen_without_its_plus() -> None:
    known = canaries(["# people", "", "+91 98765-43210"])
    assert seen(b'{"reference":"x919876543210y"}', known=known) == 1
    assert seen(b'{"reference":"919876543211"}', known=known) == 0


@pytest.mark.parametrize(
    ("value", "is_seen"),
    [
        (b'{"reference":"493021"}', True),
        (b'{"detail":"typed 493021 twice"}', True),
        (b'{"number":493021}', True),
        (b'{"attempt_id":"019a-493021-77"}', False),
        (b'{"price_micros":4930210}', False),
        (b'{"at":"2026-03-01T10:00:00.493021Z"}', False),
    ],
)
def test_canary_code_is_looked_for_in_its_own_verification(value: bytes, is_seen: bool) -> None:
    known = canaries([f"{IDENTITY} 493021"])
    assert bool(seen(value, known=known)) == is_seen
    others = canaries([f"{UUID(int=8)} 493021"])
    assert seen(value, known=others) == 0


@pytest.mark.parametrize("line", ["12345", "hello", "+91 98765 43210 x", f"{IDENTITY} secret"])
def test_canary_that_cannot_be_used_is_refused_without_being_repeated(line: str) -> None:
    with pytest.raises(CanaryError, match="line 2 is neither") as refused:
        canaries(["+919876543210", line])
    assert line not in str(refused.value)


def test_canaries_do_not_print() -> None:
    assert "9876" not in repr(canaries(["+919876543210", f"{IDENTITY} 98765432"]))
