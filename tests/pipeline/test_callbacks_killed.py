"""callbacks as a process of its own, killed as by a power cut, and the operator who asks for a delivery again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.callbacks import configure, ended, endpoint, id_of, states, tell
from tests.support.pipeline import Pipeline
from tests.support.receiver import Reply, receiver
from watchword.events import topics
from watchword.events.callback_delivered import CallbackDelivered

CALLBACKS = "from watchword.runtime import process, settings; process.run(settings.load_runtime(), 'callbacks')"
KILLED = 137
NUMBERS = ("+919876543210", "+919876543211")


def environment(stand: Pipeline, failpoints: str = "") -> dict[str, str]:
    told = stand.settings()
    return {
        "WATCHWORD_POSTGRES": told.postgres.get_secret_value(),
        "WATCHWORD_KAFKA": told.kafka,
        "WATCHWORD_KEYRING": told.keyring,
        "WATCHWORD_TOPIC_PREFIX": told.topic_prefix,
        "WATCHWORD_GROUP_PREFIX": told.group_prefix,
        "WATCHWORD_CALLBACKS_ALLOW_LOCAL": "true",
        "WATCHWORD_CALLBACKS_TIMEOUT_S": "0.5",
        "WATCHWORD_FAILPOINTS": failpoints,
    }


@asynccontextmanager
async def calling(stand: Pipeline, failpoints: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """`watchword run callbacks` in a process of its own; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CALLBACKS, env=environment(stand, failpoints), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), 10)


async def redeliver(stand: Pipeline, *words: str) -> dict[str, object]:
    """What `watchword callbacks redeliver … --json` prints."""
    command = (sys.executable, "-m", "watchword", "callbacks", "redeliver", *words, "--json")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(stand), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    told = json.loads(out)
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize(
    ("point", "calls"),
    [
        ("callbacks.claimed", 1),
        ("callbacks.answered", 2),
        ("callbacks.concluded", 1),
    ],
)
async def test_whoever_dies_on_the_way_has_it_delivered_under_the_same_id(
    stand: Pipeline, point: str, calls: int
) -> None:
    about = await ended(stand, at=datetime.now(UTC))
    async with receiver() as shop:
        await configure(stand, endpoint(shop.url))
        async with calling(stand, failpoints=f"{point}:1:kill") as process:
            await tell(stand, about)
            assert await asyncio.wait_for(process.wait(), 45) == KILLED
        async with calling(stand), stand.running("timers"):
            await states(stand, wanted={"delivered": 1})
            [told] = await stand.told(topics.LIFECYCLE, count=1, name="callback-delivered")
            await stand.outbox_is_empty()
    assert shop.ids == [str(id_of(about))] * calls
    assert isinstance(told.event, CallbackDelivered)
    assert told.envelope.sequence == 6
    assert (
        len({each.envelope.id for each in await stand.told(topics.LIFECYCLE, count=1, name="callback-delivered")}) == 1
    )


async def test_an_operator_has_one_event_or_a_span_delivered_again_and_may_look_first(stand: Pipeline) -> None:
    first, second = [await ended(stand, at=datetime.now(UTC), number=number) for number in NUMBERS]
    async with receiver(Reply(200)) as shop:
        await configure(stand, endpoint(shop.url))
        async with calling(stand):
            await tell(stand, first, second)
            await states(stand, wanted={"delivered": 2})
            looked = await redeliver(stand, "--event", str(id_of(first)), "--dry-run")
            told = await redeliver(stand, "--event", str(id_of(first)))
            await shop.called(3)
            await states(stand, wanted={"delivered": 2})
            since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            span = await redeliver(stand, "--endpoint", "shop/main", "--from", since, "--to", until)
            await shop.called(5)
            await stand.told(topics.LIFECYCLE, count=5, name="callback-delivered")
    assert looked == {"found": {"delivered": 1}, "again": 1, "dry_run": True}
    assert told == {"found": {"delivered": 1}, "again": 1, "dry_run": False}
    assert (span["found"], span["again"]) == ({"delivered": 2}, 2)
    assert sorted(shop.ids) == sorted([str(id_of(first))] * 3 + [str(id_of(second))] * 2)


@pytest.mark.parametrize(
    "words",
    [
        ("--event", "not-an-id"),
        ("--endpoint", "main", "--from", "2026-03-02T09:00:00Z", "--to", "2026-03-02T10:00:00Z"),
        ("--endpoint", "shop/main", "--from", "2026-03-02T09:00:00", "--to", "2026-03-02T10:00:00Z"),
        ("--endpoint", "shop/main", "--from", "2026-03-02T09:00:00Z"),
        ("--event", "5f0f6c1a-8f3b-5d0e-9a51-2b7f4c9e1d33", "--endpoint", "shop/main"),
        (),
    ],
)
async def test_words_that_name_no_delivery_are_refused_with_exit_code_2(words: tuple[str, ...]) -> None:
    command = (sys.executable, "-m", "watchword", "callbacks", "redeliver", *words)
    process = await asyncio.create_subprocess_exec(*command, env={}, stderr=asyncio.subprocess.PIPE)
    _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert complaint
