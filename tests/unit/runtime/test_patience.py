"""One timer keeps everybody's deadline, and nobody else's."""

import asyncio

import pytest

from watchword.runtime.patience import Patience

pytestmark = pytest.mark.timeout(10)  # where nothing rings, a test would wait for ever


async def test_what_takes_too_long_ends_with_a_timeout_and_the_task_goes_on() -> None:
    patience = Patience(0.01)
    for _ in range(2):
        with pytest.raises(TimeoutError), patience.within():
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()
    patience.close()


async def test_each_has_the_whole_time_from_when_it_came() -> None:
    patience, loop = Patience(0.1), asyncio.get_running_loop()

    async def stay() -> float:
        began_s = loop.time()
        with pytest.raises(TimeoutError), patience.within():
            await asyncio.Event().wait()
        return loop.time() - began_s

    first = asyncio.create_task(stay())
    with patience.within():
        await asyncio.wait({first}, timeout=0.05)
    second = asyncio.create_task(stay())
    assert min(await asyncio.gather(first, second)) >= 0.099
    patience.close()


async def test_who_was_done_in_time_is_left_alone() -> None:
    patience, late = Patience(0.01), asyncio.Event()
    with patience.within():
        await asyncio.wait_for(asyncio.shield(asyncio.sleep(0)), 1)
    asyncio.get_running_loop().call_later(0.03, late.set)
    await late.wait()
    patience.close()


async def test_who_is_cancelled_by_somebody_else_is_cancelled() -> None:
    patience = Patience(5)

    async def stay() -> None:
        with patience.within():
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await asyncio.wait({task}, timeout=0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    patience.close()


async def test_an_error_inside_comes_out_as_it_is() -> None:
    patience = Patience(5)
    with pytest.raises(ValueError, match="odd"), patience.within():
        raise ValueError("odd")
    patience.close()
