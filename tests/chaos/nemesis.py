"""The nemesis: several lanes of faults side by side, each fault of a lane after the other, all from one seed."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import asyncpg
from aiokafka.errors import KafkaError

from tests.chaos.faults import Fault, deck
from tests.support.waiting import paced
from watchword.local.process import LocalServerError

PAUSE_S = (0.5, 3.0)
FAULT_WITHIN_S = 150.0
# What may keep a fault from being brought about: another one. A worker that is not ready in the middle of it has until
# the end to become so.
_HINDERED = (
    KafkaError,
    aiohttp.ClientError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    LocalServerError,
    OSError,
    TimeoutError,
)


@dataclass
class Injected:
    """What was done, by kind, what could not be done to its end because something else was broken, and what is being
    done by each lane."""

    counts: Counter[str] = field(default_factory=Counter)
    hindered: Counter[str] = field(default_factory=Counter)
    now: dict[int, str] = field(default_factory=dict)


async def torment(
    lanes: Sequence[Sequence[Fault]],
    injected: Injected,
    *,
    seed: int,
    over: asyncio.Event,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Bring about the faults of every lane until `over` is set; returns when the last one has been put right."""
    await asyncio.gather(
        *(
            _lane(number, deck(faults, draw), draw, injected, over, say)
            for number, faults in enumerate(lanes)
            if faults
            for draw in [random.Random(f"{seed}/{number}")]
        )
    )


async def _lane(
    number: int,
    faults: Iterator[Fault],
    draw: random.Random,
    injected: Injected,
    over: asyncio.Event,
    say: Callable[[str], None],
) -> None:
    for fault in faults:
        await paced(draw.uniform(*PAUSE_S))
        if over.is_set():
            return
        injected.now[number] = fault.kind
        say(fault.kind)
        try:
            async with asyncio.timeout(FAULT_WITHIN_S):
                await fault.act()
            injected.counts[fault.kind] += 1
        except _HINDERED as error:
            injected.hindered[f"{fault.kind}: {type(error).__name__}"] += 1
        injected.now.pop(number, None)
