"""A carrier that answers what no carrier should: each answer ends in a class within the account's timeout, is written
down with its reason, holds nobody else up, and is taken for "not sent" only where it says so.

Every account here is blind and holds what it cannot know, so that a second message would be a failover that nobody
had leave for. What one call makes of a broken connection: test_calling.py. Each word of each gateway: its wire/.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import asyncpg

from tests.pipeline.bad_answers import ACCOUNTS, CASES, ENDLESS, TIMEOUT_MS, Case, Follows
from tests.support import rows
from tests.support.carrier import simulated
from tests.support.dispatch import SENT_AT_ONCE, Sending
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.scripted import scripted
from tests.support.waiting import eventually
from watchword.events.verification import Facts

CONFIGURATION = Path(__file__).with_name("answers.toml")
BESIDE = "beside"
BESIDE_MESSAGES = 20
MARGIN_MS = 1_000  # a busy machine's, of a timeout of its own
WRITTEN_BYTES_MAX = 4 << 20  # what is read of an answer without end, and what lies in buffers on the way
Attempts = Mapping[str, Sequence[asyncpg.Record]]


async def test_whatever_a_carrier_answers_is_classed_in_time_and_nobody_gets_a_second_code(stand: Pipeline) -> None:
    async with simulated() as carriers, scripted({case.name: case.answer for case in CASES}) as bad:
        for name in ("south", "east"):
            await carriers.behave(name, **SENT_AT_ONCE)
        await stand.configure(CONFIGURATION, url=carriers.url, misbehaving=_accounts(bad.url))
        it = Sending(stand, carriers)
        purposes = [*(case.name for case in CASES), *[BESIDE] * BESIDE_MESSAGES]
        waiting = [await _queued(it, place, purpose) for place, purpose in enumerate(purposes)]
        async with stand.running("dispatch"):
            await asyncio.gather(*(it.request(about, row=False) for about in waiting))
            told = await eventually(partial(_ended, stand), within_s=PATIENCE_S, what="every attempt to end")
    assert [said for case in CASES for said in _wrong(case, told[case.name])] == []
    assert [name for name in ENDLESS if bad.written_bytes[name] > WRITTEN_BYTES_MAX] == []
    assert [name for name, count in bad.calls.items() if count != 1] == [], "and is called once"
    _nobody_else_was_held_up(told)


def _wrong(case: Case, attempts: Sequence[asyncpg.Record]) -> list[str]:
    """What is not as it should be about the attempts of one verification."""
    first, *others = attempts
    right = [(case.follows, case.outcome, reason, case.provider_id) for reason in case.reason.split("|")]
    seen = tuple(first[name] for name in ("state", "outcome", "raw_code", "provider_id"))
    then = [(each["account"], each["state"]) for each in others]
    wrong = {
        f"{case.name}: {seen}": seen not in right,
        f"{case.name}: then {then}": then != ([("south", "accepted")] if case.follows is Follows.FAILOVER else []),
        f"{case.name}: after {first['latency_ms']} ms": first["latency_ms"] > TIMEOUT_MS + MARGIN_MS,
        f"{case.name}: {first['of']}": first["of"] != ("failed" if case.follows is Follows.END else "issued"),
    }
    return [said for said, is_wrong in wrong.items() if is_wrong]


def _nobody_else_was_held_up(told: Attempts) -> None:
    """What another account sends is sent before the first answer that never came has been given up."""
    hung = [told[case.name][0]["concluded_at"] for case in CASES if case.reason == "TimeoutError"]
    beside = told[BESIDE]
    assert [each["state"] for each in beside] == ["accepted"] * BESIDE_MESSAGES
    assert max(each["concluded_at"] for each in beside) < min(hung)


def _accounts(url: str) -> str:
    """An account for each answer, and a route on which another follows it."""
    return "".join(
        f"""
[[routes]]
id = "{case.name}"
country = "GB"
purpose = "{case.name}"
accounts = ["{case.name}", "south"]

[[accounts]]
id = "{case.name}"
url = "{url}/{case.name}"
timeout_ms = {TIMEOUT_MS}
on_unknown = "hold"
{ACCOUNTS[case.gateway]}"""
        for case in CASES
    )


async def _queued(it: Sending, place: int, purpose: str) -> Facts:
    """A verification whose first attempt waits for its event."""
    about = await it.issued(f"+44770090{1000 + place}", purpose=purpose)
    await rows.attempt(it.stand, about)
    return about


async def _ended(stand: Pipeline) -> Attempts:
    """The attempts by purpose, in order, once each has ended; nothing before."""
    found: dict[str, list[asyncpg.Record]] = {}
    for row in await stand.connection.fetch(
        "SELECT v.purpose, v.state AS of, a.* FROM verifications v JOIN attempts a ON a.verification_id = v.id "
        "ORDER BY a.try_no"
    ):
        if row["concluded_at"] is None:
            return {}
        found.setdefault(row["purpose"], []).append(row)
    return found
