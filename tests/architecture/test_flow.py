"""The map, the code, the schemas and the database say the same."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from watchword import flow
from watchword.callbacks.decide.tell import TELLABLE
from watchword.events import topics
from watchword.events.catalog import EVENTS
from watchword.fraud.worker import LEARNS_FROM
from watchword.kernel.verification import TRANSITIONS, State

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services" / "watchword"
MOVES = re.compile(r"^-- moves: (?P<sources>[a-z_, ]+) -> (?P<target>[a-z_]+)$", re.MULTILINE)

SETS_STATE = re.compile(r"UPDATE verifications\b.*?\bSET\b(?:(?!\bFROM\b|\bWHERE\b).)*?\bstate = ", re.DOTALL)


def events_on_disk() -> dict[str, dict[str, list[str]]]:
    return {
        path.parent.name.split("-", 1)[1]: yaml.safe_load(path.read_text("utf-8"))
        for path in sorted((ROOT / "schemas").glob("[0-9][0-9]-*/event.yaml"))
    }


@pytest.mark.parametrize("worker", flow.WORKERS, ids=lambda worker: worker.name)
def test_a_worker_reads_and_writes_what_the_map_says(worker: flow.Worker) -> None:
    module = importlib.import_module(worker.module)
    assert set(module.READS) == set(worker.reads)
    assert {event.NAME for event in module.WRITES} == set(worker.writes)


def test_every_schema_names_the_writers_that_the_map_names() -> None:
    written = {event.NAME: {worker.name for worker in flow.WORKERS if event.NAME in worker.writes} for event in EVENTS}
    for name, told in events_on_disk().items():
        outside = {"publishers", "publisher", "platforms"}
        assert set(told["writers"]) - outside == written[name], f"{name}: event.yaml and flow.py differ"


def read_by(worker: flow.Worker) -> set[str]:
    """The events that a worker handles: all of a topic, but of the lifecycle, where everybody listens for some."""
    told = yaml.safe_load((ROOT / "schemas" / "topics.yaml").read_text("utf-8"))["topics"]
    chosen = {"fraud": LEARNS_FROM, "callbacks": TELLABLE}
    found = {event for topic in worker.reads if topic != topics.LIFECYCLE for event in told[topic]["events"]}
    return found | {event.NAME for event in chosen.get(worker.name, ()) if topics.LIFECYCLE in worker.reads}


def test_every_schema_names_the_readers_that_handle_it() -> None:
    assert {worker.name for worker in flow.WORKERS if topics.LIFECYCLE in worker.reads} == {"fraud", "callbacks"}
    handled = {worker.name: read_by(worker) for worker in flow.WORKERS}
    for folder, told in events_on_disk().items():
        by_workers = {name for name, events in handled.items() if folder in events}
        assert set(told["readers"]) - {"platforms"} == by_workers, (
            f"{folder}: event.yaml and what workers handle differ"
        )
        [readme] = (ROOT / "schemas").glob(f"[0-9][0-9]-{folder}/README.md")
        [sentence] = re.findall(r"[Rr]ead by ([^.;]+)[.;]", readme.read_text("utf-8"))
        assert {word for word in told["readers"] if word not in sentence} == set(), readme
        assert {name for name in flow.BY_NAME if re.search(rf"\b{name}\b", sentence)} == by_workers, readme


def test_every_topic_has_a_writer_and_is_on_the_screen() -> None:
    told = yaml.safe_load((ROOT / "schemas" / "topics.yaml").read_text("utf-8"))
    names = {entry["name"] for entry in told["topics"]} if isinstance(told["topics"], list) else set(told["topics"])
    assert names == set(topics.ALL)


def test_every_statement_moves_only_where_the_table_allows() -> None:
    checked = 0
    for path in sorted(SERVICES.glob("*/store.sql")):
        for found in MOVES.finditer(path.read_text("utf-8")):
            sources = [State(word.strip()) for word in found["sources"].split(",")]
            for source in sources:
                assert State(found["target"]) in TRANSITIONS[source].values(), f"{path.name}: {found.group(0)}"
                checked += 1
    assert checked >= 5


def test_every_statement_that_sets_a_verification_state_says_its_move() -> None:
    for path in sorted(SERVICES.glob("*/store.sql")):
        for block in path.read_text("utf-8").split("-- name: ")[1:]:
            sets_state = SETS_STATE.search(block)
            assert not sets_state or MOVES.search(block), f"{path}: {block.splitlines()[0]} has no '-- moves:' line"


def test_every_topic_that_workers_read_is_shared_in_a_group_or_read_whole() -> None:
    shared = {topic for read in flow.GROUPS.values() for topic in read}
    assert shared == {topic for worker in flow.WORKERS for topic in worker.reads} - {topics.RISK_LEVELS}
