"""What containers are told by environment, and the table of everything that can be told."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from watchword.blueprint.workloads import DOOR_PORTS, OPS_PORT
from watchword.blueprint.writing import table
from watchword.runtime.settings import CONFIG, RuntimeSettings, Settings, worker_settings

SECRETS = "/run/secrets"
SETTINGS_FILE = "watchword.toml"
KEYRING_FILE = "keyring.json"
COMPOSE_NETWORK = "172.31.250.0/24"
CLUSTER_CA = "/run/kafka-ca/ca.crt"

# In every container: doors on every interface, which is safe only behind the proxies that end TLS.
_CONTAINER: Mapping[str, Any] = {
    "keyring": f"{SECRETS}/{KEYRING_FILE}",
    "ops_host": "0.0.0.0",
    "ops_port": OPS_PORT,
    "http_host": "0.0.0.0",
    "http_port": DOOR_PORTS["public"],
    "receipts_http_port": DOOR_PORTS["carriers"],
    "log_level": "info",
    "log_format": "json",
}
_COMPOSE: Mapping[str, Any] = {
    "kafka": "kafka:9092",
    "partitions": "local",
    "public_receipts_url": "https://localhost:8444",
    "trusted_proxies": COMPOSE_NETWORK,
}
_KUBERNETES: Mapping[str, Any] = {
    "kafka": "kafka-kafka-bootstrap.kafka.svc:9093",
    "kafka_security": "SASL_SSL",
    "kafka_ca": CLUSTER_CA,
    "partitions": "production",
    "public_receipts_url": "https://receipts.example.com",
    "trusted_proxies": "10.0.0.0/8",
}


def compose() -> dict[str, str]:
    """The environment of every container of compose.yaml."""
    return _variables({**_CONTAINER, **_COMPOSE})


def kubernetes() -> dict[str, str]:
    """The environment of every container in Kubernetes."""
    return _variables({**_CONTAINER, **_KUBERNETES})


def _variables(values: Mapping[str, Any]) -> dict[str, str]:
    """Variables by name, in the order of the settings. Raises ValidationError on a value no process would take."""
    RuntimeSettings(**values)
    told = {
        RuntimeSettings.variable(name): str(values[name]) for name in RuntimeSettings.model_fields if name in values
    }
    return {CONFIG: f"{SECRETS}/{SETTINGS_FILE}", **told}


def settings_table() -> str:
    """Every variable there is, with its default and its meaning, as a Markdown table."""
    classes: list[type[Settings]] = [RuntimeSettings, *sorted(worker_settings(), key=lambda cls: cls.table())]
    rows = [[f"`{CONFIG}`", "", "Path of a TOML file with any of these; the environment goes first"]]
    for cls in classes:
        rows += [_row(cls, name, info) for name, info in cls.model_fields.items()]
    return table(("variable", "default", "meaning"), rows)


def _row(cls: type[Settings], name: str, info: FieldInfo) -> list[str]:
    default = info.get_default(call_default_factory=True)
    empty = default in (PydanticUndefined, "", ()) or not str(default)
    return [f"`{cls.variable(name)}`", "" if empty else f"`{default}`", info.description or ""]
