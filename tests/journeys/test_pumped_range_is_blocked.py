"""Somebody pumps a number range: its numbers are blocked, its country is not, and nobody else's tenant notices."""

from pathlib import Path

from tests.support.applying import apply_to
from tests.support.platform import Platform, fresh_number
from tests.support.stack import configured
from tests.support.waiting import eventually
from watchword.local.stack import Stack

SENDS_MAX = 40
LOOKED_AT = 4
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
    await configured(stack)
    wary = platform.with_key(key["key"])
    pumped: list[str] = []

    async def blocked() -> bool:
        if len(pumped) < SENDS_MAX:
            told = await wary.start(f"+99890123{len(pumped):04d}")
            assert told.status in (202, 403), told
            if told.status == 403:
                return told.code == "blocked"
            pumped.append(str(told.body["id"]))
        # A few numbers are refused by their assessments, the whole range at the door. The newest may wait for theirs.
        return "blocked" in [(await wary.read(each))["status"] for each in pumped[-LOOKED_AT:]]

    await eventually(blocked, within_s=30, what="numbers of the range to be refused")
    way = await wary.verify("+998935550001")
    assert way.result == "approved", "another range of the same country"
    assert (await platform.verify(fresh_number())).result == "approved"
    phones = [len(await platform.carriers.inbox(f"+99890123{index:04d}")) for index in range(len(pumped))]
    refused = [index for index, each in enumerate(pumped) if (await wary.read(each))["status"] == "blocked"]
    assert sum(phones[index] for index in refused) == 0, "what is refused is not sent"
    assert sum(phones) < SENDS_MAX
