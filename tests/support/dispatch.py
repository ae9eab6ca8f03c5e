"""dispatch between real servers and simulated carriers: what its pipeline tests stand on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from tests.support import rows
from tests.support.carrier import Carriers, simulated
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.attempt_made import AttemptMade
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, shared
from watchword.kernel.ids import attempt_id
from watchword.runtime import aad
from watchword.runtime.keyring import Purpose
from watchword.runtime.sealing import seal

CONFIGURATION = Path(__file__).parents[1] / "pipeline" / "dispatch.toml"
SENT_AT_ONCE = {"latency_ms": {"kind": "uniform", "min": 0, "max": 5}}


@dataclass
class Sending:
    """A pipeline whose accounts lead to simulated carriers: `north` and `south` for India, `south` for Britain."""

    stand: Pipeline
    carriers: Carriers

    async def issued(self, number: str = "+919876543210", *, code: str = "493021", **columns: Any) -> Facts:
        """A verification with a code that waits to be sent, its first attempt queued."""
        country = {"+91": "IN", "+44": "GB", "+99": "UZ"}[number[:3]]
        stands: dict[str, Any] = {"state": "issued", "seq": 3, "code_version": 1, "country": country} | columns
        about = await self.stand.verification(number=number, **stands)
        version: int = stands["code_version"]
        message = msgspec.json.encode({"text": f"{code} is your Shop code.", "code": code, "template": "default"})
        key = self.stand.keys.sealing(Purpose.SENDING)
        await self.stand.connection.execute(
            "INSERT INTO codes (verification_id, version, mac, pepper_id, sealed) VALUES ($1, $2, '', '', $3)",
            about.verification_id,
            version,
            seal(key, message, aad.message("shop", about.verification_id, version)),
        )
        return about

    async def request(self, about: Facts, *, topic: str = "", row: bool = True, **changes: Any) -> UUID:
        """Ask for a message as codes would: the attempt's row, then the event. Answers the attempt's id."""
        told: dict[str, Any] = {
            "send_no": 1, "try_no": 1, "code_version": 1, "send_deadline": datetime.now(UTC) + timedelta(seconds=200),
        } | changes  # fmt: skip
        identity = attempt_id(about.verification_id, told["send_no"], told["try_no"] % 256)
        if row:
            columns = {name: told[name] for name in ("send_no", "try_no", "code_version", "send_deadline")}
            await rows.attempt(self.stand, about, **columns, recovery=told.get("recovery", 0))
        event = SendRequested(**shared(about), attempt_id=identity, **told)
        await self.stand.publish(
            event,
            subject=str(identity),
            key=str(about.verification_id),
            ordinal=told.get("recovery", 0),
            topic=topic,
        )
        return identity

    async def made(self, count: int) -> list[AttemptMade]:
        """The first moment at which `count` attempts have been told of, in the order they were made."""
        told = await self.stand.told(topics.LIFECYCLE, count=count, name="attempt-made")
        events = [each.event for each in told if isinstance(each.event, AttemptMade)]
        return sorted(events, key=lambda event: (event.send_no, event.try_no))

    async def state_of(self, attempt: UUID) -> str:
        """The state of an attempt's row."""
        return str((await self.stand.row("SELECT state FROM attempts WHERE id = $1", attempt))["state"])

    async def reached(self, attempt: UUID, state: str) -> None:
        """Wait until an attempt has come to `state`."""

        async def there() -> bool:
            return await self.state_of(attempt) == state

        await eventually(there, within_s=PATIENCE_S, what=f"attempt {attempt} to be {state}")

    async def asked(self, carrier: str, count: int) -> list[Any]:
        """The first moment at which `carrier` was called `count` times, all its calls."""

        async def enough() -> list[Any]:
            calls = list((await self.carriers.ledger_of(carrier)).calls)
            return calls if len(calls) >= count else []

        return await eventually(enough, within_s=PATIENCE_S, what=f"{count} calls to {carrier}")


@asynccontextmanager
async def sending(
    stand: Pipeline,
    *,
    timeout_ms: int = 3_000,
    on_unknown: str = "resend",
    uzbekistan: str = "form",
) -> AsyncIterator[Sending]:
    """Carriers, and a configuration that leads to them."""
    async with simulated() as carriers:
        for name in ("north", "south", "east"):
            await carriers.behave(name, **SENT_AT_ONCE)
        await stand.configure(
            CONFIGURATION,
            url=carriers.url,
            timeout_ms=str(timeout_ms),
            on_unknown=on_unknown,
            uzbekistan=uzbekistan,
        )
        yield Sending(stand, carriers)
