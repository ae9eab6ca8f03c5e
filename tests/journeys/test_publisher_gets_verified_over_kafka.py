"""A platform that publishes instead of calling: one record in, one result out, whatever the record is like."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.support import stack as stacks
from tests.support.platform import Platform, fresh_number
from tests.support.records import everything_on, publish
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.local.stack import Stack


def attributes(identity: str, **changes: str) -> dict[str, str]:
    """The headers of a request in binary mode."""
    return {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_source": "/demo/shop",
        "ce_type": "otp.verification-submitted.v1",
        "content-type": "application/json",
        **changes,
    }


async def results_for(stack: Stack, identity: str, event: str) -> list[dict[str, Any]]:
    """The results of one kind that tell of the published request."""
    found = []
    for record in await everything_on(stack.cluster, [topics.RESULTS]):
        headers = {name: value.decode() for name, value in record.headers}
        if headers.get("ce_correlationid") == identity and f".{event}." in headers["ce_type"]:
            found.append(orjson.loads(record.value))
    return found


async def result_for(stack: Stack, identity: str, event: str) -> dict[str, Any]:
    """The one result of a kind, waiting for it."""

    async def there() -> list[dict[str, Any]]:
        return await results_for(stack, identity, event)

    found = await eventually(there, within_s=15, what=f"a {event} on {topics.RESULTS}")
    assert len(found) == 1
    return found[0]


async def letters_of(stack: Stack, identity: str) -> list[Any]:
    """The dead letters of the published request, waiting for the first."""

    async def there() -> list[Any]:
        letters = await everything_on(stack.cluster, [topics.dead(topics.INBOX)])
        return [each for each in letters if dict(each.headers).get("ce_id") == identity.encode()]

    return await eventually(there, within_s=15, what=f"a record on {topics.dead(topics.INBOX)}")


async def begun(stack: Stack, reference: str) -> str:
    """The id of the verification that was asked for under this reference."""

    async def there() -> str:
        found = await stacks.rows(stack, "SELECT id::text FROM verifications WHERE reference = $1", reference)
        return str(found[0]["id"]) if found else ""

    return await eventually(there, within_s=10, what=f"a verification for {reference}")


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_publisher_gets_a_user_verified_and_is_told_so(stack: Stack, platform: Platform, mode: str) -> None:
    number, identity = fresh_number(), f"order-{mode}"
    data = {"to": number, "purpose": "login", "reference": identity}
    if mode == "binary":
        await publish(stack.cluster, topics.INBOX, orjson.dumps(data), attributes(identity))
    else:
        told = {name.removeprefix("ce_"): text for name, text in attributes(identity).items() if "_" in name}
        value = orjson.dumps({**told, "datacontenttype": "application/json", "data": data})
        await publish(stack.cluster, topics.INBOX, value, {"content-type": "application/cloudevents+json"}, identity)
    code = await platform.carriers.wait_for_code(number)
    verification = await begun(stack, identity)
    assert (await platform.check(verification, code)).body["result"] == "approved"
    ended = await result_for(stack, identity, "verification-ended")
    assert (ended["state"], ended["reference"], ended["verification_id"]) == ("approved", identity, verification)
    assert await results_for(stack, identity, "verification-refused") == []


async def test_publisher_who_repeats_a_record_gets_one_message_sent(stack: Stack, platform: Platform) -> None:
    number, other = fresh_number(), fresh_number()
    value = orjson.dumps({"to": number, "reference": "repeated"})
    for _ in range(3):
        await publish(stack.cluster, topics.INBOX, value, attributes("repeated"), key="same")
    last = orjson.dumps({"to": other, "reference": "after-it"})
    await publish(stack.cluster, topics.INBOX, last, attributes("after-it"), key="same")
    await platform.carriers.wait_for_code(other)
    await platform.carriers.wait_for_code(number)
    assert len(await platform.carriers.inbox(number)) == 1
    rows = await stacks.rows(stack, "SELECT sends_requested FROM verifications WHERE reference = 'repeated'")
    assert [row["sends_requested"] for row in rows] == [1]


MALFORMED: dict[str, tuple[Callable[[str], bytes], dict[str, str], str]] = {
    "not-json": (lambda number: b'{"to": ' + number.encode(), {}, "malformed_json"),
    "not-utf8": (lambda number: b'{"to": "\xff\xfe"}', {}, "malformed_json"),
    "twice-the-same-key": (lambda number: b'{"to": "1", "to": "%s"}' % number.encode(), {}, "malformed_json"),
    "wrong-type": (lambda number: b'{"to": 919876543210}', {}, "malformed_body"),
    "no-number": (lambda number: b'{"to": "call me"}', {}, "number_invalid"),
    "stranger": (
        lambda number: orjson.dumps({"to": number}),
        {"ce_source": "/somebody/else"},
        "unauthenticated",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_publisher_of_a_malformed_record_is_told_why_and_the_record_is_kept(
    stack: Stack, platform: Platform, case: str
) -> None:
    made, changes, code = MALFORMED[case]
    value = made(fresh_number())
    await publish(stack.cluster, topics.INBOX, value, attributes(f"bad-{case}", **changes), key="same")
    refused = await result_for(stack, f"bad-{case}", "verification-refused")
    assert (refused["code"], refused["request_id"]) == (code, f"bad-{case}")
    [letter] = await letters_of(stack, f"bad-{case}")
    assert letter.value == value, "the record, untouched"
    assert dict(letter.headers)["wwd_reason"] == code.encode()


async def test_a_record_with_a_code_in_clear_is_refused_and_kept_nowhere(stack: Stack) -> None:
    value = orjson.dumps({"to": fresh_number(), "code": "5550199377"})
    await publish(stack.cluster, topics.INBOX, value, attributes("clear-code"))
    refused = await result_for(stack, "clear-code", "verification-refused")
    assert refused["code"] == "code_refused"
    [letter] = await letters_of(stack, "clear-code")
    assert letter.value is None, "the record without its value"
