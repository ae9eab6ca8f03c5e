"""The audit at the end of what a laptop runs: the demo, a benchmark, a test that killed things."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from watchword.audit.checks import audit
from watchword.audit.facts import Finding
from watchword.audit.gather import Order, gather
from watchword.local.stack import Stack

CLEAN = "clean"
AT_REST = "A9"
REST_WITHIN_S = 45.0
LOOK_EVERY_S = 0.5


async def audited(stack: Stack, *, since: datetime | None = None, within_s: float = REST_WITHIN_S) -> list[Finding]:
    """Every promise held to the letter, with the carriers' ledger, once nothing is under way any more.

    While A9 alone is broken something still is, and it is asked again, for `within_s`. What began before `since` is
    left out. Raises what `gather` raises.
    """
    order = Order(
        cluster=stack.cluster,
        dsn=stack.dsn,
        since=since,
        grace=timedelta(0),
        at_rest=True,
        ledger_url=stack.simulator_url,
    )

    async def look() -> list[Finding]:
        return audit(await gather(order))

    return await at_rest(look, within_s=within_s)


async def at_rest(
    look: Callable[[], Awaitable[list[Finding]]],
    *,
    within_s: float,
    pause_s: float = LOOK_EVERY_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[Finding]:
    """What `look` finds once A9 is not all that is broken; `within_s` after its first answer, for which it may have
    read for a minute, A9 has to answer for itself."""
    findings = await look()
    deadline = monotonic() + within_s
    while {each.check for each in broken(findings)} == {AT_REST} and monotonic() < deadline:
        await asyncio.sleep(pause_s)
        findings = await look()
    return findings


def broken(findings: Sequence[Finding]) -> list[Finding]:
    """Those that found a breach."""
    return [each for each in findings if each.breaches]


def in_words(findings: Sequence[Finding]) -> str:
    """`clean`, or which promises are not kept, how often, and the first that shows each; and what was not looked at."""
    told = [
        f"{each.check} ({len(each.breaches)}): {each.breaches[0].id} {each.breaches[0].told}"
        for each in broken(findings)
    ]
    told += [f"{each.check} did not look at {', '.join(each.unseen)}" for each in findings if each.unseen]
    return "; ".join(told) or CLEAN
