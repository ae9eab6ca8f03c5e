"""`Prefer: wait=N`: a platform that would rather wait hears the outcome in the answer to its start."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from tests.support.intake import Answered, Caller, intake
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.ids import attempt_id

WAIT = {"Prefer": "wait=8"}
PATIENCE_S = 15


@pytest_asyncio.fixture
async def platform(stand: Pipeline) -> AsyncIterator[Caller]:
    async with intake(stand) as caller:
        yield caller


def waiting_start(
    platform: Caller, said: dict[str, str] = WAIT, *, key: str = "shop/all", **body: Any
) -> "asyncio.Task[Answered]":
    asked = {"to": "+919876543210", **body}
    return asyncio.create_task(platform.call("POST", "/v1/verifications", asked, headers=said, key=key))


async def begun(platform: Caller, count: int = 1) -> list[UUID]:
    """The verifications, once that many are there."""

    async def there() -> list[UUID]:
        rows = await platform.stand.connection.fetch("SELECT id FROM verifications ORDER BY id")
        return [row["id"] for row in rows] if len(rows) == count else []

    return await eventually(there, within_s=PATIENCE_S, what=f"{count} verifications")


async def tried(platform: Caller, identity: UUID, send_no: int = 1, state: str = "accepted") -> None:
    """One attempt, as dispatch leaves it."""
    await platform.stand.connection.execute(
        "INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline, state)"
        " VALUES ($1, $2, $3, 1, 1, clock_timestamp(), $4)",
        attempt_id(identity, send_no, 1), identity, send_no, state,
    )  # fmt: skip


async def test_a_start_that_waits_hears_that_the_first_attempt_was_accepted(platform: Caller) -> None:
    waiting = waiting_start(platform)
    [identity] = await begun(platform)
    await tried(platform, identity)
    answer = await waiting
    read = await platform.call("GET", f"/v1/verifications/{identity}")
    assert (answer.status, answer.headers["Preference-Applied"]) == (200, "wait=8")
    assert answer.raw == read.raw
    assert [each["state"] for each in answer.body["attempts"]] == ["accepted"]
    assert answer.body["result"] is None
    assert "RateLimit" in answer.headers


async def test_an_ending_is_told_in_the_same_words_by_the_answer_by_reading_and_on_the_topic(platform: Caller) -> None:
    """Byte for byte: what webhooks carry is held to the topic by the tests of callbacks."""
    async with platform.stand.running("callbacks"):
        waiting = waiting_start(platform, key="told/all", reference="order-7")
        [identity] = await begun(platform)
        cancelled = await platform.call("POST", f"/v1/verifications/{identity}/cancel", {}, key="told/all")
        answer = await waiting
        [told] = await platform.stand.told("results.told", count=1)
    read = await platform.call("GET", f"/v1/verifications/{identity}", key="told/all")
    assert (cancelled.status, answer.status, answer.body["status"]) == (200, 200, "cancelled")
    assert isinstance(told.event, VerificationEnded)
    for said in (answer.raw, read.raw):
        assert b'"result":' + (told.value or b"?") in said
    assert orjson.loads(told.value or b"")["reference"] == "order-7"


async def test_without_an_outcome_in_time_the_answer_is_what_was_accepted(platform: Caller) -> None:
    answer = await waiting_start(platform, {"Prefer": "wait=1"})
    assert (answer.status, answer.headers["Preference-Applied"]) == (202, "wait=1")
    assert answer.body["status"] == "pending" and "attempts" not in answer.body


async def test_an_attempt_under_way_is_no_outcome(platform: Caller) -> None:
    waits = [waiting_start(platform, {"Prefer": "wait=1"}, to=f"+91987654321{n}") for n in range(2)]
    for identity, state in zip(await begun(platform, 2), ("queued", "sending"), strict=True):
        await tried(platform, identity, state=state)
    assert [each.status for each in await asyncio.gather(*waits)] == [202, 202]


async def test_a_resend_waits_for_its_own_attempt_and_not_for_the_one_before(platform: Caller) -> None:
    await waiting_start(platform, {}, policy="brief")
    [identity] = await begun(platform)
    await tried(platform, identity)
    await platform.stand.connection.execute("UPDATE verifications SET next_send_at = clock_timestamp()")
    path = f"/v1/verifications/{identity}/resend"
    early = await platform.call("POST", path, {}, headers={"Prefer": "wait=1", "Idempotency-Key": "second"})
    assert early.status == 202
    await tried(platform, identity, send_no=2, state="rejected")
    later = await platform.call("POST", path, {}, headers={**WAIT, "Idempotency-Key": "second"})
    assert (later.status, [each["state"] for each in later.body["attempts"]]) == (200, ["accepted", "rejected"])


async def test_a_repeated_start_waits_as_the_first_did(platform: Caller) -> None:
    keyed = {**WAIT, "Idempotency-Key": "order-7"}
    await waiting_start(platform, {"Idempotency-Key": "order-7"})
    again = waiting_start(platform, keyed)
    [identity] = await begun(platform)
    await tried(platform, identity)
    answer = await again
    assert (answer.status, answer.headers["Idempotency-Replayed"]) == (200, "true")
    assert answer.body["id"] == str(identity)


async def test_a_refusal_is_told_at_once(platform: Caller) -> None:
    answer = await waiting_start(platform, policy="nobody")
    assert (answer.status, "Preference-Applied" in answer.headers) == (422, False)


async def test_many_who_wait_at_once_hear_each_its_own_outcome(platform: Caller) -> None:
    hearing = [waiting_start(platform, to=f"+9198765{n:05d}", reference="heard") for n in range(50)]
    unheard = [waiting_start(platform, {"Prefer": "wait=1"}, to=f"+9198766{n:05d}") for n in range(50)]
    await begun(platform, 100)
    await platform.stand.connection.execute(
        "INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline, state)"
        " SELECT id, id, 1, 1, 1, clock_timestamp(), 'accepted' FROM verifications WHERE reference = 'heard'"
    )
    answers = await asyncio.gather(*hearing)
    assert {(each.status, each.body["reference"]) for each in answers} == {(200, "heard")}
    assert len({each.body["id"] for each in answers}) == 50
    assert {each.status for each in await asyncio.gather(*unheard)} == {202}


async def test_more_than_may_wait_are_answered_plainly(stand: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_INTAKE_OUTCOMES_WAITING_MAX", "1")
    async with intake(stand) as platform:
        first = waiting_start(platform)
        [identity] = await begun(platform)
        second = await waiting_start(platform, to="+919876543211")
        assert (second.status, "Preference-Applied" in second.headers) == (202, False)
        await tried(platform, identity)
        assert (await first).status == 200
        assert platform.process.metrics.value("watchword_intake_waits_total", outcome="shed") == 1


async def test_who_hangs_up_is_not_waited_for(platform: Caller) -> None:
    waiting = waiting_start(platform)
    await begun(platform)
    waiting.cancel()

    async def dropped() -> bool:
        return platform.process.metrics.value("watchword_intake_waits_total", outcome="gone") == 1

    await eventually(dropped, within_s=20, what="the wait to be dropped")
