"""`python -m tests.chaos`: everything runs, everything breaks, and afterwards every promise is looked after.

Prints what was done and what came of it; exits 1 where a promise was broken. The same seed draws the same faults in
the same order; what they meet is up to the machine.
"""

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.chaos import closing, report
from tests.chaos.carriers import Strangers
from tests.chaos.faults import FAKETIME, FAKETIME_MISSING, Breaker
from tests.chaos.installation import Installation, installed
from tests.chaos.nemesis import Injected, torment
from tests.chaos.publisher import Publisher
from tests.chaos.truth import Ledger, judge
from tests.chaos.users import Phones, Users
from tests.support.waiting import paced
from watchword.local.process import LocalServerError

PROGRESS_EVERY_S = 10.0
STORIES_WITHIN_S = 150.0
console = Console(stderr=True)


async def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Start everything, break it for as long as asked, put it right, and judge."""
    async with installed(directory) as made:
        say(f"{made.broker.label}, {made.database.label}; logs and data in {directory}")
        injected, over = Injected(), asyncio.Event()
        phones = Phones(made.session, made.stack.simulator_url)
        following = asyncio.create_task(phones.follow(), name="phones")
        async with Publisher(made.stack.cluster.options()) as publisher:
            users = Users(
                made.session, api=made.api_url, key=made.stack.api_key, phones=phones, publish=publisher.publish
            )
            breaker = Breaker(made, random.Random(f"{options.seed}/how"))
            strangers = Strangers(made, random.Random(f"{options.seed}/strangers"))
            lanes = [breaker.of_processes(), breaker.of_surroundings(), strangers.faults(), breaker.of_doors()]
            coming = asyncio.create_task(
                users.come(rate_per_s=options.rate, draw=random.Random(f"{options.seed}/users"), over=over)
            )
            breaking = asyncio.create_task(torment(lanes, injected, seed=options.seed, over=over))
            await progress(users, phones, injected, seconds=options.minutes * 60)
            over.set()
            await asyncio.gather(coming, breaking)
            say("everything is put right")
            told = await conclude(made, users, phones, directory, injected, strangers)
        following.cancel()
        await asyncio.wait({following})
    return {"seed": options.seed, "rate_per_s": options.rate, "minutes": options.minutes, **told}


async def conclude(
    made: Installation, users: Users, phones: Phones, directory: Path, injected: Injected, strangers: Strangers
) -> dict[str, Any]:
    """Let everybody finish, then hold what users know against what the system holds."""
    broken: list[tuple[str, str]] = []
    try:
        await closing.set_right(made)
    except LocalServerError as error:
        broken.append(("a worker does not become ready", str(error)))
    await users.end(within_s=STORIES_WITHIN_S)
    if left := await closing.quiet(made):
        broken.append(("never quiet", left))
    say("all is quiet; audit")
    audit = await closing.audit(made, users.all, phones, directory)
    if left := await closing.quiet(made):  # what was read last may have been owed to the endpoint since
        broken.append(("never quiet after the audit", left))
    ledger = judge(await closing.seen(made, users.all, phones))
    known, unlike = await closing.outside(made)
    broken += [("a forged receipt was taken", str(status)) for status in strangers.forged if status < 400]
    broken += await closing.letters(made, strangers.poison)
    broken += [
        (f"audit {each['check']}: {each['promise']}", f"{len(each['breaches'])}, such as {each['breaches'][0]}")
        for each in audit["checks"]
        if each["breaches"]
    ]
    broken += [
        (f"audit {each['check']} did not look at all", each["unseen"][0]) for each in audit["checks"] if each["unseen"]
    ]
    broken += [("the audit could not be made", audit["failed"])] if "failed" in audit else []
    ledger.broken = [*broken, *unlike, *ledger.broken]
    return {
        "injected": dict(sorted(injected.counts.items())),
        "hindered": dict(injected.hindered),
        "not_injected": [] if FAKETIME else [FAKETIME_MISSING],
        "poison": len(strangers.poison),
        "forged_receipts": len(strangers.forged),
        **known,
        "calls_repeated": dict(users.problems),
        "ledger": as_told(ledger),
        "audit": "clean" if audit["clean"] else "not clean",
        "kept": not ledger.broken,
    }


def as_told(ledger: Ledger) -> Mapping[str, Any]:
    """The ledger as JSON has it."""
    told = {field.name: getattr(ledger, field.name) for field in fields(ledger)}
    return {**told, "broken": [{"what": what, "shown_by": by} for what, by in ledger.broken]}


async def progress(users: Users, phones: Phones, injected: Injected, *, seconds: float) -> None:
    """One line now and then, until the time is over."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        await paced(min(PROGRESS_EVERY_S, seconds - passed))
        approved = sum("approved" in user.checks for user in users.all)
        messages = sum(len(phone.messages) for phone in phones.by_number.values())
        people = f"{len(users.all)} users, {users.living} under way, {approved} approved, {messages} SMS"
        faults = f"{injected.counts.total()} faults done; now: {', '.join(injected.now.values()) or '-'}"
        say(f"{time.monotonic() - began:4.0f} s  {people}; {faults}")


def say(line: str) -> None:
    """A line of progress."""
    console.print(f"  {line}", highlight=False, soft_wrap=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long everything is broken")
    parser.add_argument("--rate", type=float, default=20.0, help="users a second; what two cores carry while they fail")
    parser.add_argument("--seed", type=int, default=0, help="draws the faults; 0 takes one by chance and tells it")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")
    parser.add_argument("--keep", action="store_true", help="keep logs and data although all promises were kept")
    told = parser.parse_args()
    told.seed = told.seed or random.SystemRandom().randrange(1, 1_000_000)
    return told


def main() -> None:
    """Run once and say what came of it."""
    options = arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is what it is told to be
    say(f"seed {options.seed}, {options.rate:g} users/s, {options.minutes:g} minutes")
    told = report.run_once(
        "chaos", lambda directory: run(options, directory), keep=lambda kept: options.keep or not kept
    )
    report.conclude(told, as_json=options.json, show=report.show)


if __name__ == "__main__":
    main()
