"""The kept connections of one account against the simulated SMSC, over real sockets: no Kafka, no Postgres."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.support.carrier import Carriers, simulated
from tests.support.esme import Esme, account_at, esme
from tests.support.waiting import eventually
from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.reports import Reports, Settle
from watchword.gateways.contract import Account, Message
from watchword.gateways.outcome import Outcome
from watchword.gateways.smpp.pdu import RESPONSE, Command, Frames, Pdu, decode, encode
from watchword.local.ports import free_ports
from watchword.runtime import keyring
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import Cluster
from watchword.runtime.keeping import Keeper
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.metrics import Metrics
from watchword.runtime.publishing import Publisher

ENDED = "watchword_dispatch_connections_ended_total"


@asynccontextmanager
async def bound(carrier: dict[str, Any] | None = None, **changes: Any) -> AsyncIterator[tuple[Carriers, Esme]]:
    """An SMSC that behaves so, and a line to it that is ready."""
    options = {"system_id": "north", **changes.pop("options", {})}
    async with simulated(smpp_port=0) as carriers:
        await carriers.behave("north", token="north-word", **(carrier or {}))
        account = account_at(carriers.smpp_url, secrets={"password": "north-word"}, options=options, **changes)
        async with esme(account) as it:
            await it.ready(int(options.get("binds", "1")) * (2 if options.get("bind") == "tx+rx" else 1))
            yield carriers, it


def kinds(outcomes: list[Outcome | Silence]) -> list[str]:
    return [each.kind if isinstance(each, Outcome) else each.word for each in outcomes]


@pytest.mark.parametrize(
    ("options", "habits"),
    [
        ({"binds": "3"}, {}),
        ({"bind": "tx+rx", "id_format": "hex_resp_dec_dlr"}, {"ids": "hex_then_decimal"}),
        ({}, {"chunk_bytes": 7}),
        ({}, {"coalesce": True}),
        ({"window": "1"}, {"unknown_parameters": True}),
        ({}, {"receipt_form": "parameters"}),
        ({}, {"receipt_form": "text"}),
        ({}, {"garbage_receipts": 1.0}),
    ],
    ids=lambda told: "-".join(f"{name}" for name in told) or "usual",
)
async def test_every_message_is_answered_and_reported(options: dict[str, str], habits: dict[str, Any]) -> None:
    async with bound({"smpp": habits}, options=options) as (_, it):
        outcomes = await asyncio.gather(*(it.send() for _ in range(30)))
        assert kinds(outcomes) == ["accepted"] * 30
        told = await it.reported(30)
    assert {one.provider_id for one in told} == {each.provider_id for each in outcomes if isinstance(each, Outcome)}
    assert {one.state for one in told} == {"delivered"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("throttled", "throttled"),
        ("temporary", "temporary"),
        ("account", "account"),
        ("configuration", "configuration"),
        ("destination", "destination"),
        ("blocked", "blocked"),
    ],
)
async def test_a_refusal_is_an_outcome(error: str, kind: str) -> None:
    async with bound({"errors": {error: 1.0}}) as (_, it):
        assert kinds([await it.send()]) == [kind]


async def test_a_message_of_several_parts_arrives_as_one() -> None:
    text = "\u0915\u094b\u0921 493021. " * 12
    for long in ("udh", "sar"):
        async with bound(options={"long": long}) as (carriers, it):
            assert kinds([await it.send(text)]) == ["accepted"]
            [sms] = await carriers.inbox("+919876543210")
            await it.reported(1)
        assert sms.text == text


async def test_a_message_without_a_reference_of_ours_is_not_held_against_our_books() -> None:
    """The audit of a stack whose carrier speaks SMPP named each message as one that nobody had sent."""
    async with bound() as (carriers, it):
        assert kinds([await it.send()]) == ["accepted"]
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{carriers.url}/ledger") as answer,
        ):
            told = await answer.json()
        assert (told["delivered"], list(told["nameless"].values())) == ({}, [1])
        await it.reported(1)


async def test_a_carrier_that_says_goodbye_again_and_again_loses_nobody() -> None:
    async with bound({"smpp": {"unbind_after": 4}}, options={"binds": "2"}) as (carriers, it):
        outcomes = [await it.send(to=f"+9198765432{number:02d}") for number in range(12)]
        taken = sum(kind == "accepted" for kind in kinds(outcomes))
        assert set(kinds(outcomes)) <= {"accepted", "not_connected", "no_room"}
        assert taken == sum((await carriers.ledger()).values()) >= 8
        assert (it.metrics.value(ENDED, account="peer", reason="unbound_by_carrier") or 0) >= 2


@pytest.mark.parametrize("habit", ["drops", "garbage"])
async def test_what_was_written_when_the_line_broke_may_have_left(habit: str) -> None:
    async with bound({"smpp": {habit: 1.0}, "latency_ms": {"kind": "uniform", "min": 30, "max": 30}}) as (carriers, it):
        outcomes = await asyncio.gather(*(it.send() for _ in range(5)))
        broken = [each for each in outcomes if isinstance(each, Silence)]
        assert broken and all(each.may_have_left for each in broken)
        await carriers.behave("north", smpp={})
        await it.ready()
        assert kinds([await it.send()]) == ["accepted"]


async def test_nothing_is_written_where_nobody_is_bound() -> None:
    [port] = free_ports(1)
    async with esme(account_at(f"smpp://127.0.0.1:{port}")) as it:
        assert await it.send() == Silence(False, "not_connected")


@asynccontextmanager
async def smsc(refused: Command, *, then_unbinds: bool = False) -> AsyncIterator[str]:
    """An SMSC that refuses one way of binding and answers no message; to the first one it says goodbye, if so told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        with suppress(OSError):
            while data := await reader.read(4_096):
                for unit in map(decode, frames.feed(data)):
                    binds = unit.command in (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER)
                    if binds:
                        status = 0x0E if unit.command == refused else 0
                        writer.write(encode(Pdu(unit.command | RESPONSE, status, unit.sequence)))
                    if unit.command == Command.UNBIND:
                        writer.write(encode(Pdu(Command.UNBIND | RESPONSE, sequence=unit.sequence)))
                    if unit.command == Command.SUBMIT_SM and then_unbinds:
                        writer.write(encode(Pdu(Command.UNBIND, sequence=1)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"smpp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_refused_password_is_told_at_once_although_the_connection_for_receipts_is_let_in() -> None:
    async with smsc(Command.BIND_TRANSMITTER) as url, esme(account_at(url, options={"bind": "tx+rx"})) as it:
        await it.ready()
        await it.ended("bind_refused_0x0e")
        assert it.line.ready, "whoever is refused is told so, and nobody waits"
        assert kinds([await it.send()]) == ["account"]


async def test_a_carrier_that_has_said_goodbye_is_offered_nothing_more_while_it_owes_an_answer() -> None:
    async with smsc(Command.BIND_RECEIVER, then_unbinds=True) as url, esme(account_at(url)) as it:
        await it.ready()
        assert it.line.ready
        unanswered = asyncio.create_task(_settled(it.send()))

        async def is_left() -> bool:
            return not it.line.ready

        await eventually(is_left, within_s=4, what="a line that is not ready")
        assert it.metrics.value("watchword_dispatch_connections_size", account="peer") == 1, "the answer is waited for"
        await it.line.close()
        assert kinds([await unanswered]) == ["unbound_by_carrier"]


async def test_a_gate_that_closes_while_a_message_waits_for_room_keeps_it_from_being_written() -> None:
    slow = {"latency_ms": {"kind": "uniform", "min": 200, "max": 200}}
    async with bound(slow, options={"window": "1"}) as (carriers, it):
        first = asyncio.create_task(_settled(it.send()))
        await _asked(carriers, 1)
        message = Message(client_ref="x", to="+919876543211", text="late", sender="", life_s=1, at=datetime.now(UTC))
        late = await it.line.message(message)(Gate(lambda: "too_late"), 5.0)
        assert kinds([await first, late]) == ["accepted", "too_late"]
        assert await carriers.inbox("+919876543211") == []


async def test_whose_code_is_over_soonest_goes_first_where_the_window_is_full() -> None:
    lives_s = {"+919876543211": 90, "+919876543212": 40, "+919876543213": 60}
    slow = {"latency_ms": {"kind": "uniform", "min": 100, "max": 100}}
    async with bound(slow, options={"window": "1"}) as (carriers, it):
        first = asyncio.create_task(_settled(it.send()))
        await _asked(carriers, 1)
        outcomes = await asyncio.gather(*(it.send(to=number, life_s=life_s) for number, life_s in lives_s.items()))
        assert kinds([await first, *outcomes]) == ["accepted"] * 4
        arrived = {number: [sms.time for sms in await carriers.inbox(number)] for number in lives_s}
        assert sorted(lives_s, key=lambda number: arrived[number]) == sorted(lives_s, key=lambda each: lives_s[each])


async def _settled(sending: Any) -> Any:
    return await sending


async def _asked(carriers: Carriers, count: int) -> None:
    async def enough() -> bool:
        return len((await carriers.ledger_of("north")).calls) >= count

    await eventually(enough, within_s=20, what=f"{count} submissions")


async def test_a_report_that_is_not_kept_is_told_again_until_it_is() -> None:
    class Forgetful(Esme):
        def take(self, account: Account, report: bytes, settle: Settle) -> None:
            self.reports.append(report)
            settle(kept=len(self.reports) > 2)

    async with simulated(smpp_port=0) as carriers:
        await carriers.behave("north", receipt_backoff_ms=10)
        account = account_at(carriers.smpp_url, options={"system_id": "north"})
        async with esme(account, Forgetful) as it:
            await it.ready()
            await it.send()

            async def taken() -> bool:
                return (await carriers.receipts_of("north")).posted == 1

            await eventually(taken, within_s=20, what="a receipt that was taken")
            counts = await carriers.receipts_of("north")
    assert (len(it.reports), counts.retried, len(set(it.reports))) == (3, 2, 1)


async def test_with_kafka_and_postgres_both_away_the_carrier_keeps_its_receipt(tmp_path: Path) -> None:
    metrics = Metrics()
    async with _nobody(tmp_path, DispatchMetrics(metrics)) as reports, simulated(smpp_port=0) as carriers:
        await carriers.behave("north", receipt_backoff_ms=10)
        account = account_at(carriers.smpp_url, options={"system_id": "north"})
        async with esme(account, take=reports.take) as it:
            await it.ready()
            await it.send()

            async def refused() -> bool:
                return (metrics.value("watchword_dispatch_reports_total", account="peer", outcome="refused") or 0) >= 2

            await eventually(refused, within_s=15, what="a receipt that was refused twice")
            counts = await carriers.receipts_of("north")
    assert (counts.posted, counts.pending) == (0, 1)
    assert counts.retried >= 1


@asynccontextmanager
async def _nobody(directory: Path, metrics: DispatchMetrics) -> AsyncIterator[Reports]:
    """Reports, kept as dispatch keeps them, with a Kafka and a Postgres that are not there."""
    keyring.create(directory / "keyring.json", datetime.now(UTC))
    kafka, database = free_ports(2)
    publisher = Publisher(Cluster(bootstrap=f"127.0.0.1:{kafka}"), client_id="test")
    pool = await asyncpg.create_pool(f"postgresql://nobody@127.0.0.1:{database}/none", min_size=0, timeout=2)
    keeper = Keeper(
        "dispatch",
        publisher=publisher,
        pool=pool,
        keyring=Keyring.load(directory / "keyring.json", {Purpose.RECEIPT}),
        clock=WallClock(),
        publish_deadline_s=0.5,
    )
    reports = Reports(keeper, metrics)
    await reports.start()
    try:
        yield reports
    finally:
        await reports.stop()
        await publisher.stop()
        await pool.close()


async def test_leaving_waits_for_the_answers_that_are_owed() -> None:
    slow = {"latency_ms": {"kind": "uniform", "min": 300, "max": 300}}
    async with bound(slow) as (carriers, it):
        sending = [asyncio.create_task(_settled(it.send())) for _ in range(4)]
        await _asked(carriers, 4)
        await it.line.close()
        assert kinds([await each for each in sending]) == ["accepted"] * 4
        assert it.metrics.value(ENDED, account="peer", reason="unbound") == 1


async def test_a_silent_answer_is_given_up_in_time() -> None:
    async with bound({"timeouts_after": 1.0}, timeout_ms=300) as (_, it):
        assert await it.send() == Silence(True, "no_answer")


async def test_over_tls_a_certificate_is_asked_for_and_believed_only_from_whom_we_trust(tmp_path: Path) -> None:
    certificate = await _certificate(tmp_path)
    async with (
        simulated(smpp_port=0) as carriers,
        _wrapped(carriers.smpp_url, certificate, tmp_path / "key.pem") as port,
    ):
        trusted = {"system_id": "north", "tls_ca": str(certificate), "tls_server_name": "smsc.test"}
        async with esme(account_at(f"smpps://127.0.0.1:{port}", options=trusted)) as it:
            await it.ready()
            assert kinds([await it.send()]) == ["accepted"]
            await it.reported(1)
        for change in ({"tls_server_name": "other.test"}, {"tls_ca": ""}, {"tls_ca": "/nowhere.pem"}):
            async with esme(account_at(f"smpps://127.0.0.1:{port}", options=trusted | change)) as it:
                assert await it.send() == Silence(False, "not_connected"), change


async def _certificate(directory: Path) -> Path:
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem"), "-subj", "/CN=smsc.test",
        "-addext", "subjectAltName=DNS:smsc.test", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await asyncio.wait_for(made.wait(), 20) == 0
    return directory / "cert.pem"


@asynccontextmanager
async def _wrapped(url: str, certificate: Path, key: Path) -> AsyncIterator[int]:
    """TLS in front of a plain SMSC; answers its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    passing: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        ways = (_pass(reader, there[1]), _pass(there[0], writer))
        passing.update(asyncio.create_task(way) for way in ways)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        if passing:
            await asyncio.wait(passing, timeout=5)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


async def test_an_account_that_cannot_be_used_says_so_to_every_message() -> None:
    async with esme(account_at("smpp://127.0.0.1", options={"window": "none"})) as it:
        with pytest.raises(ValueError, match="window"):
            await it.send()
