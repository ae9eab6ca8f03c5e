"""The first account of the route does not work: the user gets the code all the same, and nobody waits for it."""

from tests.support.carrier import Carriers
from tests.support.platform import Platform, fresh_number


async def test_user_gets_code_by_the_second_account(platform: Platform, carriers: Carriers) -> None:
    await carriers.behave("alpha", down=True)
    way = await platform.verify(fresh_number())
    told = await platform.read(way.id)
    [message] = await carriers.inbox(way.number)
    assert (way.result, message.carrier) == ("approved", "beta")
    assert [(each["send_no"], each["try_no"], each["state"]) for each in told["attempts"]] == [
        (1, 1, "deferred"),
        (1, 2, "accepted"),
    ]


async def test_user_gets_code_once_one_of_two_dead_accounts_is_back(platform: Platform, carriers: Carriers) -> None:
    await carriers.behave("alpha", down=True)
    await carriers.behave("beta", outages=[{"start_s": 0, "end_s": 1}])
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
