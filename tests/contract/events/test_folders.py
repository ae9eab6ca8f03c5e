"""The folders, event.yaml, topics.yaml and the code say one thing, and nothing lies about that nobody names."""

import re
from pathlib import Path

import pytest

from tests.contract.events.contract_cases import FOLDERS, SCHEMAS, STRUCTS, leaves
from watchword.contracts.folder import ContractError, EventFolder, event_folders
from watchword.contracts.topics import OUTSIDE, read_topics, topics
from watchword.events import catalog, envelope
from watchword.events import topics as topic_names

WORKERS = {"intake", "fraud", "judge", "codes", "dispatch", "receipts", "checks", "timers", "callbacks"}
UNITS = {"id", "word", "text", "token", "flag", "instant", "object", "list"} | {
    "count",
    "number",
    "ms",
    "s",
    "micros",
    "points",
}
CLASSES = {"none", "coarse", "link", "token", "sealed", "clear"}
LIVE = [topic for topic in topics() if topic.events]
DEAD = [topic for topic in topics() if not topic.events]

of_each_event = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_every_event_has_a_struct_and_every_struct_a_folder() -> None:
    assert [folder.name for folder in FOLDERS] == [event.NAME for event in catalog.EVENTS]


def test_the_numbers_tell_the_order_and_are_used_once() -> None:
    numbers = [folder.number for folder in FOLDERS]
    assert numbers == sorted(set(numbers))


@of_each_event
def test_a_folder_holds_what_it_should_and_nothing_else(folder: EventFolder) -> None:
    newest = folder.versions[-1].major
    expected = {"event.yaml", "README.md"}
    expected |= {f"{version.stem}.schema.json" for version in folder.versions}
    expected |= {f"{version.stem}.examples" for version in folder.versions}
    expected |= {f"{version.stem}.upcast" for version in folder.versions if version.major < newest}
    assert {path.name for path in folder.path.iterdir()} == expected
    for inner in filter(Path.is_dir, folder.path.iterdir()):
        assert {path.suffix for path in inner.iterdir()} == {".json"}


@of_each_event
def test_an_old_major_has_an_upcaster_and_a_recorded_result_for_each_example(folder: EventFolder) -> None:
    struct = STRUCTS[folder.name]
    old = [version for version in folder.versions if version.major < struct.MAJOR]
    assert set(catalog.UPCASTERS.get(struct, {})) == {version.major for version in old}
    for version in old:
        assert [path.name for path in folder.upcast(version)] == [path.name for path in folder.examples(version)]


@of_each_event
def test_versions_are_counted_without_gaps(folder: EventFolder) -> None:
    assert sorted({version.major for version in folder.versions}) == list(range(1, STRUCTS[folder.name].MAJOR + 1))
    for major in {version.major for version in folder.versions}:
        minors = [version.minor for version in folder.versions if version.major == major]
        assert minors == list(range(len(minors)))
    assert list(folder.sheet["since"]) == [str(version) for version in folder.versions]


@of_each_event
def test_event_yaml_says_what_the_code_and_topics_yaml_say(folder: EventFolder) -> None:
    sheet, struct = folder.sheet, STRUCTS[folder.name]
    assert set(sheet) == {"type", "meaning", "topics", "key", "writers", "readers", "since", "x-pii"}
    assert sheet["type"] == envelope.type_of(struct)
    assert sheet["meaning"] == folder.schema(folder.versions[-1])["description"]
    assert struct.TOPIC in sheet["topics"]
    assert sheet["topics"] == [topic.name for topic in LIVE if folder.name in topic.events]
    carriers = [topic for topic in LIVE if topic.name in sheet["topics"]]
    assert set(sheet["writers"]) <= {writer for topic in carriers for writer in topic.writers}
    assert set(sheet["readers"]) <= {reader for topic in carriers for reader in topic.readers}
    assert set(sheet["writers"]) | set(sheet["readers"]) <= WORKERS | {OUTSIDE}


@pytest.mark.parametrize("topic", LIVE, ids=lambda topic: topic.name)
def test_whoever_uses_a_topic_has_an_event_to_use_there(topic: object) -> None:
    (spec,) = [one for one in LIVE if one is topic]
    carried = [folder.sheet for folder in FOLDERS if folder.name in spec.events]
    assert len(carried) == len(spec.events)
    assert set(spec.writers) <= {writer for sheet in carried for writer in sheet["writers"]}
    assert set(spec.readers) <= {reader for sheet in carried for reader in sheet["readers"]}


@of_each_event
def test_event_yaml_says_what_is_personal_as_the_schema_does(folder: EventFolder) -> None:
    told = {field: pii for pii, fields in folder.sheet["x-pii"].items() for field in fields}
    fields = {path: field["x-pii"] for path, field in leaves(folder.schema(folder.versions[-1]))}
    assert told == {path: pii for path, pii in fields.items() if pii != "none"}


@of_each_event
def test_every_field_says_what_it_means(folder: EventFolder) -> None:
    for version in folder.versions:
        for path, field in leaves(folder.schema(version)):
            assert field["description"].endswith("."), path
            assert field["x-unit"] in UNITS, path
            assert field["x-pii"] in CLASSES, path
            assert len(field["examples"]) == 1, path


@of_each_event
def test_a_schema_is_open_and_names_the_dialect(folder: EventFolder) -> None:
    for version in folder.versions:
        schema = folder.schema(version)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"] == folder.name
        assert '"additionalProperties": false' not in (folder.path / f"{version.stem}.schema.json").read_text()


@of_each_event
def test_a_readme_is_short_and_its_links_lead_somewhere(folder: EventFolder) -> None:
    lines = (folder.path / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 25
    assert lines[0] == f"# {folder.name}"
    links = [link for line in lines for link in re.findall(r"\]\(([^)]+)\)", line)]
    assert len(links) >= 3
    assert [link for link in links if not (folder.path / link).exists()] == []


def test_topics_yaml_names_the_topics_the_code_names() -> None:
    assert tuple(topic.name for topic in LIVE) == topic_names.ALL


def test_each_topic_that_a_worker_reads_has_a_dead_topic() -> None:
    read = [topic for topic in LIVE if set(topic.readers) & WORKERS]
    assert [topic.name for topic in DEAD] == [topic_names.dead(topic.name) for topic in read]
    assert [topic.writers for topic in DEAD] == [topic.readers for topic in read]
    assert [topic.key for topic in DEAD] == [topic.key for topic in read]
    assert {(topic.cleanup, topic.retention_ms) for topic in DEAD} == {("delete", 30 * 86_400_000)}


def test_only_the_levels_are_compacted_and_only_they_are_kept_for_ever() -> None:
    assert [topic.name for topic in topics() if topic.cleanup == "compact"] == [topic_names.RISK_LEVELS]
    assert [topic.name for topic in topics() if topic.retention_ms == -1] == [topic_names.RISK_LEVELS]


@pytest.mark.parametrize(
    "told", ["", "topics: {}", "topics: {a: {}}\ndead: {suffix: .dead}", "[", "topics: 3\ndead: 4"]
)
def test_a_topics_file_that_lacks_something_is_refused(told: str, tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(told)
    with pytest.raises(ContractError, match=r"topics\.yaml"):
        read_topics(file)


def test_a_folder_with_another_kind_of_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "5-code_issued").mkdir()
    with pytest.raises(ContractError, match="5-code_issued"):
        event_folders(tmp_path)


def test_nothing_lies_beside_the_folders_that_nobody_names() -> None:
    files = {path.name for path in SCHEMAS.iterdir() if path.is_file()}
    assert files == {
        "README.md",
        "DICTIONARY.md",
        "SEALING.md",
        "topics.yaml",
        "envelope.v1.schema.json",
        "published.lock",
    }


def test_what_is_read_whole_by_whoever_starts_is_compacted_within_hours_and_not_weeks() -> None:
    [compacted] = [topic for topic in topics() if topic.cleanup == "compact"]
    assert int(compacted.configs["segment.ms"]) <= 3_600_000
