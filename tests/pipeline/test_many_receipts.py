"""Many reports at once, each repeated, all shuffled, some before their attempt is known: every attempt ends as its
carrier said, and nothing is lost."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from tests.pipeline.test_receipts import CONFIGURATION, report
from tests.support.door import Caller, calling
from tests.support.pipeline import Pipeline
from tests.support.rows import issued
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.kernel.ids import attempt_id
from watchword.local.ports import LOOPBACK, free_ports

ENDINGS = ("delivered", "delivered", "delivered", "undelivered", "rejected", "expired", "unknown", "enroute")
EARLY = 0.05
A_CALLBACK = 20
AT_ONCE = 8
TRIES = 4


@pytest.mark.parametrize(
    ("attempts", "within_s"),
    [(500, 60.0), pytest.param(10_000, 500.0, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
async def test_every_attempt_ends_as_its_carrier_said(stand: Pipeline, attempts: int, within_s: float) -> None:
    draw = random.Random(attempts)
    ended = await _sent(stand, attempts, draw)
    early = draw.sample(sorted(ended), int(attempts * EARLY))
    await stand.connection.execute("UPDATE attempts SET state = 'sending', provider_id = '' WHERE id = ANY($1)", early)
    await stand.configure(CONFIGURATION)
    [port] = free_ports(1)
    async with stand.running("receipts", receipts_http_port=port), calling(f"http://{LOOPBACK}:{port}") as carrier:
        await _report_all(carrier, _reports(ended, draw), within_s)
        await stand.connection.execute(
            "UPDATE attempts SET state = 'accepted', provider_id = 'm-' || id WHERE id = ANY($1)", early
        )

        async def settled() -> bool:
            found = await stand.connection.fetch("SELECT id, receipt_state FROM attempts")
            return {row["id"]: row["receipt_state"] for row in found} == ended

        await eventually(settled, within_s=within_s, what="every attempt in its state")
        await _nothing_parked(stand, within_s)
        await stand.outbox_is_empty()
    assert await stand.records(topics.dead(topics.RECEIPTS)) == []
    told = await stand.read(topics.LIFECYCLE)
    assert {(each.event.attempt_id, each.event.state) for each in told} >= set(ended.items())  # type: ignore[attr-defined]
    numbers = await stand.connection.fetchval("SELECT sum(seq - 3) FROM verifications")
    assert len({dict(each.headers)["ce_id"] for each in told}) == numbers


async def _sent(stand: Pipeline, attempts: int, draw: random.Random) -> Mapping[UUID, str]:
    """Accepted attempts, some to a verification, each with the state that its carrier will come to."""
    model = await issued(stand)
    verifications = [UUID(str(uuid7())) for _ in range(attempts // TRIES)]
    await stand.connection.execute(
        "INSERT INTO verifications SELECT (jsonb_populate_record(v, jsonb_build_object('id', t.id))).* "
        "FROM verifications AS v, unnest($2::uuid[]) AS t (id) WHERE v.id = $1",
        model.verification_id, verifications,
    )  # fmt: skip
    rows = [(attempt_id(each, 1, number), each, number) for each in verifications for number in range(1, TRIES + 1)]
    await stand.connection.execute(
        "INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, state, account, gateway, "
        "provider_id, send_deadline) "
        "SELECT id, verification, 1, try_no, 1, 'accepted', 'echo-1', 'echo', 'm-' || id, $4 "
        "FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS t (id, verification, try_no)",
        *(list(column) for column in zip(*rows, strict=True)), datetime.now(UTC) + timedelta(seconds=240),
    )  # fmt: skip
    return {identity: draw.choice(ENDINGS) for identity, _, _ in rows}


def _reports(ended: Mapping[UUID, str], draw: random.Random) -> list[dict[str, str]]:
    """What carriers say on the way and at the end, everything twice and in no order, by their own ids alone."""
    told = [
        {"id": f"m-{identity}", "state": state}
        for identity, ending in ended.items()
        for state in {"submitted", "enroute", ending}
        for _ in range(2)
    ]
    draw.shuffle(told)
    return told


async def _report_all(carrier: Caller, told: Sequence[dict[str, str]], within_s: float) -> None:
    """Post all of it; what the door could not keep is posted again, as carriers do."""
    callbacks = _in_groups(told, A_CALLBACK)

    async def kept(events: Sequence[dict[str, str]]) -> bool:
        status = (await report(carrier, *events)).status
        assert status in (200, 503), "a carrier repeats what is not taken now, and nothing else"
        return status == 200

    async def caller() -> None:
        for events in callbacks:
            await eventually(partial(kept, events), within_s=within_s, what="a callback to be kept")

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


def _in_groups(told: Sequence[dict[str, str]], size: int) -> Iterator[list[dict[str, Any]]]:
    rest = iter(told)
    while group := list(islice(rest, size)):
        yield group


async def _nothing_parked(stand: Pipeline, within_s: float) -> None:
    async def empty() -> bool:
        return not await stand.connection.fetchval("SELECT count(*) FROM receipts_parked")

    await eventually(empty, within_s=within_s, what="no parked report")
