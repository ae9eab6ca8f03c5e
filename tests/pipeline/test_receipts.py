"""receipts with its door and its matcher, between real Kafka and real Postgres: nothing a carrier said is lost."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import orjson
import pytest

from tests.support.alone import KILLED, alone, died
from tests.support.door import Answered, Caller, calling
from tests.support.pipeline import PATIENCE_S, OwnKafka, Pipeline
from tests.support.rows import attempt, issued
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.local.ports import LOOPBACK, free_ports

CONFIGURATION = Path(__file__).with_name("receipts.toml")
NUMBER = "+919876543210"


@asynccontextmanager
async def receiving(stand: Pipeline, *, names: str = "receipts") -> AsyncIterator[Caller]:
    """The worker with a carriers' door of its own, and a carrier."""
    await stand.configure(CONFIGURATION)
    [port] = free_ports(1)
    async with stand.running(names, receipts_http_port=port), calling(f"http://{LOOPBACK}:{port}") as carrier:
        yield carrier


def signed(body: bytes, secret: str = "callback-secret-1", at: datetime | None = None) -> str:
    told_at = int((at or datetime.now(UTC)).timestamp())
    mac = hmac.new(secret.encode(), f"{told_at}.".encode() + body, "sha256").hexdigest()
    return f"t={told_at},v1={mac}"


async def report(carrier: Caller, *events: dict[str, Any], account: str = "echo-1", **headers: str) -> Answered:
    body = orjson.dumps({"events": [{"number": NUMBER} | event for event in events]})
    return await carrier.send("POST", f"/receipts/{account}", body, **({"X_Echo_Signature": signed(body)} | headers))


async def recorded(stand: Pipeline, count: int) -> list[ReceiptRecorded]:
    told = await stand.told(topics.LIFECYCLE, count=count, name="receipt-recorded")
    return [each.event for each in told if isinstance(each.event, ReceiptRecorded)]


async def accepted(stand: Pipeline, **columns: Any) -> UUID:
    about = await issued(stand)
    told = {"state": "accepted", "account": "echo-1", "gateway": "echo", "provider_id": "m-1"}
    return await attempt(stand, about, **(told | columns))


async def test_a_signed_report_is_kept_sealed_and_recorded(stand: Pipeline) -> None:
    ours = await accepted(stand)
    async with receiving(stand) as carrier:
        answer = await report(carrier, {"id": "m-1", "client_ref": str(ours), "state": "delivered", "code": "000"})
        [event] = await recorded(stand, 1)
        await stand.outbox_is_empty()
    assert (answer.status, answer.body) == (200, b"")
    assert (event.attempt_id, event.state, event.account, event.raw_code) == (ours, "delivered", "echo-1", "000")
    [kept] = await stand.read(topics.RECEIPTS)
    assert isinstance(kept.event, ReceiptReceived)
    assert (kept.key, kept.event.client_ref, kept.event.provider_id) == ("echo-1/m-1", str(ours), "m-1")
    assert NUMBER.encode() not in (kept.value or b"")
    row = await stand.row("SELECT receipt_state, receipt_rank FROM attempts")
    assert tuple(row) == ("delivered", 90)


async def test_repeats_and_disorder_end_in_the_highest_state_told_once(stand: Pipeline) -> None:
    ours = await accepted(stand)
    async with receiving(stand) as carrier:
        for state in ("delivered", "submitted", "delivered", "enroute", "undelivered", "delivered"):
            await report(carrier, {"id": "m-1", "state": state})
        last = await report(carrier, {"client_ref": str(ours), "state": "delivered"})
        await recorded(stand, 1)
        await stand.outbox_is_empty()
    told = await recorded(stand, 1)
    assert last.status == 200
    assert [event.state for event in told] == ["delivered"]
    assert (await stand.row("SELECT state, seq FROM verifications"))["state"] == "issued"


async def test_one_callback_with_several_reports_is_taken_apart(stand: Pipeline) -> None:
    first, second = await accepted(stand), await accepted(stand, provider_id="m-2")
    async with receiving(stand) as carrier:
        await report(
            carrier,
            {"id": "m-1", "state": "delivered"},
            {"id": "m-2", "state": "undelivered"},
            {"id": "m-1", "state": "enroute"},
        )
        told = await recorded(stand, 2)
    assert {(event.attempt_id, event.state) for event in told} == {(first, "delivered"), (second, "undelivered")}


async def test_a_report_that_comes_before_the_providers_id_is_known_is_matched_later(stand: Pipeline) -> None:
    ours = await accepted(stand, state="sending", provider_id="")
    async with receiving(stand) as carrier:
        await report(carrier, {"id": "m-1", "state": "delivered"})

        async def parked() -> bool:
            return bool(await stand.connection.fetchval("SELECT count(*) FROM receipts_parked"))

        await eventually(parked, within_s=PATIENCE_S, what="a parked receipt")
        await stand.connection.execute("UPDATE attempts SET state = 'accepted', provider_id = 'm-1'")
        [event] = await recorded(stand, 1)
        await stand.outbox_is_empty()
    assert (event.attempt_id, event.state) == (ours, "delivered")
    assert not await parked()


async def test_a_report_shows_that_an_attempt_of_unknown_end_left(stand: Pipeline) -> None:
    ours = await accepted(stand, state="unknown", provider_id="")
    async with receiving(stand) as carrier:
        await report(carrier, {"id": "m-7", "client_ref": str(ours), "state": "submitted"})
        await recorded(stand, 1)
    assert tuple(await stand.row("SELECT state, provider_id FROM attempts")) == ("accepted", "m-7")


async def test_forged_and_stale_callbacks_are_refused_alike_and_leave_nothing(stand: Pipeline) -> None:
    ours = await accepted(stand)
    body = orjson.dumps({"events": [{"id": "m-1", "client_ref": str(ours), "state": "delivered"}]})
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    signatures = ["", "t=1,v1=00", signed(body, "wrong"), signed(body + b" "), signed(body, at=hour_ago)]
    async with receiving(stand) as carrier:
        answers = [await carrier.send("POST", "/receipts/echo-1", body, X_Echo_Signature=one) for one in signatures]
        other = await carrier.send("POST", "/receipts/echo-2", body, X_Echo_Signature=signed(body))
    assert {(each.status, each.body) for each in [*answers, other]} == {(403, answers[0].body)}
    assert answers[0].json["code"] == "signature_invalid"
    assert await stand.records(topics.RECEIPTS) == []
    assert await stand.connection.fetchval("SELECT count(*) FROM outbox") == 0


async def test_an_account_nobody_has_is_not_found(stand: Pipeline) -> None:
    async with receiving(stand) as carrier:
        answers = [await report(carrier, {"id": "m-1"}, account=name) for name in ("nobody", "..%2fadmin", "%00")]
    assert {each.status for each in answers} == {404}


HOSTILE = {
    "empty": b"",
    "not JSON": b"\xff\x00\xfe garbage",
    "another shape": b'{"events":"delivered"}',
    "no reference": b'{"events":[{"state":"delivered"}]}',
    "nested deeply": b'{"events":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
}


async def test_signed_garbage_is_kept_and_buried_and_the_partition_goes_on(stand: Pipeline) -> None:
    """The signature is right, so the carrier has done its part: what it sent is for a person to look at."""
    ours = await accepted(stand)
    async with receiving(stand) as carrier:
        for what, body in HOSTILE.items():
            answer = await carrier.send("POST", "/receipts/echo-1", body, X_Echo_Signature=signed(body))
            assert answer.status == 200, what
        await report(carrier, {"client_ref": str(ours), "state": "delivered"})
        await recorded(stand, 1)

        async def buried() -> bool:
            return len(await stand.records(topics.dead(topics.RECEIPTS))) == len(HOSTILE)

        await eventually(buried, within_s=PATIENCE_S, what="a dead letter for each")
    letters = await stand.records(topics.dead(topics.RECEIPTS))
    assert {dict(letter.headers)["wwd_reason"] for letter in letters} == {b"unreadable_receipt"}


async def test_a_body_beyond_64_kib_and_odd_headers_are_refused_with_a_problem(stand: Pipeline) -> None:
    large = b'{"events":[],"x":"' + b"x" * 70_000 + b'"}'
    async with receiving(stand) as carrier:
        answer = await carrier.send("POST", "/receipts/echo-1", large, X_Echo_Signature=signed(large))
        odd = await carrier.send("POST", "/receipts/echo-1", b"{}", X_Echo_Signature="t=\u0661,v1=\u0661")
        put = await carrier.send("PUT", "/receipts/echo-1", b"{}")
        get = await carrier.send("GET", "/receipts/echo-1?id=m-1&state=delivered")
    assert [each.status for each in (answer, odd, put, get)] == [413, 403, 405, 403]
    assert {each.headers["Content-Type"] for each in (answer, odd, put, get)} == {"application/problem+json"}


async def test_while_kafka_is_silent_reports_go_into_postgres_and_out_again_when_it_is_back(
    own_kafka: OwnKafka,
) -> None:
    stand, broker = own_kafka.stand, own_kafka.broker
    ours = await accepted(stand)
    async with receiving(stand, names="receipts,timers") as carrier:
        broker.freeze()
        try:
            kept = await report(carrier, {"id": "m-1", "state": "delivered"})
            waiting = await stand.connection.fetch("SELECT topic FROM outbox")
            async with stand.connection.transaction():
                await stand.connection.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
                lost = await report(carrier, {"id": "m-1", "state": "enroute"})
        finally:
            broker.thaw()
        [event] = await recorded(stand, 1)
        await stand.outbox_is_empty()
    assert (kept.status, [row["topic"] for row in waiting]) == (200, ["otp.receipts.v1"])
    assert (lost.status, lost.json["code"]) == (503, "unavailable")
    assert (event.attempt_id, event.state) == (ours, "delivered")


@pytest.mark.parametrize("reference", ["", "0197a3c1-5b1e-7c4d-9f00-5d2f6a1b7c88", "not-a-uuid", "0" * 128])
async def test_a_report_of_nothing_we_know_is_parked_and_answered_like_any_other(
    stand: Pipeline, reference: str
) -> None:
    async with receiving(stand) as carrier:
        answer = await report(carrier, {"id": "m-404", "client_ref": reference, "state": "delivered"})

        async def parked() -> list[Any]:
            return await stand.connection.fetch("SELECT account, provider_id FROM receipts_parked")

        [row] = await eventually(parked, within_s=PATIENCE_S, what="a parked receipt")
    assert (answer.status, answer.body) == (200, b"")
    assert tuple(row) == ("echo-1", "m-404")


@pytest.mark.slow
@pytest.mark.parametrize("point", ["receipts.unparked", "receipts-parked.published"])
async def test_receipts_dies_with_a_parked_report_in_hand_and_it_is_recorded_once(stand: Pipeline, point: str) -> None:
    ours = await accepted(stand, state="sending", provider_id="")
    async with receiving(stand) as carrier:
        await report(carrier, {"id": "m-1", "state": "delivered"})
        await eventually(partial(parked_reports, stand), within_s=PATIENCE_S, what="a parked receipt")
    await stand.connection.execute("UPDATE attempts SET state = 'accepted', provider_id = 'm-1'")
    await stand.connection.execute("UPDATE receipts_parked SET look_at = now()")
    [port] = free_ports(1)
    async with alone(stand, "receipts", point=point, WATCHWORD_RECEIPTS_HTTP_PORT=str(port)) as process:
        assert await died(process) == KILLED
    async with receiving(stand, names="receipts,timers"):
        await recorded(stand, 1)
        await stand.outbox_is_empty()
    told = await stand.told(topics.LIFECYCLE, count=1, name="receipt-recorded")
    assert {(each.event.attempt_id, each.envelope.sequence) for each in told} == {(ours, 4)}  # type: ignore[attr-defined]
    assert len({each.envelope.id for each in told}) == 1
    assert not await parked_reports(stand)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["receipts.detoured"])
async def test_receipts_dies_with_a_report_that_went_round_a_silent_kafka_and_it_is_recorded_once(
    own_kafka: OwnKafka, point: str
) -> None:
    """The carrier heard nothing, so it reports again."""
    stand, said = own_kafka.stand, {"id": "m-1", "state": "delivered"}
    ours = await accepted(stand)
    await stand.configure(CONFIGURATION)
    [port] = free_ports(1)
    async with (
        alone(stand, "receipts", point=point, WATCHWORD_RECEIPTS_HTTP_PORT=str(port)) as process,
        calling(f"http://{LOOPBACK}:{port}") as carrier,
    ):
        await eventually(partial(is_open, carrier), within_s=PATIENCE_S, what="the door to be open")
        own_kafka.broker.freeze()
        try:
            with pytest.raises(aiohttp.ClientError):
                await report(carrier, said)
            assert await died(process) == KILLED
            kept = await stand.connection.fetch("SELECT topic FROM outbox")
        finally:
            own_kafka.broker.thaw()
    assert [row["topic"] for row in kept] == ["otp.receipts.v1"]
    async with receiving(stand, names="receipts,timers") as carrier:
        assert (await report(carrier, said)).status == 200
        await recorded(stand, 1)
        await stand.outbox_is_empty()
    [event] = await recorded(stand, 1)
    assert (event.attempt_id, event.state) == (ours, "delivered")


async def is_open(carrier: Caller) -> bool:
    try:
        await carrier.send("GET", "/")
    except aiohttp.ClientError:
        return False
    return True


async def parked_reports(stand: Pipeline) -> int:
    return int(await stand.connection.fetchval("SELECT count(*) FROM receipts_parked"))
