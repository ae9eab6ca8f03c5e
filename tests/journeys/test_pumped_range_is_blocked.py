"""Somebody pumps a number range: it is blocked, its country is not, and nobody else's tenant notices."""

from pathlib import Path

from tests.support.applying import apply_to
from tests.support.platform import Platform, fresh_number
from tests.support.waiting import eventually
from watchword.local.stack import Stack

SENDS_MAX = 40
WARY = """
[[tenants]]
id = "wary"
countries = ["UZ", "IN"]
sources = []
fraud_mode = "enforce"
requests_per_second = 2000
requests_burst = 4000
range_per_hour = 10000

[[policies]]
id = "default"
tenant = "wary"
template = "default"

[[templates]]
id = "default"
tenant = "wary"
brand = "Wary"
[templates.texts]
en = "{code} is your {brand} code."

[[api_keys]]
tenant = "wary"
name = "wary"
scopes = ["start", "check", "read", "cancel"]
"""


async def test_pumped_range_is_blocked_and_a_user_of_the_same_country_is_not(
    stack: Stack, platform: Platform, tmp_path: Path
) -> None:
    [key] = (await apply_to(stack, tmp_path / "wary.toml", WARY))["new_keys"]
    wary = platform.with_key(key["key"])
    pumped: list[str] = []

    async def blocked() -> bool:
        assert len(pumped) <= SENDS_MAX, "the range was never blocked"
        told = await wary.start(f"+99890123{len(pumped):04d}")
        if told.status == 401:
            return False  # the key is not known to the door yet
        pumped.append(str(told.body.get("id", "")))
        assert told.status in (202, 403), told
        return told.status == 403 and told.code == "blocked"

    await eventually(blocked, within_s=30, what="the door to refuse the range")
    way = await wary.verify("+998935550001")
    assert way.result == "approved", "another range of the same country"
    assert (await platform.verify(fresh_number())).result == "approved"
    phones = [len(await platform.carriers.inbox(f"+99890123{index:04d}")) for index in range(len(pumped))]
    assert phones[-1] == 0 and sum(phones) < SENDS_MAX, "what is refused is not sent"
