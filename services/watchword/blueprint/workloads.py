"""What a worker is to those who deploy it: its names, its topics, its doors, its share of the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from watchword.contracts.topics import TopicSpec, topics
from watchword.events import topics as names
from watchword.flow import WORKERS, Worker
from watchword.runtime.kafka import DRAIN_DEADLINE_S
from watchword.runtime.keyring import Purpose
from watchword.runtime.postgres import role_of
from watchword.runtime.process import STOP_DEADLINE_S, role_owner
from watchword.runtime.settings import RuntimeSettings

UID = 10001
IMAGE = "watchword"
PYTHON = "/opt/watchword/bin/python"
OPS_PORT = 9100
# A revoked partition drains, then services stop; five seconds more than the two may take before SIGKILL.
GRACE_S = int(DRAIN_DEADLINE_S + STOP_DEADLINE_S + 5)

SWEEPER = "timers"
"""Publishes what others committed and did not get out, so it writes wherever they do."""
STRAIGHT = frozenset({names.SIGNALS, names.RISK_LEVELS, names.dead(names.SIGNALS)})
"""Topics that are published to without an outbox row: the sweeper has no business there."""
CALLERS = frozenset({"dispatch", "callbacks"})
"""Workers that connect to addresses beyond the cluster."""
OPERATORS = ("operator", "audit")
"""Database roles of tools, beside those of workers."""

_FIELDS = RuntimeSettings.model_fields
DOOR_PORTS: Mapping[str, int] = {
    "public": _FIELDS["http_port"].default,
    "carriers": _FIELDS["receipts_http_port"].default,
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A worker as deployed. `numbered`: each copy needs an ordinal of its own, for its static membership. `doors`
    are HTTP ports by name."""

    name: str
    worker: Worker
    role: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    doors: Mapping[str, int]
    numbered: bool
    calls_out: bool

    @property
    def user(self) -> str:
        """Its Kafka user."""
        return kafka_user(self.name)

    @property
    def login(self) -> str:
        """Its database login."""
        return login_of(self.name)

    def purposes(self) -> frozenset[Purpose]:
        """What its keyring must hold; every process needs a keyring, be it an empty one."""
        found: frozenset[Purpose] = import_module(self.worker.module).KEYS
        return found


def workloads() -> tuple[Workload, ...]:
    """Every worker of the map, in its order."""
    return tuple(_workload(worker, topics()) for worker in WORKERS)


def kafka_user(name: str) -> str:
    """The Kafka user of a worker or of an operator's tool."""
    return f"watchword-{name}"


def login_of(name: str) -> str:
    """The database login of a worker or of an operator's tool."""
    return f"watchword_login_{name}"


def _workload(worker: Worker, specs: tuple[TopicSpec, ...]) -> Workload:
    return Workload(
        name=worker.name,
        worker=worker,
        role=role_of(role_owner(worker)),
        reads=worker.reads,
        writes=tuple(spec.name for spec in specs if _writes(worker.name, spec)),
        doors={door: DOOR_PORTS[door] for door in worker.doors},
        numbered=bool(worker.reads),
        calls_out=worker.name in CALLERS,
    )


def _writes(name: str, spec: TopicSpec) -> bool:
    by_workers = any(writer in {worker.name for worker in WORKERS} for writer in spec.writers)
    return name in spec.writers or (name == SWEEPER and by_workers and spec.name not in STRAIGHT)
