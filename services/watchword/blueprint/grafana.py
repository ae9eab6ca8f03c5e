"""deploy/grafana/watchword.json: one dashboard, from the user's side down to the processes."""

import json
from dataclasses import dataclass
from typing import Any

_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 7
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph: lines as (expression, legend) pairs, `unit` in Grafana's words."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]


def _quantiles(metric: str, by: str) -> tuple[tuple[str, str], ...]:
    """The median and the worst of a hundred of a histogram, by a label."""
    spread = f"sum by (le, {by}) (rate({metric}_bucket[5m]))"
    return tuple((f"histogram_quantile({q}, {spread})", f"p{int(q * 100)} {{{{{by}}}}}") for q in (0.5, 0.99))


def _rate(metric: str, *by: str) -> tuple[str, str]:
    """How often a second, by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return f"sum by ({', '.join(by)}) (rate({metric}[5m]))", legend


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Users", (
        Panel("Starts by what came of them", "reqps", (_rate("watchword_intake_requests_total", "outcome"),
                                                     ("sum(rate(watchword_intake_shed_total[5m]))", "overloaded"))),
        Panel("Checks by result", "reqps", (_rate("watchword_checks_answers_total", "outcome"),)),
        Panel("Right codes for each accepted start, today and yesterday", "percentunit", (
            ('sum(rate(watchword_checks_answers_total{outcome="approved"}[15m])) / '
             'sum(rate(watchword_intake_requests_total{outcome="accepted"}[15m]))', "today"),
            ('sum(rate(watchword_checks_answers_total{outcome="approved"}[15m] offset 1d)) / '
             'sum(rate(watchword_intake_requests_total{outcome="accepted"}[15m] offset 1d))', "yesterday"))),
        Panel("Time to answer", "s", _quantiles("watchword_http_request_seconds", "route")),
        Panel("Answers that are errors of ours", "reqps",
              (('sum by (route) (rate(watchword_http_requests_total{code_class="5xx"}[5m]))', "{{route}}"),)),
        Panel("What a code accepted now would wait", "s", (("max(watchword_intake_ahead_seconds)", "ahead"),
                                                          ("max(watchword_intake_backlog_seconds)", "backlog"))),
    )),
    ("Stages", (
        Panel("Share of its time that the oldest item has used", "percentunit",
              (("max by (stage) (watchword_runtime_deadline_used_ratio)", "{{stage}}"),)),
        Panel("Events dealt with", "eps", (_rate("watchword_runtime_events_total", "stage"),)),
        Panel("Age of events when they are taken", "s", _quantiles("watchword_runtime_age_seconds", "stage")),
        Panel("Time of a batch", "s", _quantiles("watchword_runtime_batch_seconds", "stage")),
        Panel("Age of the oldest record that nobody committed", "s",
              (("max by (group, topic) (watchword_lag_oldest_seconds)", "{{group}} {{topic}}"),)),
        Panel("Buried events", "eps", (_rate("watchword_runtime_buried_total", "stage", "reason"),
                                       _rate("watchword_judge_dead_letters_total", "reason"))),
        Panel("Age of the oldest event that Kafka does not have", "s",
              (("max(watchword_timers_outbox_age_seconds)", "outbox"),)),
        Panel("Time to publish", "s", _quantiles("watchword_runtime_publish_seconds", "stage")),
        Panel("Overdue rows", "s", (("max by (stage) (watchword_timers_overdue_seconds)", "{{stage}}"),)),
    )),
    ("Carriers", (
        Panel("Attempts by account and outcome", "reqps",
              (_rate("watchword_dispatch_attempts_total", "account", "outcome"),)),
        Panel("Breakers: 0 closed, 1 half open, 2 open", "short",
              (("max by (account) (watchword_dispatch_breaker_state)", "{{account}}"),)),
        Panel("Time of a call", "s", _quantiles("watchword_dispatch_call_seconds", "account")),
        Panel("Messages waiting for the account, and its pace", "short",
              (("sum by (account) (watchword_dispatch_waiting_size)", "waiting {{account}}"),
               ("sum by (account) (watchword_dispatch_rate_level)", "a second {{account}}"))),
        Panel("Price of what may have left", "short",
              (("sum by (account) (rate(watchword_dispatch_cost_micros_total[1h])) * 3600 / 1e6",
                "an hour {{account}}"),)),
        Panel("Receipts", "reqps", (_rate("watchword_receipts_callbacks_total", "account", "outcome"),
                                    _rate("watchword_receipts_unmapped_total", "account"))),
        Panel("Second messages, late messages", "short",
              (("sum(increase(watchword_dispatch_possible_duplicates_total[1h]))", "possible duplicates, an hour"),
               ("sum(increase(watchword_dispatch_late_sends_total[1h]))", "late, an hour"))),
    )),
    ("Fraud, money, tenants", (
        Panel("Sends assessed by what is done", "reqps",
              (_rate("watchword_fraud_decisions_total", "outcome", "state"),)),
        Panel("Why, of those that were not let through", "reqps",
              (('sum by (rule) (rate(watchword_fraud_decisions_total{outcome!="allow"}[5m]))', "{{rule}}"),)),
        Panel("Caps: share held and spent", "percentunit",
              (("max by (cap) (watchword_fraud_spending_used_ratio)", "{{cap}}"),)),
        Panel("Checks beyond what a tenant's right ones explain", "reqps",
              (("sum(rate(watchword_checks_excess_total[5m]))", "excess"),)),
        Panel("Calls to endpoints", "reqps", (_rate("watchword_callbacks_results_total", "outcome"),)),
        Panel("Oldest delivery that is due; endpoints left alone", "short",
              (("max(watchword_callbacks_due_seconds)", "due for s"),
               ("sum(watchword_callbacks_open_circuits_level)", "open circuits"))),
    )),
    ("Processes", (
        Panel("Checks that fail", "short",
              (("count by (instance, check) (watchword_runtime_ready_state == 0)", "{{instance}} {{check}}"),)),
        Panel("Memory", "bytes", (('process_resident_memory_bytes{job="watchword"}', "{{instance}}"),)),
        Panel("Cores used", "short", (('rate(process_cpu_seconds_total{job="watchword"}[5m])', "{{instance}}"),)),
        Panel("Partitions read and held", "short",
              (("sum by (stage) (watchword_runtime_assigned_size)", "read {{stage}}"),
               ("sum by (stage) (watchword_runtime_held_size)", "held {{stage}}"))),
        Panel("Assignments that changed", "short",
              (("sum by (stage) (increase(watchword_runtime_rebalances_total[10m]))", "{{stage}}"),)),
    )),
)  # fmt: skip


def dashboard_text() -> str:
    """The whole file, as Grafana imports it: it asks for the Prometheus to use."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, some in ROWS:
        panels.append(_row(title, identity=len(panels) + 1, top=top))
        for place, panel in enumerate(some):
            panels.append(_graph(panel, identity=len(panels) + 1, place=place, top=top + 1))
        top += 1 + _HEIGHT * -(-len(some) // _COLUMNS)
    document = {
        "uid": "watchword",
        "title": "Watchword",
        "tags": ["watchword"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": panels,
    }
    return json.dumps(document, indent=1) + "\n"


def _row(title: str, *, identity: int, top: int) -> dict[str, Any]:
    whole = {"x": 0, "y": top, "w": _COLUMNS * _WIDTH, "h": 1}
    return {"id": identity, "type": "row", "title": title, "collapsed": False, "gridPos": whole, "panels": []}


def _graph(panel: Panel, *, identity: int, place: int, top: int) -> dict[str, Any]:
    row, column = divmod(place, _COLUMNS)
    return {
        "id": identity,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": top + row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(panel.lines)
        ],
    }
