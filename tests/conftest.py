"""What every test may ask for, and what every test is held to.

`broker`, `database_server`: servers the run shares. `database`: a fresh, migrated database. `topic_prefix`: a name
nobody else uses. `stack`, `platform`, `carriers`: every process, running for all stories and all attacks. Held: no
connection beyond this machine, no task left running.
"""

import asyncio
import inspect
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import structlog

from tests.support import kafka, leaks, loopback, postgres, sharing
from tests.support.metrics_page import NEEDS_PROMTOOL
from watchword.local.kafka import Kind

if TYPE_CHECKING:
    from tests.support.carrier import Carriers
    from tests.support.platform import Platform
    from watchword.local.stack import Stack

loopback.refuse_outside_hosts()

# Workers that a test runs in its own process log as nobody told them to. structlog's own choice draws every traceback
# with the values of every frame: ten seconds in which the loop stands still and connections are given up.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

STORIES = Path(__file__).parent / "support" / "stories.toml"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 << 30
_STAND_INS = "watchword_stand_ins"
_stand_ins: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--kafka wheel` shows on any machine what a machine without Java would see."""
    parser.addoption("--kafka", type=Kind, default=Kind.AUTO, choices=list(Kind), help="the broker tests run on")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> sharing.ByFile:
    """`-n 2`: two processes share the files of the run, each with servers of its own."""
    return sharing.ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Longest first; and skips what only Apache Kafka can show when the run is on the wheel."""
    items.sort(key=lambda item: sharing.order_of(item.nodeid))
    marked = [item for item in items if item.get_closest_marker("apache")]
    if not marked or kafka.will_be_apache(config.getoption("--kafka")):
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=kafka.ON_THE_WHEEL))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A stack ends with the last test that may use it."""
    if sharing.share_of(item.nodeid) == sharing.STACKS_SHARE:
        from tests.support import stack as stacks

        stacks.end_before(nextitem.nodeid if nextitem else "")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """What a process of a shared run ran on is told by the one that sums up."""
    labels = getattr(node, "workeroutput", {}).get(_STAND_INS, [])
    _stand_ins.extend(label for label in labels if label not in _stand_ins)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The other half: a process of a shared run hands over what it ran on."""
    handed_over: dict[str, object] = getattr(session.config, "workeroutput", {})
    handed_over[_STAND_INS] = _stand_ins


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A run that proved less than it could says so in its last lines."""
    told = [f"These tests ran on {label}, not on Apache Kafka." for label in _stand_ins]
    skipped = terminalreporter.stats.get("skipped", [])
    on_wheel = [each.nodeid for each in skipped if kafka.ON_THE_WHEEL in str(each.longrepr)]
    if on_wheel:
        told.append(f"{len(on_wheel)} tests were skipped, each {kafka.ON_THE_WHEEL}:")
        told += [f"  {nodeid}" for nodeid in on_wheel]
    told += [f"{each.nodeid} {NEEDS_PROMTOOL}." for each in skipped if NEEDS_PROMTOOL in str(each.longrepr)]
    if told:
        terminalreporter.section("NOT PROVEN", sep="!", red=True, bold=True)
    for line in told:
        terminalreporter.line(line, red=True)


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Where the run's servers keep their data.

    Not below pytest's own directory: as root, Postgres runs as somebody else, and every other run of pytest on this
    machine shuts that directory to everybody but root. In memory where there is plenty: here processes die, never the
    machine, and a run makes a database and two dozen topics for each of some hundred tests.
    """
    where = _MEMORY if _has_room(_MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="watchword-tests-", dir=where, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def _has_room(directory: Path) -> bool:
    return directory.is_dir() and shutil.disk_usage(directory).free >= _ROOM_BYTES


@pytest.fixture
def server_directory(servers_directory: Path) -> Path:
    """An empty directory for a server of this test's own."""
    return Path(tempfile.mkdtemp(dir=servers_directory))


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, servers_directory: Path) -> Iterator[kafka.Cluster]:
    """The run's Kafka: `bootstrap`, `label`, `is_apache`. Never stop or freeze it; start one of your own for that."""
    with kafka.cluster(servers_directory / "kafka", request.config.getoption("--kafka")) as shared:
        _stand_ins.extend([] if shared.is_apache else [shared.label])
        yield shared


@pytest.fixture(scope="session")
def database_server(servers_directory: Path) -> Iterator[postgres.Server]:
    """The run's Postgres: `dsn` of a role that may create databases. Never stop it; start one of your own for that."""
    with postgres.server(servers_directory / "postgres") as shared:
        yield shared


@pytest_asyncio.fixture(scope="session")
async def database_template(database_server: postgres.Server) -> AsyncIterator[postgres.FreshDatabase]:
    """What every `database` is copied from."""
    async with postgres.migrated_template(database_server) as template:
        yield template


@pytest_asyncio.fixture
async def database(
    database_server: postgres.Server, database_template: postgres.FreshDatabase
) -> AsyncIterator[postgres.FreshDatabase]:
    """A database of this test's own, every migration applied: `dsn`, `name`."""
    async with postgres.empty_database(database_server, template=database_template.name) as fresh:
        yield fresh


@pytest.fixture
def topic_prefix() -> str:
    """The beginning of every topic and group name of this test, used by no other test or run."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest_asyncio.fixture(scope="session")
async def stack(request: pytest.FixtureRequest, servers_directory: Path) -> "AsyncIterator[Stack]":
    """Everything, running for all stories and attacks: two carriers, and a tenant with a policy for each case. Nothing
    of it may be killed. Imported here, because most runs need none of it."""
    from tests.support import stack as stacks
    from watchword.local.stack import Plan

    kind: Kind = request.config.getoption("--kafka")
    plan = Plan(servers_directory / "stories", kafka=kind, configuration=STORIES)
    async with stacks.lasting(plan, "tests/journeys", "tests/attacks") as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def platform(stack: "Stack") -> "AsyncIterator[Platform]":
    """The tenant `demo` of the stack."""
    from tests.support.platform import platform_of

    async with platform_of(stack) as made:
        yield made


@pytest_asyncio.fixture
async def carriers(platform: "Platform") -> "AsyncIterator[Carriers]":
    """The carriers of the stack, to be played with: afterwards they behave as at birth."""
    from watchword.local.stack import CARRIERS

    yield platform.carriers
    for name in CARRIERS:
        await platform.carriers.behave_as_at_birth(name)


@pytest.fixture(autouse=True)
def held_to_the_rules(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that reached out, even if its code swallowed the refusal, or that left a task running."""
    if isinstance(request.node, pytest.Function) and inspect.iscoroutinefunction(request.node.obj):
        request.getfixturevalue("no_task_left")
    loopback.refused.clear()
    yield
    assert not loopback.refused, f"the test tried to leave this machine: {loopback.refused}"


@pytest_asyncio.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Asked for on behalf of every asynchronous test; a plain test needs no event loop for it."""
    before = asyncio.all_tasks()
    yield
    await leaks.assert_ended(before)
