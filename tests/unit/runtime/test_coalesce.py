"""Requests that arrive together share a batch; one alone waits for nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from watchword.runtime.coalesce import Coalescer, Overloaded


@asynccontextmanager
async def running(flush: Callable[[Sequence[Any]], Any], **options: Any) -> AsyncIterator[Coalescer[Any, Any]]:
    options.setdefault("keys", lambda item: [item])
    coalescer: Coalescer[Any, Any] = Coalescer(flush, **options)
    await coalescer.start()
    try:
        yield coalescer
    finally:
        await coalescer.stop()


async def test_a_lone_request_is_flushed_alone_and_at_once() -> None:
    batches: list[list[int]] = []

    async def flush(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        return [item * 2 for item in items]

    async with running(flush) as coalescer:
        assert await coalescer.submit(4, deadline_s=1) == 8
    assert batches == [[4]]


async def test_requests_that_come_during_a_flush_share_the_next_one() -> None:
    gate = asyncio.Event()
    batches: list[list[int]] = []

    async def flush(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await gate.wait()
        return list(items)

    async with running(flush) as coalescer:
        first = asyncio.create_task(coalescer.submit(0, deadline_s=5))
        while not batches:
            await asyncio.sleep(0)
        others = [asyncio.create_task(coalescer.submit(n, deadline_s=5)) for n in range(1, 65)]
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(first, *others) == list(range(65))
    assert [len(batch) for batch in batches] == [1, 64]


async def test_two_requests_for_the_same_thing_never_share_a_batch() -> None:
    batches: list[list[str]] = []

    async def flush(items: Sequence[str]) -> list[str]:
        batches.append(list(items))
        return list(items)

    async with running(flush, keys=lambda item: [item[0]]) as coalescer:
        await asyncio.gather(*(coalescer.submit(item, deadline_s=5) for item in ("a1", "b1", "a2", "a3", "b2")))
    assert batches == [["a1", "b1"], ["a2", "b2"], ["a3"]]


async def test_a_guilty_request_does_not_take_its_neighbours_with_it() -> None:
    async def flush(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise ValueError("13")
        return list(items)

    async with running(flush, isolates=(ValueError,)) as coalescer:
        answers = await asyncio.gather(
            *(coalescer.submit(n, deadline_s=5) for n in (12, 13, 14)), return_exceptions=True
        )
    assert [answers[0], answers[2]] == [12, 14]
    assert isinstance(answers[1], ValueError)


async def test_a_broken_database_fails_every_waiting_request_once() -> None:
    calls = 0

    async def flush(items: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        raise OSError("away")

    async with running(flush) as coalescer:
        answers = await asyncio.gather(*(coalescer.submit(n, deadline_s=5) for n in range(3)), return_exceptions=True)
    assert all(isinstance(answer, OSError) for answer in answers)
    assert calls == 1


async def test_more_than_may_wait_is_refused_at_once() -> None:
    gate = asyncio.Event()

    async def flush(items: Sequence[int]) -> list[int]:
        await gate.wait()
        return list(items)

    async with running(flush, waiting_max=2) as coalescer:
        waiting = [asyncio.create_task(coalescer.submit(n, deadline_s=5)) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await coalescer.submit(9, deadline_s=5)
        gate.set()
        await asyncio.gather(*waiting)


async def test_a_request_past_its_deadline_hears_so_and_is_not_written_later() -> None:
    gate = asyncio.Event()
    batches: list[list[int]] = []

    async def flush(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await gate.wait()
        return list(items)

    async with running(flush) as coalescer:
        first = asyncio.create_task(coalescer.submit(1, deadline_s=5))
        while not batches:
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await coalescer.submit(2, deadline_s=0.01)
        gate.set()
        assert await first == 1
    assert batches == [[1]]


async def test_each_has_its_own_deadline_whoever_came_first_and_whether_its_batch_began() -> None:
    gate = asyncio.Event()

    async def flush(items: Sequence[int]) -> list[int]:
        await gate.wait()
        return list(items)

    async with running(flush) as coalescer:
        patient, hasty, behind, last = (
            asyncio.create_task(coalescer.submit(number, deadline_s=deadline_s))
            for number, deadline_s in enumerate((5, 0.01, 0.02, 0.03))
        )
        for late in (hasty, behind, last):
            with pytest.raises(TimeoutError):
                await late
        gate.set()
        assert await patient == 0


async def test_who_has_no_time_left_hears_so() -> None:
    gate = asyncio.Event()

    async def flush(items: Sequence[int]) -> list[int]:
        await gate.wait()
        return list(items)

    async with running(flush) as coalescer:
        with pytest.raises(TimeoutError):
            await coalescer.submit(1, deadline_s=-1.0)
        gate.set()


async def test_stopping_answers_everything_that_was_accepted() -> None:
    async def flush(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        return list(items)

    coalescer: Coalescer[int, int] = Coalescer(flush, keys=lambda item: [item])
    await coalescer.start()
    waiting = [asyncio.create_task(coalescer.submit(n, deadline_s=5)) for n in range(10)]
    await asyncio.sleep(0)
    await coalescer.stop()
    assert await asyncio.gather(*waiting) == list(range(10))
    with pytest.raises(Overloaded):
        await coalescer.submit(11, deadline_s=1)


async def test_requests_that_come_sooner_than_the_pace_share_the_next_batch() -> None:
    batches: list[list[int]] = []

    async def flush(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        return list(items)

    async with running(flush, every_s=0.05) as coalescer:
        await coalescer.submit(0, deadline_s=5)
        soon = asyncio.create_task(coalescer.submit(1, deadline_s=5))
        for _ in range(10):  # without a pace it would have left by now
            await asyncio.sleep(0)
        await asyncio.gather(soon, coalescer.submit(2, deadline_s=5))
    assert batches == [[0], [1, 2]]


async def test_requests_for_the_same_thing_follow_each_other_without_a_rest() -> None:
    async def flush(items: Sequence[str]) -> list[str]:
        return list(items)

    async with running(flush, keys=lambda item: [item[0]], every_s=60.0) as coalescer:
        told = await asyncio.gather(*(coalescer.submit(f"a{number}", deadline_s=5) for number in range(100)))
    assert told == [f"a{number}" for number in range(100)]
