"""An operator applies a file: what it says holds within two seconds, in processes that were not touched."""

from pathlib import Path

from tests.support.applying import apply_to
from tests.support.carrier import Carriers
from tests.support.platform import Platform, Told, fresh_number
from tests.support.waiting import eventually
from watchword.local.stack import Stack
from watchword.simulator.world import Sms

WITHIN_S = 2.0
EIGHT_DIGITS = """
[[policies]]
id = "eight"
tenant = "demo"
template = "default"
digits = 8
"""
BY_BETA = """
[[accounts]]
id = "beta-again"
gateway = "echo"
url = "${simulator}/carriers/beta"
sender = "AGAIN"
secrets = {token = "beta", callback = "simulated-receipts"}

[[routes]]
id = "vip"
country = "*"
purpose = "vip"
accounts = ["beta-again"]
"""


async def test_new_policy_is_in_force_within_two_seconds(stack: Stack, platform: Platform, tmp_path: Path) -> None:
    pids = {name: child.process.pid for name, child in stack.children.items()}
    number = fresh_number()
    before = await platform.start(number, policy="eight")
    assert (before.status, before.code) == (422, "policy_unknown")
    await apply_to(stack, tmp_path / "eight.toml", EIGHT_DIGITS)

    async def accepted() -> Told | None:
        told = await platform.start(number, policy="eight")
        return told if told.status == 202 else None

    told = await eventually(accepted, within_s=WITHIN_S, what="the new policy to be known")
    code = await platform.carriers.wait_for_code(number)
    assert told is not None and len(code) == 8
    assert (await platform.check(told.body["id"], code)).body["result"] == "approved"
    assert {name: child.process.pid for name, child in stack.children.items()} == pids


async def test_new_account_and_route_carry_messages_within_two_seconds(
    stack: Stack, platform: Platform, carriers: Carriers, tmp_path: Path
) -> None:
    assert [each.carrier for each in await _messages(platform, "vip")] == ["alpha"]
    await apply_to(stack, tmp_path / "vip.toml", BY_BETA)

    async def carried() -> bool:
        return [(each.carrier, each.sender) for each in await _messages(platform, "vip")] == [("beta", "AGAIN")]

    await eventually(carried, within_s=WITHIN_S, what="a message by the new account")


async def _messages(platform: Platform, purpose: str) -> list[Sms]:
    await platform.started(number := fresh_number(), purpose=purpose)
    await platform.carriers.wait_for_code(number)
    return await platform.carriers.inbox(number)
