"""Everything on one machine: servers, simulator and every worker a process of its own, watched and restarted.

`watchword up`, `watchword demo` and the tests that need the real processes all run this one stack.
"""

import asyncio
import json
import os
import shlex
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template

from watchword.gateways.catalog import ALL
from watchword.local import kafka, postgres, warm
from watchword.local.kafka import Broker, Kind
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.postgres import Database
from watchword.local.process import LocalServerError, Process, Program
from watchword.operations.pages import PORTS_FILE
from watchword.runtime import keyring
from watchword.runtime.apply import Applied, apply
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import Cluster
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.migrations import migrate
from watchword.runtime.topics import create_topics

CONFIGURATION = Path(__file__).with_name("demo.toml")
ENVIRONMENT_FILE = "environment"
GROUPS = ("intake,checks", "fraud", "judge", "codes", "dispatch", "receipts", "timers", "callbacks")
CARRIERS = ("alpha", "beta")
READY_WITHIN_S = 60.0
SIMULATOR_READY_WITHIN_S = 20.0
STOP_WITHIN_S = 30.0
LOOK_EVERY_S = 0.1
RESTART_PAUSE_S = 0.5
RESTARTS_MAX = 50


@dataclass(frozen=True)
class Plan:
    """What to run. Port 0 takes a free one. `environment` is added to what every worker gets; `groups` are lists of
    workers that share a process, `instances` how many processes of a group there are where it is not one.
    `kafka_address` and `postgres_address` use servers that run already. A worker that ended is started again at most
    `restarts_max` times."""

    directory: Path
    kafka: Kind = Kind.AUTO
    forked: bool = True
    http_port: int = 0
    seed: int = 1
    groups: Sequence[str] = GROUPS
    instances: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    configuration: Path = CONFIGURATION
    kafka_address: str = ""
    postgres_address: str = ""
    carriers: Sequence[str] = CARRIERS
    restarts_max: int = RESTARTS_MAX


@dataclass
class Child:
    """One worker process and how it is run; `stopped` children are not restarted. `name` is the group's, and for
    every further process of it the group's with its ordinal: `codes`, `codes.1`, …"""

    name: str
    group: str
    program: Program
    ops_port: int
    api_url: str
    process: Process
    restarts: int = 0
    restart_at: float = 0.0
    stopped: bool = False


class Stack:
    """Servers, simulator and workers. `start` returns when every worker is ready."""

    def __init__(self, plan: Plan, *, say: Callable[[str], None] = lambda line: None) -> None:
        self.plan = plan
        self.children: dict[str, Child] = {}
        self.simulator_url = ""
        self.smpp_url = ""
        self.api_url = ""
        self.receipts_url = ""
        self.api_key = ""
        self._say = say
        self._broker: Broker | None = None
        self._database: Database | None = None
        self._simulator: Process | None = None

    @property
    def broker(self) -> Broker:
        """The broker this stack started. Raises LocalServerError where it uses one that ran already."""
        if self._broker is None:
            raise LocalServerError("this stack uses a broker that it did not start")
        return self._broker

    @property
    def database(self) -> Database:
        """The database server this stack started. Raises LocalServerError where it uses another."""
        if self._database is None:
            raise LocalServerError("this stack uses a database that it did not start")
        return self._database

    @property
    def simulator_pid(self) -> int:
        """The process of the carrier simulator. Raises LocalServerError before `start`."""
        if self._simulator is None:
            raise LocalServerError("the simulator has not been started")
        return self._simulator.pid

    @property
    def cluster(self) -> Cluster:
        """How to reach the broker."""
        return Cluster(bootstrap=self.plan.kafka_address or self.broker.bootstrap)

    @property
    def dsn(self) -> str:
        """How to reach the database."""
        return self.plan.postgres_address or self.database.dsn

    def command_environment(self) -> dict[str, str]:
        """What an operator's command needs to find this stack."""
        return self._environment(0, self.api_url, self.receipts_url)

    def start(self) -> None:
        """Start everything, in parallel where nothing waits for another. Raises LocalServerError."""
        directory = self.plan.directory
        directory.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max_workers=3) as pool:
            servers = [pool.submit(self._start_broker), pool.submit(self._start_database)]
            simulator = pool.submit(self._start_simulator)
            for each in [*servers, simulator]:
                each.result()
        applied = asyncio.run(self._prepare())
        self._remember_key(applied)
        (directory / "kafka-address").write_text(self.cluster.bootstrap, "ascii")
        for name in self.plan.groups:
            for ordinal in range(self.plan.instances.get(name, 1)):
                self._start_worker(name, ordinal)
        for child in self.children.values():
            self._await_ready(child)
        self._write_ports()
        self._write_environment()
        self._say(f"every worker is ready: {', '.join(self.plan.groups)}")

    def watch(self) -> None:
        """Restart what ended. Raises LocalServerError when one worker keeps ending."""
        now = time.monotonic()
        for child in list(self.children.values()):
            if child.stopped or child.process.exit_code is None:
                continue
            if not child.restart_at:
                self._say(f"{child.name} ended with {child.process.exit_code}; it is started again")
                child.restart_at = now + RESTART_PAUSE_S
            elif now >= child.restart_at:
                self.restart(child.name)

    def kill(self, name: str) -> None:
        """SIGKILL one worker, as a power cut would. `watch` brings it back."""
        self.children[name].process.kill()

    def terminate(self, name: str) -> None:
        """Stop one worker politely and leave it stopped."""
        self.children[name].stopped = True
        self.children[name].process.stop()

    def restart(self, name: str, **environment: str) -> None:
        """Start one worker again, with `environment` added for this run."""
        child = self.children[name]
        child.process.stop()
        if child.restarts >= self.plan.restarts_max:
            raise LocalServerError(f"{name} keeps ending.\n{child.process.log_tail()}")
        child.process = Process(_with_environment(child.program, environment))
        child.restart_at = 0.0
        child.stopped = False
        child.restarts += 1  # last: whoever counts restarts then finds the new process

    def instances(self, group: str) -> list[Child]:
        """The processes of a group that are meant to run, by ordinal."""
        return [child for child in self.children.values() if child.group == group and not child.stopped]

    def scale(self, group: str, count: int) -> None:
        """Run `count` processes of a group: start what is missing and wait until it is ready, stop the last ones
        politely where there are more. Raises LocalServerError."""
        for ordinal in range(count):
            known = self.children.get(_child_name(group, ordinal))
            if known is None:
                self._start_worker(group, ordinal)
            elif known.stopped:
                self.restart(known.name)
        for child in self.instances(group)[count:]:
            self.terminate(child.name)
        for child in self.instances(group):
            self._await_ready(child)
        self._write_ports()

    def await_ready(self, name: str) -> None:
        """Wait until one worker is ready. Raises LocalServerError with the end of its log."""
        self._await_ready(self.children[name])

    def stop(self) -> None:
        """Workers first, all at once and politely; then simulator and servers. Nothing is left."""
        for name in (PORTS_FILE.name, ENVIRONMENT_FILE):
            (self.plan.directory / name).unlink(missing_ok=True)
        children = [child.process for child in self.children.values()]
        with ThreadPoolExecutor(max_workers=len(children) + 1) as pool:
            list(pool.map(Process.stop, children))
        for server in (self._simulator, self._broker, self._database):
            if server is not None:
                server.stop()

    def _start_broker(self) -> None:
        if not self.plan.kafka_address:
            self._broker = kafka.start(self.plan.directory / "kafka", prefer=self.plan.kafka)
            self._say(f"broker: {self._broker.label} on {self._broker.bootstrap}")

    def _start_database(self) -> None:
        if not self.plan.postgres_address:
            self._database = postgres.start(self.plan.directory / "postgres")
            self._say(f"database: {self._database.label}")

    def _start_simulator(self) -> None:
        self._ports = free_ports(4 + len(self.plan.groups))
        port, receipts_port, http_port, *_, smpp_port = self._ports
        self.simulator_url = f"http://{LOOPBACK}:{port}"
        self.smpp_url = f"smpp://{LOOPBACK}:{smpp_port}"
        self.receipts_url = f"http://{LOOPBACK}:{receipts_port}"
        self.api_url = f"http://{LOOPBACK}:{self.plan.http_port or http_port}"
        carriers = tuple(word for name in self.plan.carriers for word in ("--carrier", name))
        receipts = ("--receipt-url", self.receipts_url + "/receipts/{carrier}")
        ports = ("--port", str(port), "--smpp-port", str(smpp_port))
        command = ("simulator", *ports, "--seed", str(self.plan.seed), *carriers, *receipts)
        self._simulator = Process(self._program("simulator", command, os.environ))
        self._simulator.await_ready(lambda: answers(f"{self.simulator_url}/ledger"), SIMULATOR_READY_WITHIN_S)
        self._say(f"carrier simulator: {self.simulator_url}")

    async def _prepare(self) -> Applied:
        """Keys, migrations, topics and the first configuration."""
        if not self._keyring_file.exists():
            keyring.create(self._keyring_file, WallClock().now())
        _, created = await asyncio.gather(migrate(self.dsn), create_topics(self.cluster, production=False))
        self._say(f"{len(created)} topics created")
        file = self.plan.directory / "configuration.toml"
        text = self.plan.configuration.read_text("utf-8")
        file.write_text(Template(text).substitute(simulator=self.simulator_url, smpp=self.smpp_url), "utf-8")
        held = Keyring.load(self._keyring_file, {Purpose.ACCOUNT, Purpose.ENDPOINT})
        return await apply(self.dsn, file, keyring=held, gateways=frozenset(ALL))

    @property
    def _keyring_file(self) -> Path:
        return self.plan.directory.resolve() / "keyring.json"

    def _remember_key(self, applied: Applied) -> None:
        """A key is shown once; the local one is kept in a file of its own, for the next start."""
        file = self.plan.directory / "api-key"
        for made in applied.new_keys:
            file.touch(mode=0o600)
            file.write_text(made.key, "ascii")
        self.api_key = file.read_text("ascii")

    def _start_worker(self, group: str, ordinal: int) -> None:
        """The first process of a group takes the ports that were set aside for it; any further one free ones."""
        first = (self._ports[3 + self.plan.groups.index(group)], self.api_url, self.receipts_url)
        ops_port, api_url, receipts_url = first if ordinal == 0 else _further_ports()
        name = _child_name(group, ordinal)
        environment = self._environment(ops_port, api_url, receipts_url)
        words = ("run", group, "--ordinal", str(ordinal))
        program = self._program(name.replace(",", "-"), words, environment)
        self.children[name] = Child(name, group, program, ops_port, api_url, Process(program))

    def _write_ports(self) -> None:
        """Where everything listens, for `watchword top`; gone once the stack is stopped."""
        running = [child for child in self.children.values() if not child.stopped]
        told = {
            "api": self.api_url,
            "simulator": self.simulator_url,
            "ops": [f"http://{LOOPBACK}:{child.ops_port}" for child in running],
        }
        (self.plan.directory / PORTS_FILE.name).write_text(json.dumps(told, indent=1), "utf-8")

    def _write_environment(self) -> None:
        """What a terminal needs for `watchword` commands and for calls: to be sourced."""
        told = {name: text for name, text in self.command_environment().items() if name.startswith("WATCHWORD_")}
        told |= {"API": self.api_url, "KEY": self.api_key, "SIMULATOR": self.simulator_url}
        lines = [f"export {name}={shlex.quote(text)}" for name, text in told.items()]
        lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
        file = self.plan.directory / ENVIRONMENT_FILE
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", "utf-8")

    def _environment(self, ops_port: int, api_url: str, receipts_url: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
        return {
            **own,
            "WATCHWORD_POSTGRES": self.dsn,
            "WATCHWORD_KAFKA": self.cluster.bootstrap,
            "WATCHWORD_KEYRING": str(self._keyring_file),
            "WATCHWORD_HTTP_PORT": api_url.rpartition(":")[2],
            "WATCHWORD_RECEIPTS_HTTP_PORT": receipts_url.rpartition(":")[2],
            "WATCHWORD_PUBLIC_RECEIPTS_URL": self.receipts_url,
            "WATCHWORD_OPS_PORT": str(ops_port),
            "WATCHWORD_LOG_FORMAT": "json",
            "WATCHWORD_CALLBACKS_ALLOW_LOCAL": "true",
            **self.plan.environment,
        }

    def _program(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Program:
        directory = self.plan.directory.resolve()
        return Program(
            name=name,
            command=(*warm.COMMAND, *arguments),
            log=directory / f"{name}.log",
            directory=directory,
            environment=dict(environment),
            stop_signal=signal.SIGTERM,
            stop_within_s=STOP_WITHIN_S,
            launch=warm.fork if self.plan.forked and sys.platform == "linux" else None,
        )

    def _await_ready(self, child: Child) -> None:
        url = f"http://{LOOPBACK}:{child.ops_port}/readyz"
        child.process.await_ready(lambda: answers(url), READY_WITHIN_S)


def _child_name(group: str, ordinal: int) -> str:
    return f"{group}.{ordinal}" if ordinal else group


def _further_ports() -> tuple[int, str, str]:
    ops_port, api_port, receipts_port = free_ports(3)
    return ops_port, f"http://{LOOPBACK}:{api_port}", f"http://{LOOPBACK}:{receipts_port}"


def _with_environment(program: Program, more: Mapping[str, str]) -> Program:
    return replace(program, environment={**(program.environment or {}), **more})


def answers(url: str) -> bool:
    """Whether `url` answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            json.loads(answer.read())
            return bool(answer.status == 200)
    except (OSError, ValueError, urllib.error.URLError):
        return False
