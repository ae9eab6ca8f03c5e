"""`make outage`: one account goes away under load, and what those notice who are served by another one.

Half of the verifications begin with the account that is struck and go on with the other, half the other way round.
Every round measures the others three times, all well, with the outage, all well again, so that each outage is compared
with its own neighbours: a machine is as busy before as after. The two well ones against each other tell how much of a
difference is noise. Three forms: connections are refused, taken and never answered, answered with 503.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Seen, Spread, quantile, spread
from tests.bench.load import Platform
from tests.bench.submitting import Submitter
from tests.bench.valve import Valve
from tests.support.carrier import carriers_at
from tests.support.proxy import Proxy
from tests.support.stack import at_rest, rows
from watchword.local.auditing import audited, in_words
from watchword.local.kafka import Kind
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import LocalServerError
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).with_name("outage.toml")
FORMS: Mapping[str, Mapping[str, object]] = {
    "refuses": {},
    "silent": {"outage_answer": "hang"},
    "errors": {"outage_answer": "unavailable"},
}
STRUCK, OTHERS = "struck", "others"
NOT_ASKED = "not asked"
Asking = Platform | Submitter | Valve
CHANGE_MAX = 1.2
WARM_UP_PER_S = 40.0
WARM_UP_S = 8.0
LIGHT_PER_S = 5.0
LIGHT_S = 3.0
BACK_WITHIN = 40
DRAIN_S = 60.0
REST_WITHIN_S = 330.0  # longer than a code lives: after it nothing can be under way
_SENT = "SELECT count(*) AS sent FROM attempts WHERE account = 'alpha' AND state = 'accepted'"


@dataclass(frozen=True)
class Round:
    """One outage between two times without: p99 from accept to carrier of the others in milliseconds, and the median of
    those whose first account is away. `refused` were not accepted, which happens where the machine is too full for the
    rate; `lost` were accepted and got no code."""

    before_ms: float
    during_ms: float
    after_ms: float
    struck_ms: float
    refused: int
    lost: int

    @property
    def change(self) -> float:
        """The outage as a multiple of what is beside it."""
        return self.during_ms / max((self.before_ms + self.after_ms) / 2, 1e-9)

    @property
    def noise(self) -> float:
        """One time without an outage as a multiple of the other."""
        return max(self.before_ms, self.after_ms) / max(min(self.before_ms, self.after_ms), 1e-9)


class Bench:
    """One stack, an account of it behind `door`, loaded at `rate_per_s` for `seconds` at a time."""

    def __init__(self, stack: Stack, platform: "Asking", door: Proxy, *, rate_per_s: float, seconds: float) -> None:
        self._stack = stack
        self._platform = platform
        self._door = door
        self._rate_per_s = rate_per_s
        self._seconds = seconds

    async def warm_up(self) -> None:
        """What comes first is dearer."""
        say("warming up")
        await self._platform.run(rate_per_s=WARM_UP_PER_S, seconds=WARM_UP_S, purposes=(STRUCK, OTHERS))

    async def round(self, form: str) -> Round:
        """Without, with, without."""
        before = await self._load()
        async with self._struck(form):
            during = await self._load()
        await self._until_back()
        after = await self._load()
        told = Round(
            before_ms=_p99_ms(before),
            during_ms=_p99_ms(during),
            after_ms=_p99_ms(after),
            struck_ms=quantile(during.carrier_ms_of.get(STRUCK, []), 0.5),
            refused=sum(sum(each.refused.values()) for each in (before, during, after)),
            lost=sum(each.failed for each in (before, during, after)),
        )
        p99 = f"{told.before_ms:.0f}, {told.during_ms:.0f}, {told.after_ms:.0f} ms"
        say(f"{form}: others p99 {p99}; refused {told.refused}, lost {told.lost}")
        return told

    async def _load(self) -> Seen:
        seen = await self._platform.run(
            rate_per_s=self._rate_per_s, seconds=self._seconds, drain_s=DRAIN_S, purposes=(STRUCK, OTHERS)
        )
        await at_rest(self._stack, within_s=REST_WITHIN_S)
        return seen

    @asynccontextmanager
    async def _struck(self, form: str) -> AsyncIterator[None]:
        """The account is away: nobody listens, or the carrier behind it does not do what it should."""
        async with carriers_at(self._stack.simulator_url) as carriers:
            if form == "refuses":
                await self._door.stop()
                yield
                await self._door.start()
                return
            await carriers.behave("alpha", down=True, **FORMS[form])
            yield
            await carriers.behave("alpha", down=False)

    async def _until_back(self) -> None:
        """Light load until the account is called again. Raises LocalServerError where its breaker never lets it."""
        before = await self._sent()
        for _ in range(BACK_WITHIN):
            await self._platform.run(rate_per_s=LIGHT_PER_S, seconds=LIGHT_S, purposes=(STRUCK,))
            if await self._sent() > before:
                return
        raise LocalServerError("the struck account was not called again")

    async def _sent(self) -> int:
        return int((await rows(self._stack, _SENT))[0]["sent"])


async def conduct(stack: Stack, door: Proxy, options: argparse.Namespace) -> tuple[dict[str, list[Round]], str]:
    """Every form, round by round, and the audit of all of it."""
    found: dict[str, list[Round]] = {form: [] for form in options.form or FORMS}
    async with platform_of(stack, options.door) as platform:
        bench = Bench(stack, platform, door, rate_per_s=options.rate, seconds=options.seconds)
        await bench.warm_up()
        for _ in range(options.rounds):
            for form, rounds in found.items():
                rounds.append(await bench.round(form))
        await at_rest(stack, within_s=REST_WITHIN_S)
    # Behind a valve the events of dispatch are under a prefix of their own, where no audit looks.
    return found, NOT_ASKED if options.door == "dispatch" else in_words(await audited(stack))


def platform_of(stack: Stack, door: str) -> Asking:
    """Who asks: over HTTP, and types in what the phones receive; through Kafka, and types in nothing; or whoever lets
    requests to send through to dispatch that were made beforehand."""
    if door == "dispatch":
        return Valve(stack)
    if door == "kafka":
        return Submitter(stack.cluster, simulator=stack.simulator_url)
    return Platform(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url)


async def run(plan: Callable[[str], Plan], options: argparse.Namespace) -> tuple[dict[str, list[Round]], str]:
    """The stack with a door of its own before the account that is struck. Raises LocalServerError."""
    door = Proxy(free_ports(1)[0])
    await door.start()
    stack = Stack(plan(f"http://{LOOPBACK}:{door.port}"), say=say)
    try:
        await asyncio.to_thread(stack.start)
        door.target = (LOOPBACK, int(stack.simulator_url.rpartition(":")[2]))
        return await conduct(stack, door, options)
    finally:
        await asyncio.to_thread(stack.stop)
        await door.stop()


def _p99_ms(seen: Seen) -> float:
    return quantile(seen.carrier_ms_of.get(OTHERS, []), 0.99)


def planned(directory: Path, kafka: Kind, struck: str) -> Plan:
    """A stack whose first account is at `struck`."""
    file = directory / "configuration.toml"
    file.write_text(CONFIGURATION.read_text("utf-8").replace("${struck}", struck), "utf-8")
    return Plan(directory=directory, kafka=kafka, configuration=file)


def show(found: Mapping[str, Sequence[Round]], options: argparse.Namespace, audit: str) -> None:
    """Every form as a line."""
    names = ("outage", "p99 without", "p99 with", "change", "noise", "struck p50", "refused", "lost")
    table = Table(*names, title=f"{options.rate:g} verifications/s, {options.seconds:g} s each, milliseconds")
    for form, rounds in found.items():
        without = spread([ms for each in rounds for ms in (each.before_ms, each.after_ms)])
        during, struck = (spread([getattr(each, name) for each in rounds]) for name in ("during_ms", "struck_ms"))
        change, noise = (spread([getattr(each, name) for each in rounds]) for name in ("change", "noise"))
        counts = (str(sum(getattr(each, name) for each in rounds)) for name in ("refused", "lost"))
        cells = (_told(without, 0), _told(during, 0), _told(change, 2), _told(noise, 2), _told(struck, 0))
        table.add_row(form, *cells, *counts)
    Console().print(table)
    told = f"of the others; median (lowest to highest) over {options.rounds} rounds; audit: {audit}"
    Console().print(told, soft_wrap=True, highlight=False)


def _told(figure: Spread, digits: int) -> str:
    return f"{figure.median:.{digits}f} ({figure.min:.{digits}f} to {figure.max:.{digits}f})"


def kept(found: Mapping[str, Sequence[Round]]) -> bool:
    """Whether nobody was lost and the others noticed nothing, by the median of the rounds."""
    return all(
        spread([each.change for each in rounds]).median <= CHANGE_MAX and not any(each.lost for each in rounds)
        for rounds in found.values()
    )


def say(line: str) -> None:
    """How far it is, on stderr."""
    _progress.print(f"  {time.monotonic() - _began:6.1f} s  {line}", highlight=False, soft_wrap=True)


_progress = Console(stderr=True)
_began = time.monotonic()


def main() -> None:
    """Start the stack, strike one account, print, stop; exits 1 where the others noticed or the audit complains."""
    parser = argparse.ArgumentParser(prog="make outage", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rate", type=float, default=50, help="verifications/s; one that leaves this machine room")
    parser.add_argument("--seconds", type=float, default=20, help="length of each of the three loads of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--form", action="append", choices=tuple(FORMS), help="one form alone; may be repeated")
    parser.add_argument(
        "--door",
        choices=("http", "kafka", "dispatch"),
        default="http",
        help="kafka: nobody types a code in; dispatch: all before it is done beforehand; each leaves more room",
    )
    parser.add_argument("--kafka", type=Kind, default=Kind.APACHE, choices=list(Kind))
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="watchword-outage-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found, audit = runner.run(run(partial(planned, directory, options.kafka), options))
    except LocalServerError as error:
        sys.exit(f"outage: {error}\n  its logs: {directory}")
    shutil.rmtree(directory, ignore_errors=True)
    show(found, options, audit)
    if audit not in ("clean", NOT_ASKED) or not kept(found):
        sys.exit(1)


if __name__ == "__main__":
    main()
