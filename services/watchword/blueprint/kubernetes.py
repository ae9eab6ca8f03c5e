"""deploy/k8s/base: a Kustomize base with everything but the cluster's own choices (registry, Kafka, Postgres, gateway).

One file a worker. A worker that reads topics is a StatefulSet: its copies are static members of a consumer group, and
the pod's index is their number. The others are Deployments.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from watchword.blueprint import environment, network
from watchword.blueprint.tools import TOOLS
from watchword.blueprint.workloads import GRACE_S, IMAGE, OPS_PORT, PYTHON, UID, Workload, workloads
from watchword.blueprint.writing import env_text, yaml_text

NAMESPACE = "watchword"
SETTINGS = "watchword-settings"
REPLICAS = 2
# A door goes on answering while the cluster takes it off its lists; the kubelet does the waiting, without a shell.
DOOR_LINGERS_S = 5
STARTS_WITHIN_S = 120
_PROBE_S = 2
# An audit holds what it compares.
_TOOLS_MEMORY = "2Gi"
# The first process of a container hears SIGTERM only if it asks for it.
_WAITS = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); signal.sigwait([signal.SIGTERM])"
_ORDINAL = "WATCHWORD_ORDINAL"
_POD_INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"

_KUSTOMIZATION_HEAD = """\
# An overlay sets the registry and the digest under `images`, and what differs from settings.env.
"""


def files() -> dict[str, str]:
    """Every file of the base, by name."""
    loads = workloads()
    made = {
        "namespace.yaml": yaml_text(_namespace()),
        "network.yaml": yaml_text(*network.policies(loads)),
        "jobs.yaml": yaml_text(_job("migrate"), _job("topics")),
        "tools.yaml": yaml_text(*(_tool(name) for name in TOOLS)),
        **{f"{load.name}.yaml": yaml_text(*_objects(load)) for load in loads},
    }
    return {
        "kustomization.yaml": yaml_text(_kustomization(list(made)), head=_KUSTOMIZATION_HEAD),
        "settings.env": env_text(environment.kubernetes()),
        **made,
    }


def labels(component: str) -> dict[str, str]:
    """The labels of one worker or job."""
    return {"app.kubernetes.io/name": "watchword", "app.kubernetes.io/component": component}


def _kustomization(resources: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": resources,
        "configMapGenerator": [{"name": SETTINGS, "envs": ["settings.env"]}],
        "images": [{"name": IMAGE, "newName": "registry.example.com/watchword", "newTag": version("watchword")}],
    }


def _namespace() -> dict[str, Any]:
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": restricted}}


def _objects(load: Workload) -> list[dict[str, Any]]:
    made = _stateful_set(load) if load.numbered else _deployment(load)
    return [made, _members(load), *([_service(load)] if load.doors else []), _disruption_budget(load)]


def _stateful_set(load: Workload) -> dict[str, Any]:
    spec = {"serviceName": f"{load.name}-members", "podManagementPolicy": "Parallel"}
    return {**_head("apps/v1", "StatefulSet", load.name), "spec": {**spec, **_workload_spec(load)}}


def _deployment(load: Workload) -> dict[str, Any]:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    return {**_head("apps/v1", "Deployment", load.name), "spec": {"strategy": strategy, **_workload_spec(load)}}


def _workload_spec(load: Workload) -> dict[str, Any]:
    return {
        "replicas": REPLICAS,
        "minReadySeconds": 5,
        "selector": {"matchLabels": labels(load.name)},
        "template": {"metadata": {"labels": labels(load.name)}, "spec": _pod(load)},
    }


def _pod(load: Workload) -> dict[str, Any]:
    lingers = {"lifecycle": {"preStop": {"sleep": {"seconds": DOOR_LINGERS_S}}}} if load.doors else {}
    ordinal = {"name": _ORDINAL, "valueFrom": {"fieldRef": {"fieldPath": _POD_INDEX}}}
    container = {
        **_container(load.name, ["run", load.name]),
        **({"env": [ordinal]} if load.numbered else {}),
        "ports": [{"name": name, "containerPort": port} for name, port in {"ops": OPS_PORT, **load.doors}.items()],
        "startupProbe": _probe("/livez", failures=STARTS_WITHIN_S // _PROBE_S, every_s=_PROBE_S),
        "livenessProbe": _probe("/livez", failures=3, every_s=10),
        "readinessProbe": _probe("/readyz", failures=2, every_s=_PROBE_S),
        **lingers,
    }
    return {
        "terminationGracePeriodSeconds": GRACE_S + (DOOR_LINGERS_S if load.doors else 0),
        "topologySpreadConstraints": [
            _spread(load, "topology.kubernetes.io/zone"),
            _spread(load, "kubernetes.io/hostname"),
        ],
        **_surroundings(load.name),
        "containers": [container],
    }


def _job(name: str) -> dict[str, Any]:
    """Runs before a roll-out, with the owner's secrets; Kubernetes forgets it an hour later."""
    pod = {"restartPolicy": "OnFailure", **_surroundings("owner"), "containers": [_container(name, [name])]}
    spec = {
        "backoffLimit": 4,
        "activeDeadlineSeconds": 900,
        "ttlSecondsAfterFinished": 3600,
        "template": {"metadata": {"labels": labels(name)}, "spec": pod},
    }
    return {**_head("batch/v1", "Job", name), "spec": spec}


def _tool(name: str) -> dict[str, Any]:
    """A person's: no copy of it runs until one is wanted, and then it waits for commands by `kubectl exec`."""
    waiting = {**_container(name, [], memory=_TOOLS_MEMORY), "command": [PYTHON, "-c", _WAITS]}
    pod = {"terminationGracePeriodSeconds": 5, **_surroundings(name), "containers": [waiting]}
    template = {"metadata": {"labels": labels(name)}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels(name)}, "template": template}
    return {**_head("apps/v1", "Deployment", name), "spec": spec}


def _container(name: str, arguments: list[str], *, memory: str = "256Mi") -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "args": arguments,
        "envFrom": [{"configMapRef": {"name": SETTINGS}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "secrets", "mountPath": environment.SECRETS, "readOnly": True},
            {"name": "kafka-ca", "mountPath": environment.CLUSTER_CA.rpartition("/")[0], "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _surroundings(secrets: str) -> dict[str, Any]:
    """What every pod of ours has around its container. `secrets` says whose it may see.

    Without enableServiceLinks: false Kubernetes would add variables for every Service, and one whose name begins with
    watchword would be refused as an unknown setting.
    """
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "secrets", "secret": {"secretName": f"watchword-{secrets}", "defaultMode": 0o440}},
            {"name": "kafka-ca", "secret": {"secretName": "kafka-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        ],
    }


def _members(load: Workload) -> dict[str, Any]:
    ports = [{"name": "ops", "port": OPS_PORT, "targetPort": "ops"}]
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": labels(load.name), "ports": ports}
    return {**_head("v1", "Service", f"{load.name}-members", load.name), "spec": spec}


def _service(load: Workload) -> dict[str, Any]:
    ports = [{"name": name, "port": port, "targetPort": name} for name, port in load.doors.items()]
    return {**_head("v1", "Service", load.name), "spec": {"selector": labels(load.name), "ports": ports}}


def _disruption_budget(load: Workload) -> dict[str, Any]:
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": labels(load.name)},
    }
    return {**_head("policy/v1", "PodDisruptionBudget", load.name), "spec": spec}


def _spread(load: Workload, over: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(load.name)},
    }


def _probe(path: str, *, failures: int, every_s: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "ops"},
        "periodSeconds": every_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _head(api: str, kind: str, name: str, component: str = "") -> Mapping[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels(component or name)}}
