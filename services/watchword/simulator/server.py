"""The simulator's HTTP side. What happens is decided in decide.py and carrier.py; here it is carried out."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from watchword.runtime.clock import Clock, WallClock
from watchword.simulator import behaviour as behaving
from watchword.simulator import page, smpp_wire, wire
from watchword.simulator.behaviour import Behaviour
from watchword.simulator.carrier import Carrier, Door, Taken
from watchword.simulator.decide import Answer, Way
from watchword.simulator.receipts import POST_TIMEOUT_S, Receipts
from watchword.simulator.smsc import Smsc
from watchword.simulator.world import Phones

CARRIERS = ("north", "south", "east")
CARRIERS_MAX = 16
BODY_BYTES_MAX = 16_384
EARLY_WAIT_S = 2.0
LATEST_PHONES = 50
STOP_S = 2.0
JSON = "application/json"
CARRIER = "/carriers/{name}"


class Simulator:
    """A running simulator. `url` is where it listens; `stop` ends it."""

    def __init__(self, *, seed: int, births: Mapping[str, Behaviour], clock: Clock) -> None:
        draw = random.Random(seed)
        self.url = ""
        self._clock = clock
        self._phones = Phones()
        self._carriers = {name: Carrier(name, birth, draw, self._phones) for name, birth in births.items()}
        self._receipts: dict[str, Receipts] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._smsc: Smsc | None = None
        self.smpp_url = ""

    async def start(self, host: str, port: int, smpp_port: int | None) -> None:
        """Listen, on a second port for SMPP unless it is None. Raises OSError where a port is taken; then nothing is
        left running."""
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=POST_TIMEOUT_S))
        self._receipts = {
            name: Receipts(carrier, self._session, self._clock) for name, carrier in self._carriers.items()
        }
        self._runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=STOP_S
        )
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, host, port, backlog=1_024).start()
            if smpp_port is not None:
                counts = {name: receipts.counts for name, receipts in self._receipts.items()}
                self._smsc = Smsc(self._carriers, counts, self._clock)
                self.smpp_url = f"smpp://{host}:{await self._smsc.start(host, smpp_port)}"
        except BaseException:
            await self.stop()
            raise
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Cut what hangs, forget the receipts that wait, close every connection."""
        if self._smsc is not None:
            await self._smsc.stop()
        for receipts in self._receipts.values():
            await receipts.stop()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post(f"{CARRIER}/messages", self._echo)
        app.router.add_get(f"{CARRIER}/messages", self._lookup)
        app.router.add_post(f"{CARRIER}/blind", self._blind)
        app.router.add_get(CARRIER, self._carrier)
        app.router.add_get(f"{CARRIER}/behaviour", self._behaviour)
        app.router.add_put(f"{CARRIER}/behaviour", self._behave)
        app.router.add_patch(f"{CARRIER}/behaviour", self._behave)
        app.router.add_get(f"{CARRIER}/ledger", self._carrier_ledger)
        app.router.add_get("/ledger", self._ledger)
        app.router.add_delete("/phones", self._forget_phones)
        app.router.add_get("/messages", self._messages)
        app.router.add_get("/phones/{number}", self._phone)
        app.router.add_get("/phones/{number}/page", self._phone_page)
        app.router.add_get("/", self._index)
        return app

    async def _echo(self, request: web.Request) -> web.Response:
        carrier = self._named(request)
        message = wire.echo_message(await request.read())
        taken = carrier.take(message, _bearer(request), Door.ECHO, self._clock.now(), self._loop.time())
        await self._act(request, carrier, taken, Door.ECHO)
        if taken.answer.error:
            return self._refused(carrier, taken.answer, *wire.echo_error(taken.answer.error), JSON)
        return _json(taken.accepted, status=202)

    async def _blind(self, request: web.Request) -> web.Response:
        carrier = self._named(request)
        message, key = wire.blind_message(await request.read())
        taken = carrier.take(message, key or _bearer(request), Door.BLIND, self._clock.now(), self._loop.time())
        await self._act(request, carrier, taken, Door.BLIND)
        if taken.answer.error:
            return self._refused(carrier, taken.answer, *wire.blind_error(taken.answer.error), "text/plain")
        return web.Response(text=f"OK {taken.accepted.id if taken.accepted else ''}")

    async def _act(self, request: web.Request, carrier: Carrier, taken: Taken, door: Door) -> None:
        """Have the receipts posted, then take the time the answer takes, or cut the connection."""
        if taken.reports and carrier.receipt_url(door):
            tried = self._receipts[carrier.name].add(taken.reports, door)
            if taken.early:
                await asyncio.wait({tried}, timeout=EARLY_WAIT_S)
        if taken.answer.latency_ms:
            await asyncio.sleep(taken.answer.latency_ms / 1_000)
        if taken.answer.way in (Way.HANG_BEFORE, Way.HANG_AFTER):
            await asyncio.sleep(carrier.behaviour.hang_ms / 1_000)
        if taken.answer.way not in (Way.ACCEPT, Way.REFUSE) and request.transport is not None:
            request.transport.abort()

    def _refused(self, carrier: Carrier, answer: Answer, status: int, body: bytes, content_type: str) -> web.Response:
        headers = {"Retry-After": str(carrier.behaviour.retry_after_s)} if answer.error == "throttled" else None
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)

    async def _lookup(self, request: web.Request) -> web.Response:
        carrier = self._named(request)
        error = "" if carrier.knows(_bearer(request)) else "unauthorized"
        if carrier.is_away(self._loop.time()):
            error = "temporary"
        accepted = carrier.found(request.query.get("client_ref", ""))
        if error or accepted is None:
            status, body = wire.echo_error(error or "not_found")
            return web.Response(status=status, body=body, content_type=JSON)
        return _json(accepted)

    async def _carrier(self, request: web.Request) -> web.Response:
        carrier = self._named(request)
        receipts = self._receipts[carrier.name]
        counts = receipts.counts
        return _json(
            {
                "name": carrier.name,
                "away": carrier.is_away(self._loop.time()),
                "calls": carrier.ledger.calls_total,
                "receipts": {
                    "pending": receipts.pending + (self._smsc.pending(carrier.name) if self._smsc else 0),
                    "posted": counts.posted,
                    "retried": counts.retried,
                    "given_up": counts.given_up,
                    "dropped": counts.dropped,
                },
            }
        )

    async def _behaviour(self, request: web.Request) -> web.Response:
        return _json(self._named(request).behaviour)

    async def _behave(self, request: web.Request) -> web.Response:
        """PUT begins from the behaviour the carrier was started with, PATCH from the present one."""
        carrier = self._named(request)
        try:
            told = behaving.read(await request.read())
            carrier.behave(told, self._loop.time(), anew=request.method == "PUT")
        except ValueError as error:
            return _json({"error": "bad_behaviour", "detail": str(error)}, status=400)
        return _json(carrier.behaviour)

    async def _carrier_ledger(self, request: web.Request) -> web.Response:
        ledger = self._named(request).ledger
        dropped = {"calls": ledger.dropped_calls, "messages": ledger.dropped_sent}
        return _json({"calls": list(ledger.calls), "messages": list(ledger.sent.values()), "dropped": dropped})

    async def _ledger(self, request: web.Request) -> web.Response:
        # What came over SMPP bears no reference of its sender's: nobody could find it in their books.
        delivered, nameless = dict[str, int](), dict[str, int]()
        for carrier in self._carriers.values():
            for ref, sent in carrier.ledger.sent.items():
                told = nameless if ref.startswith(smpp_wire.NAMELESS) else delivered
                told[ref] = told.get(ref, 0) + sent.delivered
        carriers = {
            name: {
                "calls": carrier.ledger.calls_total,
                "sms": sum(sent.sms for sent in carrier.ledger.sent.values()),
                "dropped": carrier.ledger.dropped_sent,
            }
            for name, carrier in self._carriers.items()
        }
        phones = {
            "count": len(self._phones),
            "dropped_phones": self._phones.dropped_phones,
            "dropped_messages": self._phones.dropped_messages,
        }
        return _json({"delivered": delivered, "nameless": nameless, "carriers": carriers, "phones": phones})

    async def _forget_phones(self, request: web.Request) -> web.Response:
        self._phones.clear()
        return web.Response(status=204)

    async def _phone(self, request: web.Request) -> web.Response:
        return _json(self._phones.inbox(_number(request)))

    async def _messages(self, request: web.Request) -> web.Response:
        """What all phones received after the first `after` messages: for whoever reads many phones."""
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise web.HTTPBadRequest(text='{"error":"after_must_be_a_count"}', content_type=JSON)
        count, new = self._phones.since(int(after))
        return _json({"count": count, "messages": [{"number": number, "sms": sms} for number, sms in new]})

    async def _phone_page(self, request: web.Request) -> web.Response:
        number = _number(request)
        return _html(page.phone(number, self._phones.inbox(number)))

    async def _index(self, request: web.Request) -> web.Response:
        return _html(page.index(list(self._carriers), self._phones.latest(LATEST_PHONES)))

    def _named(self, request: web.Request) -> Carrier:
        carrier = self._carriers.get(request.match_info["name"])
        if carrier is None:
            raise web.HTTPNotFound(text='{"error":"no_such_carrier"}', content_type=JSON)
        return carrier


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _number(request: web.Request) -> str:
    number = wire.number(request.match_info["number"])
    if not number:
        raise web.HTTPNotFound(text='{"error":"no_such_number"}', content_type=JSON)
    return number


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=wire.encode(value), content_type=JSON)


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers=page.HEADERS)


async def start(
    port: int = 0,
    *,
    seed: int = 1,
    host: str = "127.0.0.1",
    carriers: Sequence[str] = CARRIERS,
    receipt_url: str = "",
    blind_receipt_url: str = "",
    smpp_port: int | None = None,
    clock: Clock | None = None,
) -> Simulator:
    """Start a simulator; port 0 takes a free one, and no `smpp_port` opens none. `{carrier}` in the receipt urls stands
    for each carrier's name.

    Raises ValueError for a wrong name or url and OSError where the port is taken.
    """
    if not 1 <= len(set(carriers)) == len(carriers) <= CARRIERS_MAX or not all(map(str.isidentifier, carriers)):
        raise ValueError(f"carriers: 1-{CARRIERS_MAX} different names of letters, digits and _")
    births = {
        name: msgspec.convert(
            {
                "receipt_url": receipt_url.replace("{carrier}", name),
                "blind_receipt_url": blind_receipt_url.replace("{carrier}", name),
            },
            Behaviour,
        )
        for name in carriers
    }
    simulator = Simulator(seed=seed, births=births, clock=clock or WallClock())
    await simulator.start(host, port, smpp_port)
    return simulator
