"""What carriers report of a message: too early, twice, out of order, or not at all truly from them."""

import aiohttp
import orjson

from tests.support.carrier import Carriers
from tests.support.platform import Platform, Verified, fresh_number
from tests.support.records import everything_on, lives
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.local.stack import Stack


async def reported(platform: Platform, identity: str, state: str) -> None:
    """Wait until the verification's only attempt has this receipt."""

    async def there() -> bool:
        [attempt] = (await platform.read(identity))["attempts"]
        return bool(attempt["receipt"] == state)

    await eventually(there, within_s=10, what=f"a receipt that says {state}")


async def receipts_recorded(stack: Stack, way: Verified) -> int:
    """How many changes of the receipt the topics tell of."""
    return sum(told.event == "receipt-recorded" for told in (await lives(stack.cluster))[way.id])


async def test_receipt_that_comes_before_the_gateway_has_answered_is_not_lost(
    platform: Platform, carriers: Carriers
) -> None:
    await carriers.behave("alpha", receipt_early=1, latency_ms={"kind": "uniform", "min": 300, "max": 300})
    way = await platform.verify(fresh_number())
    await reported(platform, way.id, "delivered")
    assert way.result == "approved"


async def test_receipt_that_comes_twice_is_recorded_once(stack: Stack, platform: Platform, carriers: Carriers) -> None:
    await carriers.behave("alpha", receipt_duplicates=1)
    before = (await carriers.receipts_of("alpha")).posted
    way = await platform.verify(fresh_number())
    await reported(platform, way.id, "delivered")

    async def both_posted() -> bool:
        return (await carriers.receipts_of("alpha")).posted >= before + 2

    await eventually(both_posted, within_s=10, what="the second copy to be taken")
    after = await platform.verify(fresh_number())
    await reported(platform, after.id, "delivered")
    assert await receipts_recorded(stack, way) == 1


async def test_receipts_out_of_order_never_lead_back(platform: Platform, carriers: Carriers) -> None:
    spread = {"kind": "uniform", "min": 300, "max": 300}
    await carriers.behave("alpha", receipt_steps=["submitted", "enroute"], receipt_reordered=1, receipt_delay_ms=spread)
    before = (await carriers.receipts_of("alpha")).posted
    way = await platform.verify(fresh_number())

    async def all_posted() -> bool:
        return (await carriers.receipts_of("alpha")).posted >= before + 3

    await eventually(all_posted, within_s=10, what="all three receipts to be taken")
    await reported(platform, way.id, "delivered")


async def test_message_that_did_not_arrive_is_told_and_does_not_end_the_verification(
    platform: Platform, carriers: Carriers
) -> None:
    await carriers.behave("alpha", endings={"undelivered": 1})
    identity = await platform.started(fresh_number(), policy="load")
    await reported_first(platform, identity)
    assert (await platform.read(identity))["status"] == "pending", "the user may ask again"


async def reported_first(platform: Platform, identity: str) -> None:
    """Wait for the attempt, then for its receipt."""

    async def sent() -> bool:
        return bool((await platform.read(identity))["attempts"])

    await eventually(sent, within_s=10, what="an attempt")
    await reported(platform, identity, "undelivered")


async def test_receipt_that_is_forged_is_refused_and_changes_nothing(
    stack: Stack, platform: Platform, carriers: Carriers
) -> None:
    await carriers.behave("alpha", receipts=False)
    way = await platform.verify(fresh_number())
    [message] = await carriers.inbox(way.number)
    told = {"client_ref": message.client_ref, "id": "x", "state": "undelivered", "code": "1", "network": "00101"}
    body = orjson.dumps({"events": [told | {"at": "2026-01-01T00:00:00Z"}]})
    headers = {"Content-Type": "application/json", "X-Echo-Signature": "t=1767225600,v1=" + "0" * 64}
    url = f"{stack.receipts_url}/receipts/alpha"
    async with aiohttp.ClientSession() as session:
        for given in (headers, {"Content-Type": "application/json"}):
            async with session.post(url, data=body, headers=given) as answer:
                problem = await answer.json(content_type=None)
                assert (answer.status, problem["code"]) == (403, "signature_invalid")
    [attempt] = (await platform.read(way.id))["attempts"]
    assert attempt["receipt"] == ""
    kept = await everything_on(stack.cluster, [topics.RECEIPTS])
    assert not [each for each in kept if message.client_ref.encode() in (each.value or b"")]
