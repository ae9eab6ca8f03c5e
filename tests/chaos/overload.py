"""`python -m tests.chaos.overload`: ten times as many requests as are usual, one endpoint that never answers, and
afterwards whether whoever was accepted got a code in time, everybody else heard no at once, and all was well again
within ten seconds. Exits 1 where it was not.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop
from rich.console import Console

from tests.chaos import closing
from tests.chaos.installation import Installation, installed
from tests.chaos.truth import judge
from tests.chaos.users import FIRST_NUMBER, NUMBERS, STRIDE, Kind, Phones, User
from tests.support.receiver import HANGS, receiver
from tests.support.waiting import paced

TIMES = 10
RECOVERED_WITHIN_S = 10.0
REFUSED_WITHIN_MS = 2_000.0
USUAL_S = 10.0
CALLBACKS_S = 5.0
PROBE_EVERY_S = 0.25
PROBES_IN_A_ROW = 3
SOON_S = 2.0  # or three times what was usual
PATIENCE_S = 60.0
TAIL = 0.99
SLOW = """
[[endpoints]]
id = "slow"
tenant = "demo"
url = "{url}"
secrets = ["whsec_c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"]
"""
console = Console(stderr=True)


@dataclass
class Flood:
    """What a load was answered. Milliseconds; `coded_s` is how long after its acceptance each code was on the phone."""

    users: list[User] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    refused_ms: list[float] = field(default_factory=list)
    accepted_at: dict[str, float] = field(default_factory=dict)
    coded_s: list[float] = field(default_factory=list)


class Crowd:
    """Asks for verifications, watches the phones, and types the codes in."""

    def __init__(self, made: Installation, phones: Phones) -> None:
        self._made = made
        self._phones = phones
        self._come = 0
        self.users: list[User] = []

    async def load(self, *, rate_per_s: float, seconds: float) -> Flood:
        """An open-loop load; returns when every request is answered."""
        flood, loop = Flood(), asyncio.get_running_loop()
        began, tasks = loop.time(), []
        for index in range(int(rate_per_s * seconds)):
            behind_s = began + index / rate_per_s - loop.time()
            if behind_s > 0:
                await paced(behind_s)
            tasks.append(asyncio.create_task(self.start(flood)))
            if loop.time() - began > seconds:
                break  # the machine cannot ask any faster
        await asyncio.gather(*tasks)
        return flood

    async def start(self, flood: Flood) -> User:
        """One request, asked once."""
        loop = asyncio.get_running_loop()
        user = User(f"+{FIRST_NUMBER + self._come * STRIDE % NUMBERS}", f"crowd-{self._come}", Kind.SILENT, "dedupes")
        self._come += 1
        self.users.append(user)
        flood.users.append(user)
        began = loop.time()
        body = {"to": user.number, "policy": "short", "reference": user.reference}
        status, told = await self._ask("/v1/verifications", body)
        flood.statuses[status] += 1
        user.id, user.refused = str(told.get("id", "")), str(told.get("code", ""))
        if user.id:
            flood.accepted_at[user.number] = loop.time()
        else:
            flood.refused_ms.append((loop.time() - began) * 1_000)
        return user

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._made.stack.api_key}"}
        try:
            async with self._made.session.post(self._made.stack.api_url + path, json=body, headers=headers) as answer:
                return answer.status, dict(orjson.loads(await answer.read()))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return 0, {"code": type(error).__name__}

    async def coded(self, flood: Flood) -> None:
        """Wait until every accepted one of these has a code, or patience is over."""
        loop = asyncio.get_running_loop()

        async def one(user: User) -> None:
            phone = self._phones.of(user.number)
            while not phone.messages:
                phone.news.clear()
                await phone.news.wait()
            flood.coded_s.append(loop.time() - flood.accepted_at[user.number])
            status, told = await self._ask(f"/v1/verifications/{user.id}/check", {"code": phone.code()})
            user.right_typed = True
            user.checks += [str(told["result"])] if status == 200 else []

        waiting = [asyncio.create_task(one(user)) for user in flood.users if user.id]
        if waiting:
            done, late = await asyncio.wait(waiting, timeout=PATIENCE_S)
            for task in late:
                task.cancel()
            for task in done:
                task.result()

    async def recovered_s(self, usual_s: float) -> float:
        """How long until some in a row are accepted and have their codes soon."""
        loop = asyncio.get_running_loop()
        began, in_a_row, since = loop.time(), 0, loop.time()
        while loop.time() - began < PATIENCE_S:
            asked_at, flood = loop.time(), Flood()
            user = await self.start(flood)
            soon = bool(user.id) and await self._soon(user.number, max(SOON_S, 3 * usual_s))
            in_a_row = in_a_row + 1 if soon else 0
            since = asked_at if in_a_row == 1 else since
            if in_a_row == PROBES_IN_A_ROW:
                return since - began
            await paced(PROBE_EVERY_S)
        return PATIENCE_S

    async def _soon(self, number: str, within_s: float) -> bool:
        phone = self._phones.of(number)
        try:
            async with asyncio.timeout(within_s):
                while not phone.messages:
                    phone.news.clear()
                    await phone.news.wait()
        except TimeoutError:
            return False
        return True


async def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """The usual, the flood, and what came after."""
    async with receiver(HANGS) as slow, installed(directory, more=SLOW.format(url=slow.url)) as made:
        phones = Phones(made.session, made.stack.simulator_url)
        following = asyncio.create_task(phones.follow(), name="phones")
        crowd = Crowd(made, phones)
        usual = await crowd.load(rate_per_s=options.rate, seconds=USUAL_S)
        await crowd.coded(usual)
        usual_s = statistics.median(usual.coded_s or [PATIENCE_S])
        console.print(f"  usual: {options.rate:g}/s, a code after {usual_s:.2f} s; {dict(usual.statuses)}")
        began = asyncio.get_running_loop().time()
        flood = await crowd.load(rate_per_s=TIMES * options.rate, seconds=options.seconds)
        flooded_s = asyncio.get_running_loop().time() - began
        console.print(f"  flood: {len(flood.users)} requests in {flooded_s:.0f} s; {dict(flood.statuses)}")
        recovered_s = await crowd.recovered_s(usual_s)
        console.print(f"  recovered after {recovered_s:.1f} s")
        await crowd.coded(flood)
        ledger = judge(await closing.seen(made, crowd.users, phones))
        await paced(CALLBACKS_S)
        callbacks = await closing.rows(made, CALLBACKS)
        following.cancel()
        await asyncio.wait({following})
    told = {
        "usual_per_s": options.rate,
        "offered_per_s": round(len(flood.users) / flooded_s, 1),
        "usual_code_s": round(usual_s, 3),
        "answers": {str(status): count for status, count in sorted(flood.statuses.items())},
        "refused_p99_ms": round(tail(flood.refused_ms), 1),
        "flood_code_p99_s": round(tail(flood.coded_s), 2),
        "accepted": len(flood.accepted_at),
        "accepted_with_code": len(flood.coded_s),
        "late": ledger.late,
        "recovered_s": round(recovered_s, 1),
        "endpoints": {row["endpoint"]: f"{row['told']} of {row['owed']} told" for row in callbacks},
    }
    return told | {"broken": broken(told, callbacks)}


CALLBACKS = (
    "SELECT endpoint, count(*) AS owed, count(*) FILTER (WHERE state = 'delivered') AS told, "
    "coalesce(extract(epoch FROM max(clock_timestamp() - told_at) FILTER "
    "(WHERE state = 'pending'))::float8, 0) AS waits_s FROM callback_deliveries GROUP BY endpoint"
)


def broken(told: dict[str, Any], callbacks: Sequence[Any]) -> list[str]:
    """The promises that were not kept."""
    found = []
    if unexpected := sorted(set(told["answers"]) - {"202", "429", "503"}):
        found.append(f"answers other than 202, 429 and 503: {unexpected}")
    if told["refused_p99_ms"] > REFUSED_WITHIN_MS:
        found.append(f"a no took {told['refused_p99_ms']} ms")
    if told["accepted_with_code"] < told["accepted"]:
        found.append(f"{told['accepted'] - told['accepted_with_code']} were accepted and got no code in time")
    if told["late"]:
        found.append(f"{told['late']} SMS came after their deadline")
    if told["recovered_s"] > RECOVERED_WITHIN_S:
        found.append(f"it took {told['recovered_s']} s until all was well again")
    for row in callbacks:
        if row["endpoint"] != "slow" and row["waits_s"] > RECOVERED_WITHIN_S:
            found.append(f"endpoint {row['endpoint']} waits {row['waits_s']:.0f} s beside one that is slow")
    return found


def tail(values: Sequence[float]) -> float:
    """The value below which 99 % lie, 0 of none."""
    return sorted(values)[min(int(len(values) * TAIL), len(values) - 1)] if values else 0.0


def main() -> None:
    """Run once and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overload", description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="what is usual; the flood is ten times that")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the flood lasts")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="watchword-overload-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = runner.run(run(options, directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        out = Console()
        for name, value in told.items():
            out.print(f"{name.replace('_', ' ')}: {value or 'nothing'}" if name == "broken" else f"{name}: {value}")
    sys.exit(1 if told["broken"] else 0)


if __name__ == "__main__":
    main()
