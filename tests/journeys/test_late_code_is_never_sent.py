"""A code that nobody can use any more is never sent, however long the gateways were away."""

from tests.support import stack as stacks
from tests.support.carrier import Carriers
from tests.support.platform import Platform, fresh_number
from tests.support.records import lag
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.local.stack import Stack


async def states_of(stack: Stack, identity: str) -> list[str]:
    """Where the attempts of a verification stand."""
    query = "SELECT state FROM attempts WHERE verification_id = $1::text::uuid ORDER BY try_no"
    return [str(row["state"]) for row in await stacks.rows(stack, query, identity)]


async def deferred(stack: Stack, identity: str) -> None:
    """Wait until a try has failed and the next one waits for its time."""

    async def there() -> bool:
        states = await states_of(stack, identity)
        return "deferred" in states and states[-1] == "queued"

    await eventually(there, within_s=10, what="an attempt that waits for its retry")


async def nothing_waits(stack: Stack) -> None:
    """Wait until dispatch has finished with every send request, retries included."""
    names = (topics.DISPATCH, *(topic for _, topic in topics.RETRY_TIERS_S))

    async def finished() -> bool:
        return await lag(stack.cluster, "dispatch", names) == 0

    await eventually(finished, within_s=20, what="dispatch to finish every send request")


async def over(stack: Stack, identity: str) -> list[str]:
    """The attempts' states once none of them is under way."""

    async def there() -> list[str]:
        states = await states_of(stack, identity)
        return states if states and not {"queued", "sending"} & set(states) else []

    return await eventually(there, within_s=20, what="the end of every attempt")


async def test_user_who_cancelled_gets_no_code_when_the_gateways_are_back(
    stack: Stack, platform: Platform, carriers: Carriers
) -> None:
    for name in ("alpha", "beta"):
        await carriers.behave(name, down=True)
    identity = await platform.started(number := fresh_number())
    await deferred(stack, identity)
    assert (await platform.cancel(identity)).status == 200
    for name in ("alpha", "beta"):
        await carriers.behave(name, down=False)
    await nothing_waits(stack)
    assert await carriers.inbox(number) == []
    assert "accepted" not in await states_of(stack, identity)
    assert (await platform.read(identity))["status"] == "cancelled"


async def test_code_that_would_expire_before_it_is_typed_in_is_not_sent(
    stack: Stack, platform: Platform, carriers: Carriers
) -> None:
    """Policy `brief`: a life of 31 s, the last 30 of which are too late to send."""
    for name in ("alpha", "beta"):
        await carriers.behave(name, down=True)
    identity = await platform.started(number := fresh_number(), policy="brief")
    told = await platform.until_status(identity, "failed", within_s=15)
    for name in ("alpha", "beta"):
        await carriers.behave(name, down=False)
    assert "accepted" not in await over(stack, identity)
    assert told["end_reason"] in ("too_late", "accounts_away")
    assert await carriers.inbox(number) == []
    assert (await platform.verify(fresh_number())).result == "approved", "later users are served"
    assert await carriers.inbox(number) == []
