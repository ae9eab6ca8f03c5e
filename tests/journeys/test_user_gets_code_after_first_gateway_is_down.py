"""The first account of the route does not work: the user gets the code all the same, and nobody waits for it."""

from datetime import timedelta
from uuid import UUID

from tests.support.carrier import Carriers
from tests.support.platform import Platform, fresh_number
from tests.support.waiting import eventually
from watchword.kernel.ids import attempt_id

USERS = 5
WITHIN = timedelta(milliseconds=300)


async def test_user_gets_code_by_the_second_account(platform: Platform, carriers: Carriers) -> None:
    await carriers.behave("alpha", down=True)
    way = await platform.verify(fresh_number())
    [message] = await carriers.inbox(way.number)
    assert (way.result, message.carrier) == ("approved", "beta")

    async def written() -> bool:
        """A user may be quicker than the note of what the carrier answered."""
        told = (await platform.read(way.id))["attempts"]
        tried = [(each["send_no"], each["try_no"], each["state"]) for each in told]
        return tried == [(1, 1, "deferred"), (1, 2, "accepted")]

    await eventually(written, within_s=10, what="both attempts and how they ended")


async def test_the_second_account_has_the_message_within_300_ms_of_the_first_ones_refusal(
    platform: Platform, carriers: Carriers
) -> None:
    """By the carriers' own clock, from the call that was refused. The quickest of five users tells what dispatch takes,
    the others what else this machine does; a wait by design would be in all of them."""
    await carriers.behave("alpha", down=True)
    ways = [await platform.verify(fresh_number()) for _ in range(USERS)]
    refused = {call.client_ref: call.time for call in (await carriers.ledger_of("alpha")).calls}
    waits = []
    for way in ways:
        [message] = await carriers.inbox(way.number)
        assert (way.result, message.carrier) == ("approved", "beta")
        waits.append(message.time - refused[str(attempt_id(UUID(way.id), 1, 1))])
    assert timedelta() < min(waits) <= WITHIN


async def test_user_gets_code_once_one_of_two_dead_accounts_is_back(platform: Platform, carriers: Carriers) -> None:
    await carriers.behave("alpha", down=True)
    await carriers.behave("beta", outages=[{"start_s": 0, "end_s": 2}])
    way = await platform.verify(fresh_number())
    told = await platform.read(way.id)
    [message] = await carriers.inbox(way.number)
    assert (way.result, message.carrier) == ("approved", "beta")
    assert len(told["attempts"]) > 2, "both were tried before one of them was back"


async def test_user_hears_of_a_number_that_no_network_knows(platform: Platform, carriers: Carriers) -> None:
    """A refusal of the destination is final: nobody tries the other account, and the verification has failed."""
    await carriers.behave("alpha", errors={"destination": 1})
    identity = await platform.started(number := fresh_number())
    told = await platform.until_status(identity, "failed")
    assert told["end_reason"] == "destination_rejected"
    assert [each["state"] for each in told["attempts"]] == ["rejected"]
    assert await carriers.inbox(number) == []
