"""Users whose platform asks through the Kafka door."""

import orjson

from tests.support import stack as stacks
from tests.support.deaths import Story
from tests.support.platform import Platform, Verified, fresh_number
from tests.support.records import publish
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.local.stack import Stack


def publishes(stack: Stack, platform: Platform) -> Story:
    """One user's way; nobody answers the platform, so the database tells the id."""

    async def story() -> Verified:
        way = Verified(fresh_number())
        body = {"to": way.number, "reference": way.number}
        await publish(stack.cluster, topics.INBOX, orjson.dumps(body), submitted(way.number))

        async def begun() -> str:
            found = await stacks.rows(stack, "SELECT id::text FROM verifications WHERE reference = $1", way.number)
            return str(found[0]["id"]) if found else ""

        way.id = await eventually(begun, within_s=30, what="a verification of the published request")
        await platform.enter_code(way)
        return way

    return story


def submitted(identity: str) -> dict[str, str]:
    """The attributes of a published request."""
    return {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_source": "/demo/shop",
        "ce_type": "otp.verification-submitted.v1",
        "content-type": "application/json",
    }
