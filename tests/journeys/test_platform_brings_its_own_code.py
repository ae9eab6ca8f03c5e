"""A platform that draws its own codes: its policy permits it, and the code is kept as secret as one of ours."""

from tests.support.platform import Platform, fresh_number

OWN = "408217"


async def test_platform_brings_its_own_code_and_the_user_gets_it(platform: Platform) -> None:
    identity = await platform.started(number := fresh_number(), code=OWN)
    assert await platform.carriers.wait_for_code(number) == OWN
    assert (await platform.check(identity, "408218")).body["result"] == "wrong"
    assert (await platform.check(identity, OWN)).body["result"] == "approved"


async def test_platform_whose_policy_draws_the_code_may_not_bring_one(platform: Platform) -> None:
    told = await platform.start(number := fresh_number(), policy="load", code=OWN)
    assert (told.status, told.code) == (422, "code_refused")
    assert OWN not in str(told.body)
    assert await platform.carriers.inbox(number) == []


async def test_platform_may_not_put_its_code_over_a_live_one(platform: Platform) -> None:
    identity = await platform.started(number := fresh_number())
    code = await platform.carriers.wait_for_code(number)
    told = await platform.start(number, code=OWN)
    assert (told.status, told.code) == (409, "verification_live")
    assert (await platform.check(identity, OWN)).body["result"] == "wrong"
    assert (await platform.check(identity, code)).body["result"] == "approved"
