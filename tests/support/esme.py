"""Our side of SMPP by itself: the line of one account against any SMSC, its reports kept in a list."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.support.waiting import eventually
from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.line import Line
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.reports import Settle, TakeReport
from watchword.gateways.catalog import SESSIONS
from watchword.gateways.contract import Account, Callback, Message, Receipt
from watchword.gateways.outcome import Outcome
from watchword.runtime.metrics import Metrics

TIMEOUT_S = 5.0
NUMBER = "+919876543210"


def account_at(url: str, **changes: Any) -> Account:
    """An account of an SMSC at `url`; `options` are added to the usual ones."""
    options = {"system_id": "watchword", **changes.pop("options", {})}
    told: dict[str, Any] = {
        "id": "peer",
        "sender": "SHOP",
        "secrets": {"password": "secret"},
        "inflight_max": 200,
    } | changes
    return Account(gateway="smpp", url=url, options=options, **told)


@dataclass
class Esme:
    """A line, and what came over it."""

    account: Account
    metrics: Metrics
    line: Line = field(init=False)
    reports: list[bytes] = field(default_factory=list)

    def take(self, account: Account, report: bytes, settle: Settle) -> None:
        """Keep a report, and say so."""
        self.reports.append(report)
        settle(kept=True)

    async def send(
        self, text: str = "493021 is your code.", *, to: str = NUMBER, life_s: int = 90
    ) -> Outcome | Silence:
        """One message, through a gate that lets everything pass."""
        message = Message(
            client_ref="018f3a5c-7b10-8c21-9d3e-5a6b7c8d9e0f",
            to=to,
            text=text,
            sender="",
            life_s=life_s,
            at=datetime.now(UTC),
            dlt_entity_id="1101456789012345678",
        )
        return await self.line.message(message)(Gate(lambda: ""), TIMEOUT_S)

    def receipts(self) -> list[Receipt]:
        """What the reports say so far."""
        gateway = SESSIONS[self.account.gateway]
        return [one for body in self.reports for one in gateway.receipts(Callback("", "", {}, body), self.account)]

    async def reported(self, count: int) -> list[Receipt]:
        """The first moment at which `count` receipts are there."""

        async def enough() -> list[Receipt]:
            found = self.receipts()
            return found if len(found) >= count else []

        return await eventually(enough, within_s=15, what=f"{count} receipts")

    async def ready(self, connections: int = 1) -> None:
        """Wait until so many connections carry messages."""

        async def there() -> bool:
            return self.metrics.value("watchword_dispatch_connections_size", account=self.account.id) == connections

        await eventually(there, within_s=15, what=f"{connections} bound connections")

    async def ended(self, reason: str) -> None:
        """Wait until a connection has ended for that reason."""

        async def told() -> bool:
            name = "watchword_dispatch_connections_ended_total"
            return (self.metrics.value(name, account=self.account.id, reason=reason) or 0) >= 1

        await eventually(told, within_s=15, what=f"a connection that ended: {reason}")


@asynccontextmanager
async def esme(account: Account, kind: type[Esme] = Esme, take: TakeReport | None = None) -> AsyncIterator[Esme]:
    """A line of `account` for as long as the context lasts; its reports go to `take`, or into the list."""
    metrics = Metrics()
    made = kind(account, metrics)
    made.line = Line(account, SESSIONS[account.gateway], take or made.take, DispatchMetrics(metrics), lambda: 0.0)
    try:
        yield made
    finally:
        await made.line.close()
