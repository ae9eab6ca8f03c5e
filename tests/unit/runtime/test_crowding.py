"""Who asks for much waits for itself, not for others."""

import asyncio

import pytest

from tests.support.waiting import eventually
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.crowding import Crowd, Turnstile

LOUD, QUIET = "loud", "quiet"


def test_so_many_of_one_are_let_in_and_all_of_another() -> None:
    crowd = Crowd(2)
    with crowd.place(LOUD), crowd.place(LOUD):
        with pytest.raises(Overloaded), crowd.place(LOUD):
            pytest.fail("let in")
        with crowd.place(QUIET):
            pass
    with crowd.place(LOUD):
        pass


async def test_a_few_are_at_work_and_who_waits_comes_in_when_one_leaves() -> None:
    turnstile, working = Turnstile(1, of_one_max=10, wait_max_s=5), asyncio.Event()
    order = []

    async def work(name: str) -> None:
        async with turnstile.passage(name):
            order.append(name)
            await working.wait()

    tasks = [asyncio.create_task(work(name)) for name in (LOUD, QUIET)]

    async def begun() -> bool:
        return bool(order)

    await eventually(begun, within_s=20, what="the first to be at work")
    assert order == [LOUD]
    working.set()
    await asyncio.gather(*tasks)
    assert order == [LOUD, QUIET]


async def test_who_waited_too_long_is_refused_and_leaves_no_place_taken() -> None:
    turnstile = Turnstile(1, of_one_max=2, wait_max_s=0.01)
    async with turnstile.passage(LOUD):
        for _ in range(5):
            with pytest.raises(Overloaded):
                async with turnstile.passage(LOUD):
                    pytest.fail("let in")
    async with turnstile.passage(LOUD):
        pass
