"""callbacks as a process of its own, killed as by a power cut, and the operator who asks for a delivery again."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tests.support.alone import KILLED, alone, died
from tests.support.callbacks import configure, ended, endpoint, id_of, states, tell
from tests.support.commands import environment
from tests.support.deaths import points
from tests.support.pipeline import Pipeline
from tests.support.receiver import Reply, receiver
from watchword.events import topics
from watchword.events.callback_delivered import CallbackDelivered
from watchword.events.verification import Facts

NUMBERS = ("+919876543210", "+919876543211")
STEP = points("callbacks", "decoded", "gathered", "acted", "committed", "published", "offsets_committed")
LANES = (*points("callbacks", "claimed", "answered", "concluding", "concluded"), "callbacks-results.published")
CALLS = {"WATCHWORD_CALLBACKS_ALLOW_LOCAL": "true", "WATCHWORD_CALLBACKS_TIMEOUT_S": "0.5"}


def calling(stand: Pipeline, point: str = "") -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """`watchword run callbacks`, told to call this machine."""
    return alone(stand, "callbacks", point=point, **CALLS)


async def redeliver(stand: Pipeline, *words: str) -> dict[str, object]:
    """What `watchword callbacks redeliver … --json` prints."""
    command = (sys.executable, "-m", "watchword", "callbacks", "redeliver", *words, "--json")
    process = await asyncio.create_subprocess_exec(
        *command, env={**environment(stand), **CALLS}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
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
        pytest.param("callbacks.concluded", 1, marks=pytest.mark.slow),
    ],
)
async def test_whoever_dies_on_the_way_has_it_delivered_under_the_same_id(
    stand: Pipeline, point: str, calls: int
) -> None:
    about = await ended(stand, at=datetime.now(UTC))
    async with receiver() as shop:
        await configure(stand, endpoint(shop.url))
        async with calling(stand, point) as process:
            await tell(stand, about)
            assert await died(process) == KILLED
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


@dataclass(frozen=True)
class Deaths:
    """How each life ended, the ending it was to tell, every webhook-id that was called, and the ids of the events that
    tell of each ending: of its delivery, and of its result on a topic."""

    codes: dict[str, int | None]
    about: dict[str, Facts]
    called: Sequence[str]
    delivered: Counter[str]
    results: Counter[str]


@pytest_asyncio.fixture(scope="module")
async def deaths(lasting_stand: Pipeline) -> Deaths:
    """One life after another, each with an ending of its own to tell; and one that does what they left."""
    stand = lasting_stand
    codes: dict[str, int | None] = {}
    about: dict[str, Facts] = {}
    async with receiver() as shop:
        await configure(stand, endpoint(shop.url))
        for number, point in enumerate((*STEP, *LANES)):
            said = {"number": f"+9198765433{number:02d}", "request_id": f"request-{number}"}
            about[point] = await ended(stand, at=datetime.now(UTC), **said)
            await tell(stand, about[point])
            async with calling(stand, point) as process:
                codes[point] = await died(process)
        async with calling(stand), stand.running("timers"):
            await states(stand, wanted={"delivered": 2 * len(about)})
            await stand.told(topics.LIFECYCLE, count=len(about), name=CallbackDelivered.NAME)
            await stand.outbox_is_empty()
        called = shop.ids
    of_deliveries = {
        (each.key, each.envelope.id)
        for each in await stand.read(topics.LIFECYCLE)
        if each.event.NAME == CallbackDelivered.NAME
    }
    of_results = {(each.envelope.subject, each.envelope.id) for each in await stand.read(topics.RESULTS)}
    return Deaths(codes, about, called, Counter(one for one, _ in of_deliveries), Counter(one for one, _ in of_results))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", (*STEP, *LANES))
async def test_whoever_dies_anywhere_has_it_delivered_and_told_once(deaths: Deaths, point: str) -> None:
    """The endpoint may be called once more for each life that ended with it in hand, always under the event's id; an
    event that is published again is the same one."""
    assert deaths.codes[point] == KILLED, f"nothing came to {point}"
    verification = str(deaths.about[point].verification_id)
    assert set(deaths.called) == {str(id_of(about)) for about in deaths.about.values()}
    assert (deaths.delivered[verification], deaths.results[verification]) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["callbacks.results_told"])
async def test_whoever_dies_over_results_that_waited_for_their_topic_has_them_told_once(
    stand: Pipeline, point: str
) -> None:
    await configure(stand)
    about = await ended(stand, at=datetime.now(UTC), tenant="press")
    await stand.connection.execute(
        "INSERT INTO callback_deliveries (verification_id, event_id, endpoint, tenant, event, body, state, told_at, "
        "begun_at, next_at, expires_at, gives_up_at) "
        "VALUES ($1, $2, '', 'press', 'verification-ended', '', 'pending', now(), now(), now(), now(), now())",
        about.verification_id, id_of(about),
    )  # fmt: skip
    async with calling(stand, point) as process:
        assert await died(process) == KILLED
    async with calling(stand), stand.running("timers"):
        await states(stand, wanted={"delivered": 1})
        [told] = await stand.told("press.results", count=1)
        await stand.outbox_is_empty()
    assert told.envelope.subject == str(about.verification_id)
    assert len({each.envelope.id for each in await stand.read("press.results")}) == 1


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
