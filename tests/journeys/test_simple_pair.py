"""The simple pair: two calls, a number as the user types it, and nothing to remember in between."""

from tests.support.platform import Platform, Told, fresh_number
from tests.support.waiting import eventually


async def sent(platform: Platform, mobile: str, **fields: str) -> Told:
    return await platform.call("POST", "/send-otp", {"mobile": mobile, **fields})


async def verified(platform: Platform, mobile: str, otp: str) -> Told:
    return await platform.call("POST", "/verify-otp", {"mobile": mobile, "otp": otp})


async def test_user_is_verified_with_two_calls(platform: Platform) -> None:
    number = fresh_number()
    national = number.removeprefix("+91")
    assert (await sent(platform, national)).status == 202
    code = await platform.carriers.wait_for_code(number)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert (await verified(platform, national, wrong)).body == {"verified": False, "result": "wrong", "checks_left": 4}
    assert (await verified(platform, number, code)).body == {"verified": True, "result": "approved", "checks_left": 0}
    assert (await verified(platform, national, code)).body["result"] == "used"


async def test_platform_brings_the_code_of_the_simple_pair(platform: Platform) -> None:
    number = fresh_number()
    assert (await sent(platform, number, otp="730164")).status == 202
    assert await platform.carriers.wait_for_code(number) == "730164"
    assert (await verified(platform, number, "730164")).body["verified"] is True


async def test_a_number_that_never_asked_looks_like_one_whose_code_expired(platform: Platform) -> None:
    told = await verified(platform, fresh_number(), "123456")
    assert (told.status, told.body) == (200, {"verified": False, "result": "expired", "checks_left": 0})


async def test_asking_twice_sends_the_same_code_and_verifies_once(platform: Platform) -> None:
    number = fresh_number()
    assert (await sent(platform, number)).status == 202
    first = await platform.carriers.wait_for_code(number)

    async def again() -> bool:
        return (await sent(platform, number)).status == 202

    await eventually(again, within_s=20, what="a second message to be allowed")
    assert await platform.carriers.wait_for_code(number, seen=1) == first
    assert (await verified(platform, number, first)).body["verified"] is True
