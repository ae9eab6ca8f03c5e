"""One load, the same for every system: a burst, a steady rate, and kills in the middle of a burst."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import aiohttp
import msgspec

from tests.bench.load import FIRST_NUMBER, NUMBERS, STRIDE
from tests.bench.peers.system import CARRIER, PASSWORD, NotAccepted, System
from tests.bench.peers.tally import Asked, Burst, Carried, Fate, Run, Steady, fate, latencies_ms
from tests.bench.processes import cpu_ms
from tests.support.carrier import carriers_at
from tests.support.receiver import Receiver
from tests.support.waiting import paced
from watchword.simulator.world import Sms

ANSWERED_WITHIN_S = 180.0  # of one message, kills and restarts included
CALL_TIMEOUT_S = 20.0
AGAIN_AFTER_S = 0.1
LOOK_EVERY_S = 0.1
TOLD_WITHIN_S = 60.0  # after the last word: then nothing more is to come
QUIET_S = 30.0  # longer than any of them waits before it tries again
QUIET_WITHIN_S = 300.0
# A network reports after half a second at the soonest. Who stores the carrier's id after the answer would not find a
# receipt that comes with it.
RECEIPT_DELAY_MS = {"kind": "uniform", "min": 500, "max": 1_000}
OWN, ALL = "its processes", "its servers too"


@dataclass(frozen=True)
class Load:
    """How many messages, by how many senders at a time; the steady rate and its length. With `kills_servers` a second
    kill takes the servers too."""

    messages: int = 1_000
    killed: int = 2_000
    senders: int = 50
    rate_per_s: float = 20.0
    seconds: float = 10.0
    warm_up: int = 200
    kills_servers: bool = False


class Delivered(msgspec.Struct):
    """One message on a phone, as the simulator's feed tells it."""

    number: str
    sms: Sms


class Feed(msgspec.Struct):
    """What all phones received since a count, and the count now."""

    count: int
    messages: list[Delivered]


class Bench:
    """Loads one system that runs. `say` tells how far it is."""

    def __init__(
        self, system: System, platform: Receiver, session: aiohttp.ClientSession, load: Load, say: Callable[[str], None]
    ) -> None:
        self._system = system
        self._platform = platform
        self._session = session
        self._load = load
        self._say = say
        self._numbers = count()
        self._told: Counter[str] = Counter()
        self._heard = 0
        self._heard_at = 0.0

    async def run(self) -> Run:
        """Every part, and what the system's own audit says afterwards."""
        async with carriers_at(self._system.simulator_url) as carriers:
            await carriers.behave(CARRIER, token=PASSWORD, receipt_delay_ms=RECEIPT_DELAY_MS)
        await self._burst(self._load.warm_up)
        burst = await self._burst(self._load.messages)
        cost_ms = sum(burst.cpu_ms.values()) / burst.messages
        self._say(f"{burst.told} of {burst.messages} told, {burst.told_per_s:.0f}/s, {cost_ms:.2f} CPU-ms each")
        steady = await self._steady()
        killed = {OWN: await self._killed([name for name in self._system.parts if name not in self._system.servers])}
        if self._system.servers and self._load.kills_servers:
            killed[ALL] = await self._killed(list(self._system.parts))
        return Run(burst, steady, killed, await self._system.proof())

    async def _burst(self, messages: int) -> Burst:
        asked = self._fresh(messages)
        before, began_s = cpu_ms(self._system.parts), _now_s()
        await self._send(asked)
        accepted_s = _now_s() - began_s
        told = await self._all_told(asked)
        took_s = max(self._heard_at - began_s, 1e-3)
        return Burst(messages, messages / accepted_s, told, told / took_s, self._used_ms(before))

    async def _steady(self) -> Steady:
        load = self._load
        self._say(f"{load.rate_per_s:g}/s for {load.seconds:g} s")
        asked = self._fresh(int(load.rate_per_s * load.seconds))
        since, before, began_s = await self._carried_count(), cpu_ms(self._system.parts), _now_s()
        async with asyncio.TaskGroup() as senders:
            for index, each in enumerate(asked):
                await paced(began_s + index / load.rate_per_s - _now_s())
                senders.create_task(self._ask(each))
        await self._all_told(asked)
        return Steady(len(asked), latencies_ms(asked, await self._carried(since)), self._used_ms(before))

    async def _killed(self, names: Sequence[str]) -> Fate:
        """SIGKILL once half of the messages are accepted; senders ask again until they are answered."""
        self._say(f"kill -9 in the middle of {self._load.killed}: {', '.join(names)}")
        asked, since = self._fresh(self._load.killed), await self._carried_count()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(asked))
            while sum(1 for each in asked if each.accepted_at) < len(asked) // 2 and not sending.done():
                await paced(0.002)
            await self._system.kill(names)
            await self._system.restart()
            self._say("it runs again")
        await self._quiet()
        found = fate(asked, await self._carried(since), self._told)
        self._say(f"at rest: {found.lost} lost, {found.repeated} repeated, {found.untold} untold")
        return found

    def _fresh(self, messages: int) -> list[Asked]:
        """Messages to phones that nobody used before."""
        return [Asked(str(FIRST_NUMBER + next(self._numbers) * STRIDE % NUMBERS)) for _ in range(messages)]

    async def _send(self, asked: Sequence[Asked]) -> None:
        """As many at a time as there are senders, each the next when the one before was answered."""
        left = iter(asked)

        async def sender() -> None:
            for each in left:
                await self._ask(each)

        async with asyncio.TaskGroup() as senders:
            for _ in range(self._load.senders):
                senders.create_task(sender())

    async def _ask(self, each: Asked) -> None:
        """Ask until it is accepted, as a platform does whose request had no answer; unaccepted in the end, if never."""
        until_s = _now_s() + ANSWERED_WITHIN_S
        while _now_s() < until_s:
            each.times += 1
            try:
                each.id = await self._system.submit(self._session, each.number)
            except (NotAccepted, aiohttp.ClientError, OSError, TimeoutError):
                await paced(AGAIN_AFTER_S)
            else:
                each.accepted_at = datetime.now(UTC).timestamp()
                return

    async def _all_told(self, asked: Sequence[Asked]) -> int:
        """Wait until every message was told of, or nothing was for long; answers how many were."""
        self._heard_at = _now_s()
        while True:
            self._hear()
            told = sum(1 for each in asked if self._told[each.id])
            if told == len(asked) or _now_s() - self._heard_at > TOLD_WITHIN_S:
                return told
            await paced(LOOK_EVERY_S)

    def _hear(self) -> None:
        """Count what the endpoint was called with since the last time."""
        fresh = self._platform.calls[self._heard :]
        self._heard += len(fresh)
        self._told.update(self._system.receipt_of(each) for each in fresh)
        if fresh:
            self._heard_at = fresh[-1].at_s

    async def _quiet(self) -> None:
        """Wait until nothing came to the carrier or the endpoint for long."""
        until_s, since_s, before = _now_s() + QUIET_WITHIN_S, _now_s(), (-1, -1)
        while _now_s() - since_s < QUIET_S and _now_s() < until_s:
            await paced(LOOK_EVERY_S)
            self._hear()
            now = (await self._carried_count(), self._heard)
            if now != before:
                since_s, before = _now_s(), now

    async def _carried_count(self) -> int:
        return (await self._feed(10**12)).count

    async def _carried(self, since: int) -> list[Carried]:
        fed = await self._feed(since)
        return [Carried(each.number.lstrip("+"), each.sms.time.timestamp()) for each in fed.messages]

    async def _feed(self, after: int) -> Feed:
        async with self._session.get(f"{self._system.simulator_url}/messages?after={after}") as answer:
            return msgspec.json.decode(await answer.read(), type=Feed)

    def _used_ms(self, before: dict[str, float]) -> dict[str, float]:
        return {name: after - before[name] for name, after in cpu_ms(self._system.parts).items()}


def _now_s() -> float:
    return asyncio.get_running_loop().time()
