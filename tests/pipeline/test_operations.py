"""What operators see of the real processes: metrics pages, lag of a dead worker, `top`, `doctor`, readiness."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from tests.support import command_line
from tests.support import stack as stacks
from tests.support.generator import Load, generator
from tests.support.metrics_page import NEEDS_PROMTOOL, flaws, promtool
from tests.support.platform import Platform, fresh_number, platform_of
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.flow import GROUPS
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack
from watchword.operations.pages import Page, known_ports, read_pages

LOAD = Load(count=40, rate_per_s=20, first_number=919_711_000_000)
SECONDS = 10.0
SLOW_MS = {"kind": "uniform", "min": 3_000, "max": 3_000}

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module")
async def stack(servers_directory: Path) -> AsyncIterator[Stack]:
    """Everything, for the tests of this file alone, after a small load."""
    plan = Plan(
        directory=servers_directory / "operations",
        kafka=Kind.APACHE,
        environment={"WATCHWORD_TIMERS_LAG_PAUSE_S": "0.3", "WATCHWORD_TIMERS_SWEEP_AFTER_S": "1"},
    )
    async with stacks.running(plan) as running:
        async with generator(api=running.api_url, key=running.api_key, simulator=running.simulator_url) as users:
            told = await users.run(LOAD)
        assert [each.result for each in told] == ["approved"] * LOAD.count
        yield running


@pytest_asyncio.fixture
async def platform(stack: Stack) -> AsyncIterator[Platform]:
    async with platform_of(stack) as made:
        yield made


def ports(stack: Stack) -> tuple[str, ...]:
    """The operations ports, as `watchword top` finds them."""
    return known_ports((), stack.plan.directory / "ports.json")


async def texts(stack: Stack) -> list[str]:
    """Every metrics page as it is served."""
    async with aiohttp.ClientSession() as session:
        found = []
        for url in ports(stack):
            async with session.get(f"{url}/metrics") as answer:
                found.append(await answer.text())
        return found


async def valued(stack: Stack, name: str, **labels: str) -> list[float]:
    """The samples of one metric over all processes."""
    pages = await read_pages(ports(stack))
    return [
        sample.value
        for page in pages
        for sample in page.of(name)
        if all(sample.labels.get(label) == value for label, value in labels.items())
    ]


async def watchword(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command as an operator of this stack types it."""
    program = stack.children["codes"].program
    environment = {**(program.environment or {}), "COLUMNS": "160"}
    for name in ("WATCHWORD_OPS_PORT", "WATCHWORD_FAILPOINTS"):
        environment.pop(name, None)
    return await asyncio.to_thread(partial(command_line.run, *words, environment=environment))


# Metrics -------------------------------------------------------------------------------------------------------------


async def test_every_page_keeps_to_the_rules_and_to_its_budget_of_series(stack: Stack) -> None:
    pages = await texts(stack)
    assert len(pages) == len(stack.children)
    assert [flaws(page) for page in pages] == [[] for _ in pages]
    assert not any(LOAD.number(index)[1:] in page for page in pages for index in range(LOAD.count))


async def test_promtool_has_nothing_to_say_of_any_page(stack: Stack) -> None:
    tool = promtool()
    if tool is None:
        pytest.skip(NEEDS_PROMTOOL)
    for page in await texts(stack):
        told = await asyncio.to_thread(
            subprocess.run,
            [tool, "check", "metrics"],
            input=page,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "labels", "least"),
    [
        ("watchword_intake_requests_total", {"outcome": "accepted"}, LOAD.count),
        ("watchword_runtime_events_total", {"stage": "codes", "outcome": "done"}, LOAD.count),
        ("watchword_runtime_events_total", {"stage": "dispatch", "outcome": "done"}, LOAD.count),
        ("watchword_runtime_events_total", {"stage": "judge", "outcome": "done"}, 1),
        ("watchword_runtime_age_seconds_count", {"stage": "receipts"}, 1),
        ("watchword_runtime_batch_seconds_count", {"stage": "fraud"}, 1),
        ("watchword_runtime_publish_seconds_count", {"stage": "codes"}, 1),
        ("watchword_runtime_rebalances_total", {"stage": "codes"}, 1),
        ("watchword_runtime_rebalances_total", {"stage": "judge"}, 1),
        ("watchword_runtime_assigned_size", {"stage": "codes"}, 4),
        ("watchword_runtime_assigned_size", {"stage": "dispatch"}, 16),
        ("watchword_runtime_assigned_size", {"stage": "judge"}, 4),
        ("watchword_dispatch_attempts_total", {"outcome": "accepted", "account": "alpha"}, LOAD.count),
        ("watchword_dispatch_call_seconds_count", {"account": "alpha"}, LOAD.count),
        ("watchword_dispatch_rate_level", {"account": "alpha"}, 1),
        ("watchword_dispatch_cost_micros_total", {"account": "alpha"}, 1),
        ("watchword_checks_answers_total", {"outcome": "approved"}, LOAD.count),
        ("watchword_receipts_callbacks_total", {"account": "alpha"}, 1),
        ("watchword_runtime_ready_state", {"check": "kafka"}, 1),
    ],
    ids=lambda told: told if isinstance(told, str) else "-".join(told.values()) if isinstance(told, dict) else None,
)
async def test_what_happened_was_counted(stack: Stack, name: str, labels: dict[str, str], least: int) -> None:
    assert sum(await valued(stack, name, **labels)) >= least


async def test_nothing_is_late_or_held_or_broken_after_the_load(stack: Stack) -> None:
    async def calm() -> bool:
        used = await valued(stack, "watchword_runtime_deadline_used_ratio")
        held = await valued(stack, "watchword_runtime_held_size")
        return len(used) >= len(GROUPS) and not any([*used, *held])

    await eventually(calm, within_s=SECONDS, what="no stage to be late")
    assert await valued(stack, "watchword_dispatch_breaker_state", account="alpha") == [0]
    assert await valued(stack, "watchword_dispatch_late_sends_total") == [0]


async def test_a_carrier_that_takes_its_time_shows_as_deadline_used(stack: Stack, platform: Platform) -> None:
    for carrier in ("alpha", "beta"):
        await platform.carriers.behave(carrier, latency_ms=SLOW_MS)
    try:
        await platform.started(fresh_number())

        async def late() -> bool:
            oldest = max(await valued(stack, "watchword_runtime_oldest_seconds", stage="dispatch"))
            used = max(await valued(stack, "watchword_runtime_deadline_used_ratio", stage="dispatch"))
            return oldest >= 1 and 1 / 300 < used < 0.1

        await eventually(late, within_s=SECONDS, what="dispatch to be seen waiting")
    finally:
        for carrier in ("alpha", "beta"):
            await platform.carriers.behave_as_at_birth(carrier)

    async def done() -> bool:
        return max(await valued(stack, "watchword_runtime_oldest_seconds", stage="dispatch")) == 0

    await eventually(done, within_s=SECONDS, what="dispatch to have nothing in hand")


# Lag -----------------------------------------------------------------------------------------------------------------


async def test_the_map_names_every_group_that_the_broker_knows(stack: Stack) -> None:
    admin = AIOKafkaAdminClient(**stack.cluster.options())
    await admin.start()
    try:
        known = {name for name, _ in await admin.list_consumer_groups()}
    finally:
        await admin.close()
    assert known == set(GROUPS)


async def test_lag_tells_of_a_worker_that_is_dead(stack: Stack, platform: Platform) -> None:
    where = {"group": "codes", "topic": topics.ASSESSMENTS}

    async def lag() -> tuple[float, float]:
        sizes = await valued(stack, "watchword_lag_waiting_size", **where)
        return max(sizes), max(await valued(stack, "watchword_lag_oldest_seconds", **where))

    async def none() -> bool:
        return await lag() == (0, 0)

    await eventually(none, within_s=SECONDS, what="no lag")
    await asyncio.to_thread(stack.terminate, "codes")
    for _ in range(3):
        await platform.started(fresh_number())

    async def behind() -> bool:
        size, oldest_s = await lag()
        return size == 3 and 1.5 <= oldest_s <= SECONDS

    await eventually(behind, within_s=SECONDS, what="three records that nobody reads")
    await asyncio.to_thread(stack.restart, "codes")
    await asyncio.to_thread(stack.await_ready, "codes")
    await eventually(none, within_s=2 * SECONDS, what="no lag again")


# Tools ---------------------------------------------------------------------------------------------------------------


async def test_top_draws_stages_and_accounts_of_the_running_processes(stack: Stack) -> None:
    given = [word for url in ports(stack) for word in ("--ops", url)]
    told, drawn = await asyncio.gather(
        watchword(stack, "top", "--json", "--every", "0.5", *given),
        watchword(stack, "top", "--once", "--every", "0.5", *given),
    )
    seen = json.loads(told.stdout)
    assert {stage["stage"] for stage in seen["stages"]} >= {"intake", "checks", *GROUPS, "outbox", "due_verifications"}
    assert [account["account"] for account in seen["accounts"]] == ["alpha"]
    assert seen["accounts"][0]["outcomes"]["accepted"] >= LOAD.count and seen["accounts"][0]["breaker"] == "closed"
    assert [process["ready"] for process in seen["processes"]] == [True] * len(stack.children)
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert "dispatch" in drawn.stdout and "alpha" in drawn.stdout and "deadline used" in drawn.stdout


async def test_top_without_anybody_to_ask_says_so(stack: Stack) -> None:
    ended = await watchword(stack, "top", "--once", "--every", "0.2", "--ops", "http://127.0.0.1:1")
    assert ended.returncode == 1 and "no process answers" in ended.stderr and "Traceback" not in ended.stderr


async def test_the_doctor_finds_a_healthy_system_well(stack: Stack) -> None:
    ended = await watchword(stack, "doctor", "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["well"]) == (0, True), ended.stdout + ended.stderr
    assert {each["check"] for each in told["findings"]} == {
        "schemas", "keyring", "doors", "broker", "topics", "database", "migrations", "accounts", "routes", "clocks",
    }  # fmt: skip


async def test_the_doctor_finds_what_is_missing_and_says_how_to_mend_it(stack: Stack) -> None:
    admin = AIOKafkaAdminClient(**stack.cluster.options())
    await admin.start()
    try:
        await admin.delete_topics([topics.dead(topics.RECEIPTS)])
    finally:
        await admin.close()
    ended = await watchword(stack, "doctor")
    assert ended.returncode == 1
    assert f"FAIL  topics {topics.dead(topics.RECEIPTS)}: is not there\n      fix: `watchword topics`" in ended.stdout
    assert (await watchword(stack, "topics")).returncode == 0
    assert (await watchword(stack, "doctor")).returncode == 0


# Readiness -----------------------------------------------------------------------------------------------------------


def unready(page: Page, check: str) -> bool:
    """Whether a process says that it is not ready because of `check`."""
    return check in [each.check for each in page.failing]


async def all_pages(stack: Stack, holds: Callable[[Page], bool]) -> list[str]:
    """[] once `holds` of every process, else the processes it does not hold of."""
    return [f"{page.url} {page.failing} {page.problem}" for page in await read_pages(ports(stack)) if not holds(page)]


async def until_all(stack: Stack, holds: Callable[[Page], bool], *, what: str, within_s: float = SECONDS) -> None:
    async def none_left() -> bool:
        return not await all_pages(stack, holds)

    await eventually(none_left, within_s=within_s, what=what)


def statuses(stack: Stack) -> Callable[[], Awaitable[set[int]]]:
    """The statuses that /readyz answers with, over all processes."""

    async def read() -> set[int]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            found: set[int] = set()
            for url in ports(stack):
                async with session.get(f"{url}/readyz") as answer:
                    found.add(answer.status)
            return found

    return read


@pytest.mark.parametrize("server", ["kafka", "database"])
async def test_a_server_that_is_away_makes_everybody_unready_until_it_is_back(stack: Stack, server: str) -> None:
    pids = {name: child.process.pid for name, child in stack.children.items()}
    gone: Any = stack.broker if server == "kafka" else stack.database
    await asyncio.to_thread(gone.freeze if server == "kafka" else gone.stop)
    try:
        await until_all(stack, lambda page: unready(page, server), what=f"everybody to miss {server}")
        assert await statuses(stack)() == {503}
    finally:
        await asyncio.to_thread(gone.thaw if server == "kafka" else gone.restart)
    await until_all(stack, lambda page: not page.failing, what="everybody to be ready again", within_s=4 * SECONDS)
    assert await statuses(stack)() == {200}
    assert {name: child.process.pid for name, child in stack.children.items()} == pids, "nobody was started anew"
