"""Jasmin, whole: with RabbitMQ and Redis of its own, one user, connectors to one SMSC, one route over them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.interop.peers import INSTALLED, has_program
from tests.support.waiting import eventually
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Process, Program

HOME = INSTALLED / "jasmin"
BROKER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SERVERS = ("epmd", "redis", "rabbitmq")
HEARS_OF = {"dlrlookupd": "DLRLookup-main", "dlrd": "dlr_thrower"}  # from which of RabbitMQ's queues
DAEMONS = ("jasmind", *HEARS_OF)
LOCKS = "/tmp"  # where its daemons look whether they run already; no setting moves it
STARTS_WITHIN_S = 120.0
ANSWERS_WITHIN_S = 120.0
# Jasmin stores whose receipt is whose after the answer, and looks again for one that it does not find a second later.
LATER = {"kind": "uniform", "min": 500, "max": 500}
USER, PASSWORD = "shop", "shoppwd"
# A connector has one message under way (it asks RabbitMQ for one at a time), so that it sends no more than a round trip
# allows; over several, round trips overlap.
CONNECTORS_AT_BEST = 8
# A line for every message costs as much as sending it. A receipt that comes before its message's id is stored is looked
# for again after ten seconds, twice, unless told otherwise. Lookups and callbacks have daemons of their own, as Jasmin
# itself advises.
QUIET = ("sm-listener", "http-api", "dlr-thrower", "router", "service-smppclient", "client-management")
LOOKUPS = "[dlr]\nlog_level = WARNING\ndlr_lookup_retry_delay = 1\ndlr_lookup_max_retries = 20\n"
# Redis keeps which receipt is whose.
CACHE_OPTIONS = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec")


def is_installed() -> bool:
    """Whether Jasmin and the two servers it needs are there."""
    return (HOME / "bin" / "jasmind.py").exists() and BROKER.exists() and has_program("redis-server", "epmd")


class Jasmin:
    """Its three daemons and their servers; what ended is started again on the same ports and the same data."""

    def __init__(self, directory: Path, smsc_port: int, *, per_second: int = 0, connectors: int = 1) -> None:
        """Starts nothing yet. `per_second` is of each connector, 0 for as many as it can."""
        self._directory = directory
        self._smsc_port = smsc_port
        self._per_second = per_second
        self._connectors = tuple(f"north{number}" for number in range(connectors))
        names = ("amqp", "distribution", "epmd", "redis", "cli", "http", "smpp", "bridge", "router", "clients")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._running: dict[str, Process] = {}
        self.smpp_port = self._ports["smpp"]
        self.http_url = f"http://{LOOPBACK}:{self._ports['http']}"

    @property
    def pids(self) -> Mapping[str, int]:
        """The process of each part, servers first."""
        return {name: process.pid for name, process in self._running.items()}

    async def start(self) -> None:
        """Start what does not run, and set Jasmin up if it was started."""
        for name in ("log", "store", "mnesia", "redis"):
            (self._directory / name).mkdir(exist_ok=True)
        settings = "".join(f"[{section}]\nlog_level = WARNING\n" for section in QUIET)
        (self._directory / "jasmin.cfg").write_text(settings + LOOKUPS, "ascii")
        ended = {name for name in (*SERVERS, *DAEMONS) if not self._runs(name)}
        for name in SERVERS:
            await self._run(name, self._server(name), {"rabbitmq": "amqp", "redis": "redis"}.get(name, name))
        await self._run("jasmind", self._daemon("jasmind"), "cli")
        for name, queue in HEARS_OF.items():
            known = self._heard_of(queue)
            await self._run(name, self._daemon(name), "")
            if name in ended:
                await eventually(
                    partial(self._hears, queue, known), within_s=STARTS_WITHIN_S, what=f"{name} at {queue}"
                )
        if "jasmind" in ended:
            await _set_up(self._ports["cli"], self._lines())

    def _heard_of(self, queue: str) -> int:
        """How often a daemon has said that it listens to `queue`. What comes before the first time goes nowhere."""
        log = self._directory / "log" / "amqp-client.log"
        return log.read_text("utf-8", "replace").count(f"[{queue}]") if log.exists() else 0

    async def _hears(self, queue: str, before: int) -> bool:
        return self._heard_of(queue) > before

    async def kill(self, names: Sequence[str]) -> None:
        """SIGKILL to these parts at once, as a power cut would."""
        await asyncio.gather(*(asyncio.to_thread(self._running[name].kill) for name in names))

    async def stop(self) -> None:
        """End all of it, servers last."""
        for names in (DAEMONS, ("rabbitmq", "redis"), ("epmd",)):
            running = [self._running[name] for name in names if name in self._running]
            await asyncio.gather(*(asyncio.to_thread(process.stop) for process in running))
        for name in DAEMONS:
            self._unlock(name)

    def _unlock(self, name: str) -> None:
        """Remove what a daemon that was killed leaves in the way of its next start. While ours ran it held the lock,
        so that the lock is ours."""
        if name in DAEMONS and name in self._running:
            Path(f"{LOCKS}/{self._lock(name)}.lock").unlink(missing_ok=True)
            for link in Path(LOCKS).glob(f"*.{self._running[name].pid}-*"):
                link.unlink(missing_ok=True)

    def _lock(self, name: str) -> str:
        return name if name == "jasmind" else f"{name}-{self._ports['cli']}"

    def _runs(self, name: str) -> bool:
        return name in self._running and self._running[name].exit_code is None

    async def _run(self, name: str, program: Program, listens: str) -> None:
        if self._runs(name):
            return
        self._unlock(name)
        self._running[name] = Process(program)
        if listens:
            await _listens(self._ports[listens])

    def _program(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Program:
        log = self._directory / f"{name}.log"
        return Program(name, tuple(command), log, self._directory, environment=environment)

    def _server(self, name: str) -> Program:
        directory = self._directory
        erlang = {"ERL_EPMD_PORT": str(self._ports["epmd"]), "HOME": str(directory)}
        erlang["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
        match name:
            case "epmd":
                return self._program(name, (shutil.which("epmd") or "",), erlang)
            case "redis":
                place = ("--port", str(self._ports["redis"]), "--bind", LOOPBACK, "--dir", str(directory / "redis"))
                return self._program(name, (shutil.which("redis-server") or "", *place, *CACHE_OPTIONS), erlang)
        broker = {
            "RABBITMQ_NODENAME": "peer@localhost",
            "RABBITMQ_NODE_PORT": str(self._ports["amqp"]),
            "RABBITMQ_DIST_PORT": str(self._ports["distribution"]),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RUNNING_UNDER_SYSTEMD": "1",  # one process, without a shell between it and us
            **erlang,
        }
        return self._program(name, (str(BROKER),), broker)

    def _daemon(self, name: str) -> Program:
        identity = () if name == "jasmind" else ("-i", str(self._ports["cli"]))
        words = ("-c", str(self._directory / "jasmin.cfg"), *identity)
        command = (str(HOME / "bin" / "python"), str(HOME / "bin" / f"{name}.py"), *words)
        return self._program(name, command, self._environment())

    def _environment(self) -> dict[str, str]:
        ports = {name: str(port) for name, port in self._ports.items()}
        [spec] = HOME.glob("lib/python3*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
        return {
            "PATH": "/usr/bin:/bin",
            "AMQP_BROKER_SPEC": str(spec),
            "AMQP_BROKER_PORT": ports["amqp"],
            "REDIS_CLIENT_PORT": ports["redis"],
            "CONFIG_PATH": str(self._directory),
            "STORE_PATH": str(self._directory / "store"),
            "LOG_PATH": str(self._directory / "log"),
            "JCLI_PORT": ports["cli"],
            "JCLI_AUTHENTICATION": "false",
            "HTTP_API_PORT": ports["http"],
            "SMPP_SERVER_PORT": ports["smpp"],
            "SMPP_SERVER_PB_PORT": ports["bridge"],
            "SMPP_SERVER_PB_CLIENT_PORT": ports["bridge"],
            "ROUTER_PORT": ports["router"],
            "CLIENT_MANAGEMENT_PORT": ports["clients"],
        }

    def _lines(self) -> Sequence[str]:
        """What an operator types at the console."""
        place = (f"host {LOOPBACK}", f"port {self._smsc_port}", "username north", "password northpwd")
        pace = (f"submit_throughput {self._per_second}", "con_loss_delay 1", "con_fail_delay 1")
        added = [("smppccm -a", f"cid {name}", *place, *pace, "ok", f"smppccm -1 {name}") for name in self._connectors]
        others = ";".join(f"smppc({name})" for name in self._connectors)
        shared = ("type RandomRoundrobinMTRoute", "order 10", "filters everything", f"connectors {others}", "rate 0.0")
        return (
            *("group -a", "gid shops", "ok"),
            *("user -a", "uid shop", "gid shops", f"username {USER}", f"password {PASSWORD}", "ok"),
            *(line for lines in added for line in lines),
            *("mtrouter -a", "type DefaultRoute", f"connector smppc({self._connectors[0]})", "rate 0.0", "ok"),
            *("filter -a", "fid everything", "type TransparentFilter", "ok"),
            *("mtrouter -a", *shared, "ok"),
        )


@asynccontextmanager
async def jasmin(
    directory: Path, smsc_port: int, *, per_second: int = 100, connectors: int = 1
) -> AsyncIterator[Jasmin]:
    """Jasmin while it runs, bound to the SMSC at `smsc_port` as `north`."""
    made = Jasmin(directory, smsc_port, per_second=per_second, connectors=connectors)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def _set_up(cli_port: int, lines: Sequence[str]) -> None:
    """Type the lines, each once the one before was answered."""
    reader, writer = await asyncio.open_connection(LOOPBACK, cli_port)
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        for line in lines:
            writer.write(line.encode() + b"\r\n")
            said = b""
            while not said.endswith((b"> ", b"jcli : ")):
                said += await reader.read(4_096)
            assert b"Error" not in said and b"Unknown" not in said, (line, said)
    writer.close()


async def _listens(port: int) -> None:
    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(answers, within_s=STARTS_WITHIN_S, what=f"something on port {port}")
