"""A rotation under load: users are verified all the while, workers start anew in the worst order, and no check fails.

Which worker may know which key is settled by two rounds (decision 0027): tests/unit/runtime/test_keyring.py.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import stack as stacks
from tests.support.platform import Platform, Verified, fresh_number
from watchword.local.stack import Stack
from watchword.runtime import keyring

# Who seals before who opens: whatever is not settled beforehand fails in this order.
WORST_ORDER = ("codes", "intake,checks", "dispatch", "receipts")
USERS_AT_ONCE = 4


@pytest.mark.attack
@pytest.mark.timeout(300)
async def test_no_check_fails_while_keys_are_rotated_and_workers_start_anew(stack: Stack, platform: Platform) -> None:
    assert (await platform.verify(fresh_number())).result == "approved"
    before = await _peppers(stack)
    over = asyncio.Event()
    users = [
        asyncio.ensure_future(_come_and_go(platform, over, own_code=bool(each % 2))) for each in range(USERS_AT_ONCE)
    ]
    try:
        for step in (_rotate, keyring.promote):
            step(stack.plan.directory / "keyring.json")
            for group in WORST_ORDER:
                await asyncio.to_thread(stack.terminate, group)
                await asyncio.to_thread(stack.restart, group)
                await asyncio.to_thread(stack.await_ready, group)
    finally:
        over.set()
        ways = [way for some in await asyncio.gather(*users) for way in some]
    assert len(ways) >= USERS_AT_ONCE
    assert {way.result for way in ways} == {"approved"}, [way for way in ways if way.result != "approved"]
    last = await platform.verify(fresh_number())
    assert last.result == "approved"
    assert len(await _peppers(stack) - before) == 1, "and codes are made under the new pepper"


def _rotate(path: Path) -> None:
    keyring.rotate(path, datetime.now(UTC))


async def _peppers(stack: Stack) -> set[str]:
    return {row["pepper_id"] for row in await stacks.rows(stack, "SELECT DISTINCT pepper_id FROM codes")}


async def _come_and_go(platform: Platform, over: asyncio.Event, *, own_code: bool) -> list[Verified]:
    """Users one after the other, each from the number to the answer, until it is over."""
    ways: list[Verified] = []
    while not over.is_set():
        fields: dict[str, Any] = {"policy": "long", "code": "7301649285"} if own_code else {}
        ways.append(await platform.verify(fresh_number(), **fields))
    return ways
