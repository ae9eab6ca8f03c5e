"""A Kafka broker for a laptop or a test: Apache Kafka where Java and Maven are found, else the wheel's stand-in.

What the two promise differs, and `Broker.label` says which one runs. Apache Kafka keeps every acknowledged message
through a kill -9. The wheel keeps its data in memory, and never takes partitions away from a member that died
without leaving.
"""

import base64
import importlib.metadata
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from watchword.local import kafka_jars, kafka_probe
from watchword.local.kafka_jars import Java
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import LocalServerError, Process, Program

READY_WITHIN_S = 30.0
SESSION_MS = 4_000
_FORMAT_WITHIN_S = 30.0
_STOP_WITHIN_S = 20.0


class Kind(StrEnum):
    """Which broker is wanted. `AUTO` is Apache Kafka if this machine can run it, else the wheel."""

    AUTO = "auto"
    APACHE = "apache"
    WHEEL = "wheel"


@dataclass(frozen=True, slots=True)
class Guard:
    """A second listener of Apache Kafka that asks who is there: SCRAM-SHA-512, and access rules that refuse what
    nobody allowed. `passwords` by user. The first listener stays as it is, for whoever sets the rules."""

    passwords: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Everything a broker needs to start, again and again, on the same port and the same data.

    `program` is asked anew for each start, since a start may find more in the cache than the one before it.
    """

    kind: Kind
    label: str
    port: int
    program: Callable[[], Program]
    after_stop: Callable[[], None] = lambda: None
    guarded_port: int = 0


class Broker:
    """One running broker. Made by `start`; not thread-safe."""

    def __init__(self, recipe: _Recipe) -> None:
        """Starts the broker and waits until it serves. Raises LocalServerError with its last log lines."""
        self._recipe = recipe
        self._process = self._run()

    @property
    def kind(self) -> Kind:
        """`Kind.APACHE` or `Kind.WHEEL`, never `AUTO`."""
        return self._recipe.kind

    @property
    def bootstrap(self) -> str:
        """Where clients connect: `127.0.0.1:port`. Stays the same through a restart."""
        return f"{LOOPBACK}:{self._recipe.port}"

    @property
    def guarded_bootstrap(self) -> str:
        """Where clients with a user connect. Raises LocalServerError on a broker without a guard."""
        if not self._recipe.guarded_port:
            raise LocalServerError("this broker was started without a guard")
        return f"{LOOPBACK}:{self._recipe.guarded_port}"

    @property
    def label(self) -> str:
        """What runs, for a banner or a report."""
        return self._recipe.label

    @property
    def pid(self) -> int:
        """The process id of the broker; another one after a restart."""
        return self._process.pid

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after 20 s. Harmless when it has ended."""
        self._process.stop()
        self._recipe.after_stop()

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._process.kill()

    def restart(self) -> None:
        """Stops it if it runs, and starts it on the same port and the same data."""
        self.stop()
        self._process = self._run()

    def freeze(self) -> None:
        """SIGSTOP: connections stay, answers do not come."""
        self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT: the end of a freeze."""
        self._process.thaw()

    def _run(self) -> Process:
        process = Process(self._recipe.program())
        process.await_ready(lambda: kafka_probe.serves(LOOPBACK, self._recipe.port), READY_WITHIN_S)
        return process


def start(
    directory: Path,
    *,
    prefer: Kind = Kind.AUTO,
    guard: Guard | None = None,
    advertised_port: int = 0,
    session_ms: int = SESSION_MS,
) -> Broker:
    """A broker whose data and log lie in `directory`, on a free port of 127.0.0.1, ready to serve.

    Data of an earlier start in the same directory is served again, with the users it had. A `guard` is Apache Kafka's
    whatever is preferred, and so is `advertised_port`: where clients are told to come, if something stands before the
    broker. `session_ms` is for how long Apache Kafka's controller may not hear its own broker before it takes the
    partitions from it; a broker that was killed serves after that time at the earliest, and a machine with more to do
    than it can needs more of it. Raises LocalServerError if the broker that `prefer` names cannot run here, or did not
    become ready within 30 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if guard is not None or advertised_port:
        return Broker(_apache(directory, _java_or_error(), guard, advertised_port, session_ms))
    match prefer:
        case Kind.WHEEL:
            return Broker(_wheel(directory))
        case Kind.APACHE:
            return Broker(_apache(directory, _java_or_error(), session_ms=session_ms))
        case Kind.AUTO:
            java = _java_if_usable()
            return Broker(_apache(directory, java, session_ms=session_ms) if java else _wheel(directory))


def can_run_apache() -> bool:
    """True if this machine has Java 17 or newer, and Kafka's jars or the Maven to fetch them."""
    return _java_if_usable() is not None


def _java_if_usable() -> Java | None:
    return kafka_jars.find_java() if kafka_jars.obtainable() else None


def _java_or_error() -> Java:
    java = _java_if_usable()
    if java is None:
        raise LocalServerError(
            "Apache Kafka needs Java 17 or newer (`java`) and Maven (`mvn`) on the path. Install them (Debian and "
            "Ubuntu: `apt-get install default-jre-headless maven`), or use `--kafka wheel`."
        )
    return java


_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{advertised_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms={session_ms}
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


_GUARDED_PROPERTIES = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},GUARDED://{host}:{guarded_port}
advertised.listeners=PLAINTEXT://{host}:{advertised_port},GUARDED://{host}:{guarded_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.guarded.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


# Java's second compiler would take more of two cores, for minutes, than it gives back.
_QUICK = "-XX:TieredStopAtLevel=1"
_FLAGS = ("-Xms256m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true", _QUICK)


def _apache(
    directory: Path,
    java: Java,
    guard: Guard | None = None,
    advertised_port: int = 0,
    session_ms: int = SESSION_MS,
) -> _Recipe:
    """Apache Kafka as one KRaft node. Of properties that stand twice the later one holds.

    Java's first clean exit leaves an archive of Kafka's classes in the cache; that exit takes four seconds more,
    and every later start takes half the time. Paths in the properties are relative: any directory name will do.
    """
    class_path = f"{kafka_jars.jars()}/*"
    port, controller_port, guarded_port = free_ports(3)
    numbers = {"port": port, "controller_port": controller_port, "guarded_port": guarded_port}
    numbers |= {"advertised_port": advertised_port or port, "session_ms": session_ms}
    properties = _PROPERTIES + (_GUARDED_PROPERTIES if guard else "")
    (directory / "server.properties").write_text(properties.format(host=LOOPBACK, **numbers))
    archive = kafka_jars.class_archive(java)
    in_training = archive.with_name(f".training-{uuid.uuid4().hex}.jsa")

    def program() -> Program:
        archived = f"SharedArchiveFile={archive}" if archive.exists() else f"ArchiveClassesAtExit={in_training}"
        flags = (*_FLAGS, f"-XX:{archived}")
        return Program(
            name="Apache Kafka",
            command=(java.path, *flags, "-cp", class_path, "kafka.Kafka", "server.properties"),
            log=directory / "kafka.log",
            directory=directory,
            stop_within_s=_STOP_WITHIN_S,
        )

    def adopt_archive() -> None:
        if in_training.exists():
            in_training.rename(archive)

    if not (directory / "data" / "meta.properties").exists():
        _format(directory, (java.path, _QUICK, f"-XX:SharedArchiveFile={archive}", "-cp", class_path), guard)
    label = f"Apache Kafka {kafka_jars.KAFKA_VERSION}"
    return _Recipe(Kind.APACHE, label, port, program, adopt_archive, guarded_port if guard else 0)


def _format(directory: Path, java: tuple[str, ...], guard: Guard | None) -> None:
    """Gives the data directory its cluster id and its users. Kafka refuses to start without the former."""
    passwords = guard.passwords if guard else {}
    users = [f"SCRAM-SHA-512=[name={user},password={password}]" for user, password in passwords.items()]
    added = [word for user in users for word in ("--add-scram", user)]
    outcome = subprocess.run(
        (*java, "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "server.properties", *added),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_FORMAT_WITHIN_S,
    )
    if outcome.returncode != 0:
        raise LocalServerError(f"Kafka could not format {directory / 'data'}.\n  {outcome.stdout.strip()}")


def _cluster_id() -> str:
    """A random UUID as Kafka writes it: base64url without padding, never with a dash in front."""
    encoded = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return encoded if not encoded.startswith("-") else _cluster_id()


def _wheel(directory: Path) -> _Recipe:
    """The noida-db binary itself, not its Python wrapper, which would leave it behind when killed."""
    (port,) = free_ports(1)
    options = ("--data-dir", "data", "--host", LOOPBACK, "--only", "kafka", "--kafka-port", str(port))
    program = Program(
        name="The wheel's broker",
        command=(str(_wheel_binary()), "start", *options),
        log=directory / "kafka.log",
        directory=directory,
    )
    label = f"noida-db {importlib.metadata.version('noida-db')} wheel (data in memory)"
    return _Recipe(Kind.WHEEL, label, port, lambda: program)


def _wheel_binary() -> Path:
    try:
        files = importlib.metadata.files("noida-db") or []
    except importlib.metadata.PackageNotFoundError as missing:
        raise LocalServerError("The wheel's broker is not installed: `pip install watchword[local]`.") from missing
    name = "noida-db.exe" if sys.platform == "win32" else "noida-db"
    binary = next(Path(str(file.locate())) for file in files if file.name == name and file.parent.name == "noida_db")
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return binary
