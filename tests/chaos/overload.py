"""`python -m tests.chaos.overload`: how much this machine sustains, then ten times that, or as much as one process can
ask, beside a tenant who asks now and then and an endpoint that never answers. Afterwards: whether whoever was accepted
got a code in time, everybody else heard no at once, the quiet tenant noticed nothing, and all was well again soon.
Exits 1 where it was not.
"""

import argparse
import asyncio
import itertools
import statistics
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.chaos import closing, report
from tests.chaos.crowd import ASKED_MAX_PER_S, PATIENCE_S, Crowd, Flood, calling, tail
from tests.chaos.installation import Installation, installed
from tests.chaos.truth import judge
from tests.chaos.users import Phones
from tests.support import stack as stacks
from tests.support.receiver import HANGS, receiver
from tests.support.waiting import paced
from watchword.gateways.catalog import ALL
from watchword.runtime.apply import apply
from watchword.runtime.keyring import Keyring, Purpose

TIMES = 10
STEP_S = 6.0
STEPS_MAX = 8
WARM_UP_S = 5.0
SUSTAINED_SHARE = 0.99
QUIET_PER_S = 0.5
RECOVERED_WITHIN_S = 10.0
REFUSED_MEDIAN_MS, REFUSED_TAIL_MS = 500.0, 2_000.0
ACCEPTED_TAIL_MS = 5_000.0  # the deadline that a request has
CALLBACKS_S = RECOVERED_WITHIN_S  # users type codes during the flood, so as many callbacks are owed then
SOON_S = 2.0  # or three times what was usual
ENDPOINT = """
[[endpoints]]
id = "slow"
tenant = "demo"
url = "{url}"
secrets = ["whsec_c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"]
"""
QUIET = """
[[tenants]]
id = "quiet"
countries = ["IN"]
default_region = "IN"
range_per_hour = 1000000

[[policies]]
id = "short"
tenant = "quiet"
template = "default"
ttl_s = 60
allow_short_ttl = true

[[templates]]
id = "default"
tenant = "quiet"
brand = "Quiet"
[templates.texts]
en = "{code} is your {brand} code. It works for {minutes} minutes. Do not share it."

[[api_keys]]
tenant = "quiet"
name = "quiet"
scopes = ["start", "check"]
test = true
"""
CALLBACKS = (
    "SELECT endpoint, count(*) AS owed, count(*) FILTER (WHERE state = 'delivered') AS told, "
    "coalesce(extract(epoch FROM max(clock_timestamp() - told_at) FILTER "
    "(WHERE state = 'pending'))::float8, 0) AS waits_s FROM callback_deliveries GROUP BY endpoint"
)
SHED = "watchword_intake_shed_total"
console = Console(stderr=True)


async def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """What is sustained, the flood, and what came after."""
    async with (
        receiver(HANGS) as slow,
        installed(directory, more=ENDPOINT.format(url=slow.url)) as made,
        followed(made) as phones,
        calling() as caller,
    ):
        numbers = itertools.count()
        crowd = Crowd(made, phones, caller, key=made.stack.api_key, numbers=numbers)
        quiet = Crowd(made, phones, caller, key=await _second_tenant(made), numbers=numbers)
        sustained_per_s, usual_s = await sustained(crowd, options.rate, code_within_s=options.code_within)
        wanted_per_s = min(TIMES * sustained_per_s, ASKED_MAX_PER_S)
        flood, beside = await asyncio.gather(
            crowd.load(rate_per_s=wanted_per_s, seconds=options.seconds),
            quiet.load(rate_per_s=QUIET_PER_S, seconds=options.seconds),
        )
        _say("flood", wanted_per_s, flood)
        recovered_s = await crowd.recovered_s(max(SOON_S, 3 * usual_s))
        console.print(f"  recovered after {recovered_s:.1f} s")
        await crowd.coded(flood)
        await quiet.coded(beside)
        ledger = judge(await closing.seen(made, [*crowd.users, *quiet.users], phones))
        await paced(CALLBACKS_S)
        callbacks = await closing.rows(made, CALLBACKS)
        door = made.stack.children["intake,checks"]
        shed = {why: sum(await stacks.values_of(door, SHED, reason=why)) for why in ("desk", "workers", "kafka")}
    told = {
        "sustained_per_s": sustained_per_s,
        "usual_code_s": round(usual_s, 3),
        "wanted_per_s": wanted_per_s,
        **{f"flood_{name}": value for name, value in figures(flood).items()},
        **{f"quiet_{name}": value for name, value in figures(beside).items()},
        "shed_by": shed,
        "late": ledger.late,
        "lost": ledger.lost,
        "recovered_s": round(recovered_s, 1),
        "endpoints": {row["endpoint"]: f"{row['told']} of {row['owed']} told" for row in callbacks},
    }
    found = broken(told, callbacks)
    return {**told, "broken": found, "kept": not found}


@asynccontextmanager
async def followed(made: Installation) -> AsyncIterator[Phones]:
    """Every phone, read all the time."""
    phones = Phones(made.session, made.stack.simulator_url)
    following = asyncio.create_task(phones.follow(), name="phones")
    try:
        yield phones
    finally:
        following.cancel()
        await asyncio.wait({following})


async def _second_tenant(made: Installation) -> str:
    """A second tenant, added while everything runs; answers its key."""
    directory = made.stack.plan.directory
    file = directory / "two-tenants.toml"
    file.write_text((directory / "configuration.toml").read_text("utf-8") + QUIET, "utf-8")
    keyring = Keyring.load(directory.resolve() / "keyring.json", {Purpose.ACCOUNT, Purpose.ENDPOINT})
    applied = await apply(made.dsn, file, keyring=keyring, gateways=frozenset(ALL))
    [key] = [each.key for each in applied.new_keys if each.tenant == "quiet"]
    return key


async def sustained(crowd: Crowd, first_per_s: float, *, code_within_s: float) -> tuple[float, float]:
    """The most of which 99 in 100 are accepted and have a code in time, doubling from `first_per_s`; and how soon half
    of them have it. Raises AssertionError where even the first is too much."""
    await crowd.coded(await crowd.load(rate_per_s=first_per_s, seconds=WARM_UP_S))
    usual_s, found_per_s = PATIENCE_S, 0.0
    for rate_per_s in itertools.islice(_doubled(first_per_s), STEPS_MAX):
        flood = await crowd.load(rate_per_s=rate_per_s, seconds=STEP_S)
        await crowd.coded(flood)
        _say("asked", rate_per_s, flood)
        median_s = statistics.median(flood.coded_s or [PATIENCE_S])
        if len(flood.coded_s) < SUSTAINED_SHARE * len(flood.users) or tail(flood.coded_s) > code_within_s:
            break
        usual_s, found_per_s = min(usual_s, median_s), rate_per_s
    assert found_per_s, f"even {first_per_s:g}/s is more than this machine sustains; try a smaller --rate"
    return found_per_s, usual_s


def _doubled(value: float) -> Iterator[float]:
    while True:
        yield value
        value *= 2


def figures(flood: Flood) -> dict[str, Any]:
    """A load in numbers."""
    return {
        "offered_per_s": round(flood.offered_per_s, 1),
        "answers": {str(status): count for status, count in sorted(flood.statuses.items())},
        "accepted": len(flood.accepted_at),
        "accepted_with_code": len(flood.coded_s),
        "accepted_p50_ms": round(statistics.median(flood.accepted_ms or [0.0]), 1),
        "accepted_p99_ms": round(tail(flood.accepted_ms), 1),
        "code_p99_s": round(tail(flood.coded_s), 2),
        "refused_p50_ms": round(statistics.median(flood.refused_ms or [0.0]), 1),
        "refused_p99_ms": round(tail(flood.refused_ms), 1),
        "refused_without_retry_after": flood.unhinted,
    }


def broken(told: dict[str, Any], callbacks: Sequence[Any]) -> list[str]:
    """The promises that were not kept."""
    answers, refused = told["flood_answers"], set(told["flood_answers"]) - {"202"}
    wrong = {
        f"answers other than 202, 429 and 503: {sorted(refused - {'429', '503'})}": bool(refused - {"429", "503"}),
        "nobody was refused: this was no overload": not refused,
        f"only {told['flood_offered_per_s']}/s could be asked: this was no overload": (
            told["flood_offered_per_s"] < 2 * told["sustained_per_s"]
        ),
        f"{told['flood_refused_without_retry_after']} refusals did not say when to come back": bool(
            told["flood_refused_without_retry_after"]
        ),
        f"a no took {told['flood_refused_p50_ms']} ms, and {told['flood_refused_p99_ms']} ms at worst": (
            told["flood_refused_p50_ms"] > REFUSED_MEDIAN_MS or told["flood_refused_p99_ms"] > REFUSED_TAIL_MS
        ),
        f"a yes took {told['flood_accepted_p99_ms']} ms": told["flood_accepted_p99_ms"] > ACCEPTED_TAIL_MS,
        f"less was accepted than is sustained: {answers.get('202', 0)}": (
            answers.get("202", 0) < told["sustained_per_s"]
        ),
        f"{told['flood_accepted'] - told['flood_accepted_with_code']} were accepted and got no code": (
            told["flood_accepted_with_code"] < told["flood_accepted"]
        ),
        f"{told['late']} SMS came after their deadline": bool(told["late"]),
        f"it took {told['recovered_s']} s until all was well again": told["recovered_s"] > RECOVERED_WITHIN_S,
        f"a quiet tenant was answered {told['quiet_answers']}": set(told["quiet_answers"]) != {"202"},
        "a quiet tenant got no code": told["quiet_accepted_with_code"] < told["quiet_accepted"],
    }
    return [
        *(what for what, is_so in wrong.items() if is_so),
        *(
            f"endpoint {row['endpoint']} waits {row['waits_s']:.0f} s beside one that is slow"
            for row in callbacks
            if row["endpoint"] != "slow" and row["waits_s"] > RECOVERED_WITHIN_S
        ),
    ]


def _say(what: str, rate_per_s: float, flood: Flood) -> None:
    seen = figures(flood)
    words = (f"{what} {rate_per_s:g}/s: {flood.offered_per_s:.0f}/s were asked, answers {seen['answers']}",
             f"accepted p50 {seen['accepted_p50_ms']} ms", f"code p99 {seen['code_p99_s']} s")  # fmt: skip
    console.print(f"  {', '.join(words)}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run once and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overload", description=__doc__)
    parser.add_argument(
        "--rate", type=float, default=20.0, help="what is tried first for what is sustained; it doubles"
    )
    parser.add_argument("--code-within", type=float, default=2.0, help="seconds; what takes longer is not sustained")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the flood lasts")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")
    options = parser.parse_args()
    told = report.run_once("overload", lambda directory: run(options, directory))
    report.conclude(told, as_json=options.json, show=report.show_figures)


if __name__ == "__main__":
    main()
