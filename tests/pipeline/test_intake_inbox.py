"""intake's Kafka door: what a publisher gets, on real Kafka and Postgres."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest_asyncio

from tests.support.header_names import STAND_IN, publish_with_names_of_any_bytes
from tests.support.intake import Caller, intake
from tests.support.pipeline import Pipeline, Read
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.envelope import instant
from watchword.events.verification_refused import VerificationRefused

NUMBER = "+919876543210"
DEAD = topics.dead(topics.INBOX)
BURIED = "watchword_runtime_buried_total"


@pytest_asyncio.fixture
async def platform(stand: Pipeline) -> AsyncIterator[Caller]:
    """A running intake."""
    async with intake(stand) as caller:
        yield caller


def attributes(identity: str, **changes: str) -> list[tuple[str, bytes]]:
    """The headers of a binary CloudEvent; "" leaves one out."""
    told = {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_source": "/shop/checkout",
        "ce_type": "otp.verification-submitted.v1",
        "content-type": "application/json",
        **changes,
    }
    return [(name, value.encode()) for name, value in told.items() if value]


async def submit(stand: Pipeline, identity: str, value: object, **changes: str) -> None:
    raw = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    await stand.publish_raw(topics.INBOX, identity.encode(), raw, attributes(identity, **changes))


async def refusals(stand: Pipeline, count: int) -> dict[str, tuple[str, str]]:
    """Code and Kafka key of each refusal, by request id."""
    told: list[Read] = await stand.told(topics.RESULTS, count=count)
    found = {}
    for each in told:
        assert isinstance(each.event, VerificationRefused)
        found[each.event.request_id] = (each.event.code, each.key)
    return found


async def dead(stand: Pipeline, count: int) -> list[Any]:
    async def enough() -> list[Any]:
        found = await stand.records(DEAD)
        return found if len(found) >= count else []

    return await eventually(enough, within_s=20, what=f"{count} dead letters")


async def test_a_published_request_becomes_a_verification_that_names_it(platform: Caller) -> None:
    stand = platform.stand
    await submit(
        stand, "req-1", {"to": NUMBER, "purpose": "login", "reference": "order-7", "signals": {"ip": "1.2.3.4"}}
    )
    [told] = await stand.told(topics.REQUESTS, count=1)
    assert (told.envelope.correlation_id, told.envelope.causation_id) == ("req-1", "req-1")
    row = await stand.row("SELECT tenant, purpose, reference, state FROM verifications")
    assert tuple(row) == ("shop", "login", "order-7", "requested")
    await stand.outbox_is_empty()
    assert await stand.records(topics.RESULTS) == []


async def test_a_structured_cloudevent_says_the_same(platform: Caller) -> None:
    event = {
        "specversion": "1.0", "id": "req-1", "source": "/shop/checkout", "type": "otp.verification-submitted.v1",
        "datacontenttype": "application/json", "anextension": 7, "data": {"to": NUMBER, "reference": "order-7"},
    }  # fmt: skip
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    await platform.stand.publish_raw(topics.INBOX, b"k", orjson.dumps(event), headers)
    [told] = await platform.stand.told(topics.REQUESTS, count=1)
    assert told.envelope.correlation_id == "req-1"
    assert (await platform.stand.row("SELECT reference FROM verifications"))["reference"] == "order-7"


async def test_a_header_name_that_is_no_text_stops_neither_its_record_nor_those_behind_it(platform: Caller) -> None:
    stand = platform.stand
    records = [
        (b"k", orjson.dumps({"to": f"+91987654321{index}"}), [*attributes(name), (STAND_IN, b"7")])
        for index, name in enumerate(("odd", "odd-too"))
    ]
    await publish_with_names_of_any_bytes(stand.cluster, topics.INBOX, records)
    await submit(stand, "good", {"to": "+919876543219"})
    told = await stand.told(topics.REQUESTS, count=3)
    assert {each.envelope.correlation_id for each in told} == {"odd", "odd-too", "good"}


async def test_a_request_as_large_as_kafka_takes_is_refused_and_buried_without_what_no_letter_holds(
    platform: Caller,
) -> None:
    stand = platform.stand
    await submit(stand, "large", b"{" + b" " * 1_040_000)
    [letter] = await dead(stand, 1)
    assert letter.value is None and b"sha256" in dict(letter.headers)["wwd_withheld"]
    assert (await refusals(stand, 1))["large"][0] == "body_too_large"
    await stand.outbox_is_empty()


async def test_publishing_the_same_request_again_changes_nothing(platform: Caller) -> None:
    stand = platform.stand
    for _ in range(3):
        await submit(stand, "req-1", {"to": NUMBER})
    for _ in range(2):
        await submit(stand, "req-2", {"to": NUMBER, "reference": "order-8"})
    assert await refusals(stand, 1) == {"req-2": ("cooldown", "order-8")}
    await submit(stand, "req-3", {"to": "+919876543211"})
    await stand.told(topics.REQUESTS, count=2)
    assert await platform.count("verifications") == 2
    assert len(await stand.records(topics.RESULTS)) == 1


MALFORMED: list[tuple[object, dict[str, str], str]] = [
    (b"\xff\x00 not json", {}, "malformed_json"),
    (None, {}, "empty_body"),
    (b'{"to":"' + b"1" * 17_000 + b'"}', {}, "body_too_large"),
    (b'{"to":"+919876543210","to":"+919876543211"}', {}, "malformed_json"),
    (b'{"to":' * 1_000, {}, "malformed_json"),
    ({"to": 919876543210}, {}, "malformed_body"),
    ({"purpose": "login"}, {}, "malformed_body"),
    ({"to": NUMBER, "purpose": "Not A Word"}, {}, "malformed_body"),
    ({"to": NUMBER, "signals": {"ip": "nowhere"}}, {}, "malformed_body"),
    ({"to": "+1234"}, {}, "number_invalid"),
    ({"to": NUMBER, "policy": "nobody"}, {}, "policy_unknown"),
    ({"to": NUMBER}, {"ce_source": "/somebody/else"}, "unauthenticated"),
    ({"to": NUMBER}, {"ce_type": "otp.code-issued.v1"}, "malformed_header"),
    ({"to": NUMBER}, {"ce_type": "otp.verification-submitted.v9"}, "malformed_header"),
    ({"to": NUMBER}, {"ce_specversion": "0.3"}, "malformed_header"),
    ({"to": NUMBER}, {"ce_source": ""}, "malformed_header"),
    ({"to": NUMBER}, {"ce_expirytime": "soon"}, "malformed_header"),
]


async def test_what_cannot_be_read_is_refused_buried_untouched_and_passed(platform: Caller) -> None:
    stand = platform.stand
    for index, (value, changes, _) in enumerate(MALFORMED):
        await submit(stand, f"bad-{index}", value, **changes)
    await submit(stand, "good", {"to": NUMBER})
    await stand.told(topics.REQUESTS, count=1)
    told = await refusals(stand, len(MALFORMED))
    expected = {f"bad-{index}": (code, f"bad-{index}") for index, (_, _, code) in enumerate(MALFORMED)}
    assert told == expected
    letters = {record.key.decode(): record for record in await dead(stand, len(MALFORMED))}
    reasons = Counter(code for _, _, code in MALFORMED)
    counted = {code: platform.process.metrics.value(BURIED, stage="intake", reason=code) for code in reasons}
    assert counted == reasons
    for index, (value, changes, code) in enumerate(MALFORMED):
        letter = letters[f"bad-{index}"]
        raw = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
        assert letter.value == raw
        headers = dict(letter.headers)
        assert headers["wwd_reason"] == code.encode()
        assert {name for name, _ in attributes("x", **changes)} <= headers.keys()
    assert await platform.count("verifications") == 1
    await stand.outbox_is_empty()


async def test_no_refusal_quotes_the_number(platform: Caller) -> None:
    await submit(platform.stand, "bad", {"to": NUMBER, "purpose": NUMBER, NUMBER: NUMBER, "locale": NUMBER})
    await refusals(platform.stand, 1)
    [record] = await platform.stand.records(topics.RESULTS)
    [letter] = await dead(platform.stand, 1)
    assert b"9876543210" not in record.value
    assert b"9876543210" not in dict(letter.headers)["wwd_detail"]


async def test_a_published_code_is_refused_and_kept_nowhere(platform: Caller) -> None:
    stand = platform.stand
    await submit(stand, "with-code", {"to": NUMBER, "code": "493021"})
    assert await refusals(stand, 1) == {"with-code": ("code_refused", "with-code")}
    [letter] = await dead(stand, 1)
    assert (letter.key, letter.value) == (b"with-code", None)


async def test_refusals_of_the_platforms_wish_are_told_and_nothing_is_buried(platform: Caller) -> None:
    stand = platform.stand
    past = instant(datetime.now(UTC) - timedelta(seconds=1))
    await submit(stand, "geo", {"to": "+14155550123", "reference": "order-1"})
    await submit(stand, "kind", {"to": "+911800111109"})
    await submit(stand, "late", {"to": NUMBER, "reference": "order-3"}, ce_expirytime=past)
    for index in range(4):
        await submit(stand, f"narrow-{index}", {"to": f"+91987654000{index}"}, ce_source="/narrow")
    told = await refusals(stand, 4)
    await stand.told(topics.REQUESTS, count=3)
    assert told.pop("geo") == ("country_not_permitted", "order-1")
    assert told.pop("kind") == ("number_type_refused", "kind")
    assert told.pop("late") == ("expired", "order-3")
    assert [code for code, _ in told.values()] == ["rate_limited"]
    await stand.outbox_is_empty()
    assert await stand.records(DEAD) == []


async def test_both_doors_share_one_verification_of_a_number(platform: Caller) -> None:
    stand = platform.stand
    for index in range(20):
        await submit(stand, f"req-{index}", {"to": NUMBER})
    answers = await asyncio.gather(*(platform.start(NUMBER) for _ in range(20)))
    told = await refusals(stand, 40 - 1 - sum(each.status == 429 for each in answers))
    assert {code for code, _ in told.values()} == {"cooldown"}
    assert await platform.count("verifications") == 1


async def test_what_was_published_while_intake_was_away_is_carried_out_once_it_is_back(stand: Pipeline) -> None:
    async with intake(stand):
        await submit(stand, "req-1", {"to": NUMBER})
        await stand.told(topics.REQUESTS, count=1)
    for index in range(2, 5):
        await submit(stand, f"req-{index}", {"to": f"+91987654000{index}"})
    async with stand.running("intake"):
        await stand.told(topics.REQUESTS, count=4)
    assert await stand.connection.fetchval("SELECT count(*) FROM verifications") == 4
