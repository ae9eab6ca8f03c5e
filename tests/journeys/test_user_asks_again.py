"""The user asks for the code once more: too early, the same code again, or a new one in place of the old."""

from tests.support.platform import Platform, Told, fresh_number
from tests.support.waiting import eventually


async def resent(platform: Platform, identity: str) -> Told:
    """A resend, asked for until the gap has passed."""

    async def accepted() -> Told | None:
        told = await platform.resend(identity)
        assert told.status in (202, 429), told
        return told if told.status == 202 else None

    told = await eventually(accepted, within_s=20, what="a resend to be accepted")
    assert told is not None
    return told


async def test_user_who_asks_too_early_is_told_when_to_ask(platform: Platform) -> None:
    identity = await platform.started(fresh_number())
    told = await platform.resend(identity)
    assert (told.status, told.code) == (429, "cooldown")
    assert told.body["next_send_at"] == (await platform.read(identity))["next_send_at"]
    assert told.headers["Retry-After"] in ("1", "2")


async def test_user_gets_the_same_code_again(platform: Platform) -> None:
    identity = await platform.started(number := fresh_number(), policy="load")
    first = await platform.carriers.wait_for_code(number)
    before = await platform.read(identity)
    told = await resent(platform, identity)
    second = await platform.carriers.wait_for_code(number, seen=1)
    assert (second, told.body["id"]) == (first, identity)
    assert told.body["expires_at"] == before["expires_at"], "a resend never makes the code live longer"
    assert (await platform.check(identity, first)).body["result"] == "approved"


async def test_user_gets_a_new_code_and_the_old_one_is_wrong(platform: Platform) -> None:
    identity = await platform.started(number := fresh_number(), policy="rotating")
    first = await platform.carriers.wait_for_code(number)
    await resent(platform, identity)
    second = await platform.carriers.wait_for_code(number, seen=1)
    assert second != first
    assert (await platform.check(identity, first)).body["result"] == "wrong"
    assert (await platform.check(identity, second)).body["result"] == "approved"


async def test_user_who_begins_again_is_sent_the_code_of_the_live_verification(platform: Platform) -> None:
    identity = await platform.started(number := fresh_number(), policy="load")
    first = await platform.carriers.wait_for_code(number)

    async def begun_again() -> Told | None:
        told = await platform.start(number, policy="load")
        return told if told.status == 202 else None

    told = await eventually(begun_again, within_s=20, what="a second start to be accepted")
    assert told is not None and told.body["id"] == identity
    assert await platform.carriers.wait_for_code(number, seen=1) == first


async def test_user_whose_verification_is_over_is_not_sent_anything(platform: Platform) -> None:
    way = await platform.verify(fresh_number())
    told = await platform.resend(way.id)
    assert (told.status, told.code) == (410, "ended")
    assert len(await platform.carriers.inbox(way.number)) == 1
