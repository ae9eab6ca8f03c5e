"""Somebody guesses: a verification locks after its checks, and a number after its budget, across verifications."""

from tests.support.platform import Platform, fresh_number

CHECKS_MAX = 5
WRONG_PER_HOUR = 10


def other_than(code: str) -> str:
    """A code of the same length that is not right."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


async def guessed(platform: Platform, number: str, times: int) -> tuple[str, str, list[str]]:
    """A new verification of the number, its code, and what so many wrong guesses were answered."""
    seen = len(await platform.carriers.inbox(number))
    identity = await platform.started(number)
    code = await platform.carriers.wait_for_code(number, seen=seen)
    results = [(await platform.check(identity, other_than(code))).body["result"] for _ in range(times)]
    return identity, code, results


async def test_guesser_is_locked_out_and_the_right_code_comes_too_late(platform: Platform) -> None:
    identity, code, results = await guessed(platform, fresh_number(), CHECKS_MAX)
    assert results == ["wrong"] * 4 + ["locked"]
    told = await platform.check(identity, code)
    assert told.body == {"result": "locked", "checks_left": 0}
    assert (await platform.read(identity))["status"] == "locked"


async def test_guesser_who_begins_anew_spends_the_budget_of_the_number(platform: Platform) -> None:
    number = fresh_number()
    for _ in range(WRONG_PER_HOUR // CHECKS_MAX):
        *_, results = await guessed(platform, number, CHECKS_MAX)
        assert results[-1] == "locked"
    identity, code, _ = await guessed(platform, number, 0)
    told = await platform.check(identity, code)
    assert (told.status, told.code) == (429, "number_limited"), "even the right code, which is not looked at"
    assert int(told.headers["Retry-After"]) > 60
    assert (await platform.read(identity))["checks_left"] == CHECKS_MAX, "nothing was counted"
    assert (await platform.verify(fresh_number())).result == "approved", "another number is not concerned"
