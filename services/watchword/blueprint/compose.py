"""deploy/compose.yaml: everything on one machine, in containers. One Kafka, one Postgres, one copy of each worker."""

from collections.abc import Mapping
from typing import Any

from watchword.blueprint.environment import COMPOSE_NETWORK, KEYRING_FILE, SETTINGS_FILE
from watchword.blueprint.secrets import OWNERS
from watchword.blueprint.tools import TOOLS
from watchword.blueprint.workloads import GRACE_S, IMAGE, OPS_PORT, PYTHON, UID, Workload, workloads
from watchword.blueprint.writing import yaml_text

KAFKA_IMAGE = "docker.io/apache/kafka:4.3.1"
POSTGRES_IMAGE = "docker.io/library/postgres:18"
PROXY_IMAGE = "docker.io/library/nginx:1.28"
_SECRETS = "./secrets"

_HEAD = """\
# Images are named by tag; pin what you run by digest (`image: name:tag@sha256:...`). See README.md for the secrets.
"""

_READY = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{OPS_PORT}/readyz', timeout=2)"
_LOGS = {"driver": "json-file", "options": {"max-size": "20m", "max-file": "5"}}
_LOCKED = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "tmpfs": ["/tmp:size=64m,mode=1777"],
    "pids_limit": 256,
    "logging": _LOGS,
}
# The outbox is turned over many times a minute, which is how long autovacuum sleeps by default (migration 0015).
_POSTGRES_SETTINGS = ("autovacuum_naptime=15s",)
_KAFKA_ENVIRONMENT = {
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_NODE_ID": "1",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@kafka:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://kafka:9092",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
}


def compose_text() -> str:
    """The whole file."""
    loads = workloads()
    services = {
        "kafka": _kafka(),
        "postgres": _postgres(),
        "migrate": _job(["migrate"], waits_for="postgres"),
        "topics": _job(["topics"], waits_for="kafka"),
        **{load.name: _worker(load) for load in loads},
        **{name: _tool(name) for name in TOOLS},
        "door": _door([load.name for load in loads if load.doors]),
    }
    document = {
        "name": "watchword",
        "services": services,
        "networks": {
            "inside": {"internal": True, "ipam": {"config": [{"subnet": COMPOSE_NETWORK}]}},
            "outside": {},
        },
        "volumes": {"kafka-data": {}, "postgres-data": {}},
        "secrets": _secrets([*TOOLS, *(load.name for load in loads)]),
    }
    return yaml_text(document, head=_HEAD)


def _kafka() -> dict[str, Any]:
    asks = "/opt/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server localhost:9092"
    return {
        "image": KAFKA_IMAGE,
        "environment": _KAFKA_ENVIRONMENT,
        "volumes": ["kafka-data:/var/lib/kafka/data"],
        "networks": ["inside"],
        "healthcheck": _healthcheck(["CMD-SHELL", asks], interval_s=10),
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
        "logging": _LOGS,
    }


def _postgres() -> dict[str, Any]:
    first = "/docker-entrypoint-initdb.d"
    return {
        "image": POSTGRES_IMAGE,
        "command": ["postgres", *(word for setting in _POSTGRES_SETTINGS for word in ("-c", setting))],
        "environment": {"POSTGRES_DB": "watchword", "POSTGRES_PASSWORD_FILE": "/run/secrets/postgres-superuser"},
        "volumes": ["postgres-data:/var/lib/postgresql", f"./postgres/roles.sql:{first}/10-roles.sql:ro"],
        "secrets": ["postgres-superuser", {"source": "passwords", "target": f"{first}/20-passwords.sql"}],
        "networks": ["inside"],
        "healthcheck": _healthcheck(["CMD", "pg_isready", "-U", "postgres", "-d", "watchword"], interval_s=5),
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
        "shm_size": "256m",
        "logging": _LOGS,
    }


def _job(command: list[str], *, waits_for: str) -> dict[str, Any]:
    return {
        **_ours(OWNERS),
        "command": command,
        "networks": ["inside"],
        "depends_on": {waits_for: {"condition": "service_healthy"}},
        "restart": "no",
    }


def _worker(load: Workload) -> dict[str, Any]:
    return {
        **_ours(load.name),
        "command": ["run", load.name, *(["--ordinal", "0"] if load.numbered else [])],
        "networks": ["inside", *(["outside"] if load.calls_out else [])],
        "depends_on": {job: {"condition": "service_completed_successfully"} for job in ("migrate", "topics")},
        "healthcheck": _healthcheck(["CMD", PYTHON, "-c", _READY], interval_s=5, start_s=120),
        "restart": "unless-stopped",
        "stop_grace_period": f"{GRACE_S}s",
        "mem_limit": "256m",
    }


def _tool(name: str) -> dict[str, Any]:
    """A person's: it runs when it is called, as TOOLS.md shows, and ends with its command."""
    return {**_ours(name), "profiles": ["tools"], "command": ["--help"], "networks": ["inside"], "restart": "no"}


def _ours(name: str) -> dict[str, Any]:
    """What every container of our own image has. `name` says whose secrets it may see."""
    return {
        "image": f"{IMAGE}:latest",
        "build": {"context": "..", "dockerfile": "deploy/Dockerfile"},
        "user": f"{UID}:{UID}",
        **_LOCKED,
        "env_file": ["./compose.env"],
        "secrets": [
            {"source": f"{name}-settings", "target": SETTINGS_FILE},
            {"source": f"{name}-keyring", "target": KEYRING_FILE},
        ],
    }


def _door(behind: list[str]) -> dict[str, Any]:
    return {
        "image": PROXY_IMAGE,
        # nginx's own user, in our group, so that it may read the key.
        "user": f"101:{UID}",
        **_LOCKED,
        "command": ["nginx", "-c", "/etc/nginx/door.conf", "-g", "daemon off;"],
        "volumes": ["./compose/door.conf:/etc/nginx/door.conf:ro"],
        "secrets": ["door.crt", "door.key"],
        "ports": ["8443:8443", "8444:8444"],
        "networks": ["inside", "outside"],
        "depends_on": {name: {"condition": "service_healthy"} for name in behind},
        "restart": "unless-stopped",
    }


def _healthcheck(test: list[str], *, interval_s: int, start_s: int = 60) -> dict[str, Any]:
    return {
        "test": test,
        "interval": f"{interval_s}s",
        "timeout": "5s",
        "retries": 6,
        "start_period": f"{start_s}s",
        "start_interval": "2s",
    }


def _secrets(processes: list[str]) -> Mapping[str, Any]:
    files = {"postgres-superuser": "postgres-superuser", "passwords": "passwords.sql"}
    files |= {"door.crt": "door.crt", "door.key": "door.key"}
    for name in processes:
        files[f"{name}-settings"] = f"{name}/{SETTINGS_FILE}"
        files[f"{name}-keyring"] = f"{name}/{KEYRING_FILE}"
    return {name: {"file": f"{_SECRETS}/{path}"} for name, path in files.items()}
