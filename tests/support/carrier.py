"""Reads phones and plays with carriers: a thin client of the carrier simulator."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.support.waiting import eventually
from watchword.simulator.server import start
from watchword.simulator.world import Call, Sent, Sms

CODE = re.compile(r"(?<![0-9])[0-9]{4,10}(?![0-9])")
CALL_TIMEOUT_S = 10


class ReceiptCounts(msgspec.Struct, frozen=True):
    """How a carrier's receipts fared."""

    pending: int
    posted: int
    retried: int
    given_up: int
    dropped: int


class CarrierLedger(msgspec.Struct, frozen=True):
    """Every call to a carrier, oldest first, and what it made of every client_ref."""

    calls: list[Call]
    messages: list[Sent]


class Carriers:
    """The carriers and phones of a simulator at `url`."""

    def __init__(self, url: str, session: aiohttp.ClientSession, smpp_url: str = "") -> None:
        self.url = url
        self.smpp_url = smpp_url
        self._session = session

    async def inbox(self, number: str) -> list[Sms]:
        """The messages on a phone, newest last."""
        return msgspec.json.decode(await self._read("GET", f"/phones/{number}"), type=list[Sms])

    async def behave(self, carrier: str, **changes: Any) -> None:
        """Change these fields of a carrier's behaviour; the others stay. Raises ValueError with the reason."""
        await self._read("PATCH", f"/carriers/{carrier}/behaviour", msgspec.json.encode(changes))

    async def behave_as_at_birth(self, carrier: str, **changes: Any) -> None:
        """Give a carrier the behaviour it was started with, but for these fields."""
        await self._read("PUT", f"/carriers/{carrier}/behaviour", msgspec.json.encode(changes))

    async def ledger(self) -> dict[str, int]:
        """How many SMS reached a phone, for each reference that was ever accepted; over SMPP the carrier made it up."""
        told: dict[str, dict[str, int]] = msgspec.json.decode(await self._read("GET", "/ledger"))
        return told["delivered"] | told["nameless"]

    async def ledger_of(self, carrier: str) -> CarrierLedger:
        """What one carrier was asked and what it sent, lost messages included."""
        return msgspec.json.decode(await self._read("GET", f"/carriers/{carrier}/ledger"), type=CarrierLedger)

    async def receipts_of(self, carrier: str) -> ReceiptCounts:
        """How one carrier's receipts fared so far."""
        told = msgspec.json.decode(await self._read("GET", f"/carriers/{carrier}"))
        return msgspec.convert(told["receipts"], ReceiptCounts)

    async def forget_phones(self) -> None:
        """Empty every inbox."""
        await self._read("DELETE", "/phones")

    async def wait_for_code(self, number: str, *, seen: int = 0, within_s: float = 10) -> str:
        """The code in the newest message on a phone, waiting until it has more than `seen` messages."""

        async def newest() -> str | None:
            inbox = await self.inbox(number)
            found = CODE.search(inbox[-1].text) if len(inbox) > seen else None
            return found[0] if found else None

        code = await eventually(newest, within_s=within_s, what=f"message {seen + 1} with a code on {number}")
        assert code is not None
        return code

    async def _read(self, method: str, path: str, body: bytes | None = None) -> bytes:
        async with self._session.request(method, self.url + path, data=body) as answer:
            told = await answer.read()
            if not answer.ok:
                raise ValueError(f"{method} {path}: {answer.status} {told.decode()}")
            return told


@asynccontextmanager
async def carriers_at(url: str, smpp_url: str = "") -> AsyncIterator[Carriers]:
    """A client of a simulator that runs already."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)) as session:
        yield Carriers(url, session, smpp_url)


@asynccontextmanager
async def simulated(
    *, seed: int = 1, receipt_url: str = "", blind_receipt_url: str = "", smpp_port: int | None = None
) -> AsyncIterator[Carriers]:
    """A simulator of one's own, and a client of it."""
    simulator = await start(
        seed=seed, receipt_url=receipt_url, blind_receipt_url=blind_receipt_url, smpp_port=smpp_port
    )
    try:
        async with carriers_at(simulator.url, simulator.smpp_url) as carriers:
            yield carriers
    finally:
        await simulator.stop()
