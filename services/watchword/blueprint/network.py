"""Who may speak to whom in Kubernetes: nobody, and then what the map needs.

Four namespaces are known by name: `kafka`, `postgres`, `gateway` (what ends TLS for the doors) and `monitoring`. An
overlay that calls them otherwise patches the selectors.
"""

from collections.abc import Sequence
from typing import Any

from watchword.blueprint.tools import TOOLS
from watchword.blueprint.workloads import OPERATORS, OPS_PORT, Workload

KAFKA_PORT = 9093
POSTGRES_PORT = 5432
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_COMPONENT = "app.kubernetes.io/component"
_OPERATOR = {_COMPONENT: "operator"}
# Beyond the cluster means the public internet: no private, shared, link-local or multicast address.
_NOT_OUTSIDE_4 = ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
_NOT_OUTSIDE_4 += ["224.0.0.0/4", "240.0.0.0/4"]


def policies(loads: Sequence[Workload]) -> list[dict[str, Any]]:
    """Every NetworkPolicy of the base."""
    doors = [
        _policy(
            f"{load.name}-door",
            {"matchLabels": {_COMPONENT: load.name}},
            ingress=[_from("gateway", *load.doors.values())],
        )
        for load in loads
        if load.doors
    ]
    names = [load.name for load in loads]
    return [
        {**_policy("nobody", {}), "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}},
        _policy("names", {}, egress=[_name_service()]),
        _policy("postgres", _among([*names, "migrate", *TOOLS]), egress=[_to("postgres", POSTGRES_PORT)]),
        _policy("kafka", _among([*names, "topics", *OPERATORS]), egress=[_to("kafka", KAFKA_PORT)]),
        _policy("metrics", _among(names), ingress=[_looked_at()]),
        _policy("top", {"matchLabels": _OPERATOR}, egress=[_to_ports_of(names)]),
        *doors,
        _policy("outside", _among([load.name for load in loads if load.calls_out]), egress=[_outside()]),
    ]


def _policy(name: str, pods: dict[str, Any], **directions: list[dict[str, Any]]) -> dict[str, Any]:
    spec = {"podSelector": pods, "policyTypes": [way.capitalize() for way in directions], **directions}
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": "watchword"}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _among(names: Sequence[str]) -> dict[str, Any]:
    return {"matchExpressions": [{"key": _COMPONENT, "operator": "In", "values": list(names)}]}


def _from(namespace: str, *ports: int) -> dict[str, Any]:
    return {"from": [_namespace(namespace)], "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def _to(namespace: str, port: int) -> dict[str, Any]:
    return {"to": [_namespace(namespace)], "ports": [{"protocol": "TCP", "port": port}]}


def _looked_at() -> dict[str, Any]:
    """By the monitoring, and by whoever runs `watchword top`."""
    peers = [_namespace("monitoring"), {"podSelector": {"matchLabels": _OPERATOR}}]
    return {"from": peers, "ports": [{"protocol": "TCP", "port": OPS_PORT}]}


def _to_ports_of(names: Sequence[str]) -> dict[str, Any]:
    return {"to": [{"podSelector": _among(names)}], "ports": [{"protocol": "TCP", "port": OPS_PORT}]}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}


def _name_service() -> dict[str, Any]:
    peer = {**_namespace("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {"to": [peer], "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}


def _outside() -> dict[str, Any]:
    """Any TCP port: carriers and customers choose theirs; whom exactly, the workers' own rules decide."""
    four = {"ipBlock": {"cidr": "0.0.0.0/0", "except": _NOT_OUTSIDE_4}}
    return {"to": [four, {"ipBlock": {"cidr": "2000::/3"}}], "ports": [{"protocol": "TCP"}]}
