"""One message through one account, by the way that dispatch takes."""

import random
from typing import Final

from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.line import Line
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.reports import Settle
from watchword.dispatch.speaking import HttpSpeaker, Speaker
from watchword.gateways.catalog import GATEWAYS, SESSIONS
from watchword.gateways.contract import Account, Message
from watchword.gateways.outcome import Outcome
from watchword.runtime.metrics import Metrics

_MS: Final = 1_000


async def tried(message: Message, account: Account) -> Outcome | Silence:
    """What came of it. Raises ValueError where the account cannot send."""
    speaker = _speaker(account)
    try:
        call = speaker.message(message)
        return await call(Gate(lambda: ""), account.timeout_ms / _MS)
    finally:
        await speaker.close()


def plan_of(message: Message, account: Account) -> str:
    """What would be done over a kept connection, without a word of what it says. Raises ValueError as `tried`."""
    gateway = SESSIONS[account.gateway]
    endpoint, submission = gateway.endpoint(account), gateway.encode(message, account)
    secured = " over TLS" if endpoint.tls else ""
    bytes_ = ", ".join(str(len(unit)) for unit in submission.units)
    return (
        f"bind as {endpoint.roles[0]} at {endpoint.host}:{endpoint.port}{secured}, then submit units of {bytes_} bytes"
    )


def _speaker(account: Account) -> Speaker:
    if account.gateway in GATEWAYS:
        return HttpSpeaker(account, GATEWAYS[account.gateway])
    metrics = DispatchMetrics(Metrics())
    return Line(account, SESSIONS[account.gateway], _left_with_carrier, metrics, random.random)


def _left_with_carrier(account: Account, report: bytes, settle: Settle) -> None:
    """A report that comes over this connection is not ours to keep: the carrier tells dispatch again."""
    settle(kept=False)
