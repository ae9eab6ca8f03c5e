"""Jasmin, whole: with RabbitMQ and Redis of its own, one user, one connector to an SMSC, one route."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.peers import INSTALLED, among, has_program, running
from tests.support.waiting import eventually
from watchword.local.ports import LOOPBACK, free_ports

HOME = INSTALLED / "jasmin"
BROKER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
STARTS_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 10.0
USER, PASSWORD = "shop", "shoppwd"


@dataclass(frozen=True)
class Jasmin:
    """Where it listens: an SMPP server, and HTTP for `/send`."""

    smpp_port: int
    http_url: str


def is_installed() -> bool:
    """Whether Jasmin and the two servers it needs are there."""
    return (HOME / "bin" / "jasmind.py").exists() and BROKER.exists() and has_program("redis-server", "epmd")


@asynccontextmanager
async def jasmin(directory: Path, smsc_port: int, *, per_second: int = 100) -> AsyncIterator[Jasmin]:
    """Jasmin while it runs, bound to the SMSC at `smsc_port` as `north`; 0 a second is as many as it can."""
    amqp, distribution, epmd, redis, cli, http, smpp, *others = free_ports(10)
    erlang = {"ERL_EPMD_PORT": str(epmd), "HOME": str(directory), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    for name in ("log", "store", "mnesia"):
        (directory / name).mkdir()
    broker = {
        "RABBITMQ_NODENAME": "peer@localhost",
        "RABBITMQ_NODE_PORT": str(amqp),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        **erlang,
    }
    cache = ("redis-server", "--port", str(redis), "--bind", LOOPBACK, "--save", "", "--dir", str(directory))
    words = ("jasmind.py", "--enable-dlr-thrower", "--enable-dlr-lookup", "-c", str(directory / "none.cfg"))
    itself = (str(HOME / "bin" / "python"), str(HOME / "bin" / words[0]), *words[1:])
    told = _environment(directory, amqp, redis, cli, http, smpp, others)
    async with running("epmd", environment=erlang), running(*cache), running(str(BROKER), environment=broker):
        await _listens(amqp)
        async with running(*itself, environment=told) as peer:

            async def started() -> list[str]:
                return among(peer.lines, "jCli Started")

            await eventually(started, within_s=STARTS_WITHIN_S, what="Jasmin to start")
            await _set_up(cli, smsc_port, per_second)
            yield Jasmin(smpp, f"http://{LOOPBACK}:{http}")


def _environment(
    directory: Path, amqp: int, redis: int, cli: int, http: int, smpp: int, others: Sequence[int]
) -> dict[str, str]:
    bridge, router, clients = (str(port) for port in others)
    [spec] = HOME.glob("lib/python3*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
    return {
        "PATH": "/usr/bin:/bin",
        "AMQP_BROKER_SPEC": str(spec),
        "AMQP_BROKER_PORT": str(amqp),
        "REDIS_CLIENT_PORT": str(redis),
        "CONFIG_PATH": str(directory),
        "STORE_PATH": str(directory / "store"),
        "LOG_PATH": str(directory / "log"),
        "JCLI_PORT": str(cli),
        "JCLI_AUTHENTICATION": "false",
        "HTTP_API_PORT": str(http),
        "SMPP_SERVER_PORT": str(smpp),
        "SMPP_SERVER_PB_PORT": bridge,
        "SMPP_SERVER_PB_CLIENT_PORT": bridge,
        "ROUTER_PORT": router,
        "CLIENT_MANAGEMENT_PORT": clients,
    }


async def _set_up(cli_port: int, smsc_port: int, per_second: int) -> None:
    """What an operator types at Jasmin's console, each line once the one before was answered."""
    connector = (f"host {LOOPBACK}", f"port {smsc_port}", "username north", "password northpwd")
    lines = (
        *("group -a", "gid shops", "ok"),
        *("user -a", "uid shop", "gid shops", f"username {USER}", f"password {PASSWORD}", "ok"),
        *("smppccm -a", "cid north", *connector, f"submit_throughput {per_second}", "ok", "smppccm -1 north"),
        *("mtrouter -a", "type DefaultRoute", "connector smppc(north)", "rate 0.0", "ok"),
    )
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
