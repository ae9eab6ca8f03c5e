"""What rings names only what the code tells, leads to a runbook, and says where its threshold comes from."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.metrics_page import NEEDS_PROMTOOL, promtool
from watchword import flow
from watchword.blueprint import tools
from watchword.blueprint.metrics import Metric, declared
from watchword.blueprint.workloads import GRACE_S
from watchword.callbacks.metrics import DUE_WITHIN_S
from watchword.checks.decide import Result
from watchword.dispatch.breaker import OPEN_MAX_S
from watchword.events import topics
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.rules import DEFAULT
from watchword.gateways.outcome import OutcomeClass
from watchword.intake.settings import IntakeSettings
from watchword.timers.metrics import WITHIN_S

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "alerts" / "watchword.rules.yaml"
RUNBOOKS = DEPLOY / "runbooks"
PARTS = ("Means", "Users notice", "Look first", "Do", "Over when")
OF_PROMETHEUS = Metric("up", "gauge", (), "Whether the last scrape was answered.")
OF_SCRAPING = {"job", "instance", "le"}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
STAGES = {*flow.GROUPS, *WITHIN_S, "callbacks.deliveries"}
# What the code gives to a label of these metrics; `accepted` is how intake calls a start that it took.
VALUES: dict[tuple[str, str], set[str]] = {
    ("watchword_dispatch_attempts_total", "outcome"): {each.value for each in OutcomeClass},
    ("watchword_checks_answers_total", "outcome"): {each.value for each in Result},
    ("watchword_fraud_decisions_total", "outcome"): {each.value for each in Action},
    ("watchword_intake_requests_total", "outcome"): {"accepted"},
    ("watchword_receipts_callbacks_total", "outcome"): {"forged", "kept"},
    ("watchword_receipts_failures_total", "reason"): {each.value for each in OutcomeClass},
    ("watchword_http_requests_total", "code_class"): {"2xx", "3xx", "4xx", "5xx"},
    ("watchword_runtime_held_size", "stage"): STAGES,
}

METRICS = {f"{each.name}{suffix}": each for each in [*declared(), OF_PROMETHEUS] for suffix in SUFFIXES[each.kind]}
FAMILIES = {each.name for each in declared()}
RINGING: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
}
SELECTED = re.compile(r"\b((?:watchword|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
MATCHED = re.compile(r'([a-z_]+)(=|!=|=~)"([^"]*)"')
SHOWN = re.compile(r"\{\{-?\s*(?:or )?\$labels\.([a-z_]+)|\{\{([a-z_]+)\}\}")
NAMED = re.compile(r"\b(?:watchword|process)_[a-z_]+[a-z]\b")

# A judge was seen to grow by 764 bytes with each of its nodes, above 105 MB.
JUDGE_BYTES, NODE_BYTES = 105_000_000, 800


def expressions() -> Iterator[tuple[str, str, str]]:
    """Where it stands, an expression, and the text that shows its labels; of the rules and of the dashboard."""
    for name, rule in RINGING.items():
        yield name, rule["expr"], rule["annotations"]["summary"]
    for panel in json.loads((DEPLOY / "grafana" / "watchword.json").read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


def flaws(expression: str, shown: str) -> list[str]:
    """What an expression names that no process tells."""
    found = [f"no metric {name}" for name, _ in SELECTED.findall(expression) if name not in METRICS]
    known = [METRICS[name] for name, _ in SELECTED.findall(expression) if name in METRICS]
    if not known:
        found.append("it looks at nothing")
    labels = {label for metric in known for label in metric.labels} | OF_SCRAPING
    grouped = [label.strip() for group in GROUPED.findall(expression) for label in group.split(",")]
    text = [a or b for a, b in SHOWN.findall(shown)]
    found += [f"no label {label}" for label in (*grouped, *text) if label not in labels]
    for name, matchers in SELECTED.findall(expression):
        for label, _, value in MATCHED.findall(matchers):
            if label in OF_SCRAPING:
                continue
            if name in METRICS and label not in METRICS[name].labels:
                found.append(f"{name} has no label {label}")
            found += [f"{name}: no {label} {word}" for word in value.split("|") if word not in VALUES[name, label]]
    return found


def test_every_metric_label_and_value_that_is_asked_for_is_told_by_some_process() -> None:
    assert [
        (where, flaws(expression, shown)) for where, expression, shown in expressions() if flaws(expression, shown)
    ] == []


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("sum(rate(watchword_intake_shedd_total[5m]))", ""),
        ("max by (stages) (watchword_runtime_oldest_seconds)", ""),
        ('sum(watchword_dispatch_attempts_total{outcome="acepted"})', ""),
        ('sum(watchword_dispatch_attempts_total{country="IN"})', ""),
        ("max by (stage) (watchword_runtime_oldest_seconds)", "{{ $labels.topic }}"),
        ("max(watchword_runtime_age_seconds)", ""),
    ],
)
def test_a_name_that_nobody_tells_would_be_seen(expression: str, shown: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        assert flaws(expression, shown) == []


def book_of(alert: str) -> str:
    """The name of an alert's runbook: its words in small letters."""
    return "-".join(word.lower() for word in re.findall(r"[A-Z][a-z]*", alert.removeprefix("Watchword")))


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == {book_of(alert) for alert in RINGING}
    for alert, rule in RINGING.items():
        assert rule["annotations"]["runbook"] == f"deploy/runbooks/{book_of(alert)}.md"
        assert rule["annotations"]["summary"] and len(rule["annotations"]["threshold"]) > 20
        assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("[!R]*.md")), ids=lambda path: path.stem)
def test_a_runbook_has_its_five_parts_and_names_only_what_there_is(path: Path) -> None:
    text = path.read_text("utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == list(PARTS)
    assert all(part.strip() for part in parts[2::2])
    [alert] = [name for name in RINGING if book_of(name) == path.stem]
    assert text.startswith(f"# {alert}: ")
    assert [name for name in NAMED.findall(text) if name not in METRICS and name not in FAMILIES] == []
    known = {word for command in tools.COMMANDS for word in command.words}
    typed = [" ".join(words) for words in re.findall(r"`watchword (\w+)(?: ([a-z-]+))?", text)]
    assert [words for words in typed if words.strip() not in known and words.split()[0] not in known] == []
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_reason_of_a_dead_letter_and_every_check_of_readiness_is_explained() -> None:
    services = DEPLOY.parent / "services" / "watchword"
    code = "\n".join(path.read_text("utf-8") for path in services.rglob("*.py"))
    reasons = {*re.findall(r'Dead\(\s*"(\w+)"', code), *re.findall(r'_bury\(\w+, "(\w+)"', code), "unmatched_receipt"}
    letters = (RUNBOOKS / "dead-letters.md").read_text("utf-8")
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in letters] == []
    rows = re.findall(r"^\| `(\w+)` \| (\w+)", letters, re.MULTILINE)
    assert {reason for reason, by in rows if by != "intake"} == reasons
    checks = {
        *re.findall(r'health\.check\(\s*"([\w.]+)"', code),
        *re.findall(r'health\.check\(f"\{[\w.]+\}(\.\w+)"', code),
    }
    checks |= set(re.findall(r'f"\{step\.group\}(\.loop)"', code))
    told = (RUNBOOKS / "not-ready.md").read_text("utf-8")
    assert len(checks) >= 12 and [check for check in sorted(checks) if f"{check}`" not in told] == []


def bound(alert: str) -> float:
    """The number after the last comparison of an alert."""
    return float(re.findall(r"(?:>|==) ([\d.]+)\s*$", RINGING[alert]["expr"])[-1])


def waits_s(alert: str) -> int:
    """For how long it must hold."""
    return int(RINGING[alert]["for"].removesuffix("m")) * 60


def test_a_threshold_that_repeats_a_setting_repeats_it_rightly() -> None:
    backlog_s = IntakeSettings.model_fields["backlog_max_s"].default
    assert bound("WatchwordOutboxBehind") == backlog_s / 2
    assert bound("WatchwordCallbacksLate") == DUE_WITHIN_S
    assert bound("WatchwordLag") == 2 * 15 and topics.RETRY_15S.startswith("otp.dispatch.retry-15s")
    assert waits_s("WatchwordProcessGone") > GRACE_S
    assert waits_s("WatchwordCarrierAway") == 5 * OPEN_MAX_S
    limits = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["codes"]["mem_limit"]
    assert bound("WatchwordMemory") == int(0.8 * int(limits.removesuffix("m")) * 1024 * 1024)
    assert bound("WatchwordMemory") > JUDGE_BYTES + DEFAULT.nodes_max * NODE_BYTES, "a full judge is killed for it"


def test_promtool_takes_the_rules_and_they_ring_when_they_should(tmp_path: Path) -> None:
    tool = promtool()
    if tool is None:
        pytest.skip(NEEDS_PROMTOOL)
    shutil.copytree(RULES.parent, tmp_path / "alerts")
    tests = sorted(path.name for path in RULES.parent.glob("*.test.yaml"))
    assert len(tests) >= 2
    for words in (("check", "rules", RULES.name), ("test", "rules", *tests)):
        ended = subprocess.run([tool, *words], cwd=tmp_path / "alerts", capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_scrape_example_names_every_worker() -> None:
    text = (RUNBOOKS / "README.md").read_text("utf-8")
    assert re.findall(r"- (\w+)-members\.watchword\.svc", text) == [worker.name for worker in flow.WORKERS]
