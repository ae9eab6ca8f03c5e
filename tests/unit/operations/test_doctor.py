"""Every flaw the doctor knows is found, and comes with the line that mends it."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from watchword.contracts.folder import root
from watchword.contracts.topics import TopicSpec
from watchword.gateways.catalog import GATEWAYS
from watchword.operations.brokers import Shape, Unseen, topics
from watchword.operations.clocks import SKEW_MAX_S, agreed
from watchword.operations.databases import configuration
from watchword.operations.finding import Finding
from watchword.operations.machine import doors, keyring, schemas
from watchword.runtime import keyring as keys
from watchword.runtime.configuration import SEALED_SECRETS, Row, account_aad
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import seal
from watchword.runtime.settings import RuntimeSettings

SPEC = TopicSpec(
    "otp.requests.v1", "id", partitions_local=4, partitions_production=48, retention_ms=1, cleanup="delete"
)


def flaws(found: list[Finding]) -> list[tuple[str, str]]:
    """What is not well, each with a fix."""
    assert all(each.fix for each in found if not each.ok) and not any(each.fix for each in found if each.ok)
    return [(each.subject, each.told) for each in found if not each.ok]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (Shape(4, "delete"), None),
        (None, "is not there"),
        (Shape(1, "delete"), "1 partitions instead of 4"),
        (Shape(4, "compact"), "cleanup.policy is compact instead of delete"),
    ],
)
def test_a_topic_that_is_not_as_it_was_meant_is_told(shape: Shape | None, told: str | None) -> None:
    found = flaws(topics([SPEC], {SPEC.name: shape}, production=False))
    assert found == ([] if told is None else [(SPEC.name, told)])


def test_what_a_user_may_not_see_is_neither_missing_nor_wrong() -> None:
    other = replace(SPEC, name="otp.other.v1")
    [hidden, half] = topics(
        [SPEC, other],
        {SPEC.name: Unseen("TopicAuthorizationFailedError"), other.name: Shape(4, None)},
        production=False,
    )
    assert hidden.told == f"1 of 2 are not told of to this user (TopicAuthorizationFailedError): {SPEC.name}"
    assert half.told == f"1 of 2 have settings that this user may not see: {other.name}"
    assert all("watchword-operator" in each.fix and "kafka-configs" not in each.fix for each in (hidden, half))


def test_production_asks_for_its_own_partition_counts() -> None:
    assert flaws(topics([SPEC], {SPEC.name: Shape(48, "delete")}, production=True)) == []
    assert flaws(topics([SPEC], {SPEC.name: Shape(4, "delete")}, production=True)) != []


@pytest.mark.parametrize(
    ("skew_s", "ok"), [(0.0, True), (-SKEW_MAX_S, True), (1.5, False), (-90.0, False), (None, True)]
)
def test_a_clock_more_than_a_second_off_is_told(skew_s: float | None, ok: bool) -> None:
    assert agreed("broker", skew_s).ok is ok


def row(kind: str, identity: str, **document: Any) -> Row:
    """A row of the configuration."""
    return Row(kind, identity, 1, {"id": identity, **document})


def echo(held: Keyring, identity: str = "alpha") -> dict[str, Any]:
    """The document of an account that works, its token sealed as `watchword apply` seals it."""
    sealed = seal(held.sealing(Purpose.ACCOUNT), b'{"token": "t"}', account_aad(identity))
    told = {"id": identity, "gateway": "echo", "url": "http://127.0.0.1:1"}
    return told | {SEALED_SECRETS: base64.b64encode(sealed).decode()}


@pytest.fixture
def held(tmp_path: Path) -> Keyring:
    path = tmp_path / "keyring.json"
    keys.create(path, datetime(2026, 1, 1, tzinfo=UTC))
    return Keyring.load(path, {Purpose.ACCOUNT, Purpose.ENDPOINT})


def test_accounts_and_routes_that_work_are_well(held: Keyring) -> None:
    rows = [Row("account", "alpha", 1, echo(held)), row("route", "all", country="*", accounts=["alpha"])]
    assert flaws(configuration(rows, held, GATEWAYS)) == []


@pytest.mark.parametrize(
    ("account", "subject"),
    [
        ({"gateway": "pigeon"}, "alpha"),
        ({"gateway": "template", "options": {}}, "alpha"),
        ({"secrets_sealed": "AAAA"}, "alpha"),
    ],
    ids=["a gateway that is not", "an account that cannot encode", "secrets under a lost key"],
)
def test_an_account_that_cannot_send_is_told(held: Keyring, account: dict[str, Any], subject: str) -> None:
    rows = [Row("account", "alpha", 1, echo(held) | account), row("route", "all", country="*", accounts=["alpha"])]
    assert subject in [where for where, _ in flaws(configuration(rows, held, GATEWAYS))]


def test_accounts_that_this_keyring_cannot_open_are_no_flaw(held: Keyring) -> None:
    rows = [Row("account", "alpha", 1, echo(held)), row("route", "all", country="*", accounts=["alpha"])]
    found = configuration(rows, Keyring({}), GATEWAYS)
    assert flaws(found) == []
    assert [each.told for each in found if each.check == "accounts"] == [
        "1 are there; the owner's keyring opens them, this one does not"
    ]


def test_a_route_to_nowhere_and_no_route_at_all_are_told(held: Keyring) -> None:
    account = Row("account", "alpha", 1, echo(held))
    nowhere = row("route", "all", country="*", accounts=["alpha", "gone"])
    assert [where for where, _ in flaws(configuration([account, nowhere], held, GATEWAYS))] == ["all"]
    assert [told for _, told in flaws(configuration([account], held, GATEWAYS))] == [
        "there are none: nothing can be sent"
    ]


def test_a_retired_account_is_nobodys_flaw(held: Keyring) -> None:
    rows = [
        Row("account", "alpha", 1, echo(held)),
        Row("account", "old", 2, echo(held, "old") | {"gateway": "pigeon"}, retired=True),
        row("route", "all", country="*", accounts=["alpha"]),
    ]
    assert flaws(configuration(rows, held, GATEWAYS)) == []


PARTS = {"audit": frozenset[Purpose](), "owner": frozenset({Purpose.ACCOUNT, Purpose.ENDPOINT})}


def a_keyring(path: Path, purposes: frozenset[Purpose]) -> str:
    """A keyring file that holds those purposes alone."""
    whole = path.with_name("whole.json")
    keys.create(whole, datetime(2026, 1, 1, tzinfo=UTC))
    told = json.loads(whole.read_text())
    path.touch(mode=0o600)
    path.write_text(json.dumps({**told, "keys": [key for key in told["keys"] if key["purpose"] in purposes]}))
    return str(path)


def test_a_whole_keyring_and_the_part_of_each_process_are_well(tmp_path: Path) -> None:
    for name, purposes in {"whole": frozenset(Purpose), **PARTS}.items():
        (tmp_path / name).mkdir()
        assert flaws(keyring(a_keyring(tmp_path / name / "keyring.json", purposes), PARTS)) == []


def test_a_key_that_is_missing_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    assert [told for _, told in flaws(keyring(str(tmp_path / "nowhere.json"), PARTS))] != []
    path = a_keyring(tmp_path / "keyring.json", frozenset(Purpose) - {Purpose.PEPPER})
    [finding] = keyring(path, PARTS)
    assert finding.subject == "pepper" and f"in the whole keyring `watchword keys rotate {path}" in finding.fix


def test_a_keyring_open_to_others_is_told(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    keys.create(path, datetime(2026, 1, 1, tzinfo=UTC))
    path.chmod(0o644)
    [finding] = keyring(str(path), PARTS)
    assert not finding.ok and "chmod 600" in finding.fix


def test_doors_that_would_speak_plaintext_to_the_network_are_told() -> None:
    assert flaws(doors(RuntimeSettings())) == []
    assert flaws(doors(RuntimeSettings(http_host="0.0.0.0", trusted_proxies=("10.0.0.0/8",)))) == []
    assert flaws(doors(RuntimeSettings(http_host="0.0.0.0"))) != []
    assert flaws(doors(RuntimeSettings(tls_certificate="/nowhere.pem", tls_key="/nowhere.key"))) != []


def test_published_files_are_as_they_were_or_each_is_told(tmp_path: Path) -> None:
    assert flaws(schemas(root())) == []
    (tmp_path / "10-x").mkdir()
    (tmp_path / "10-x" / "v1.schema.json").write_text("{}")
    assert flaws(schemas(tmp_path)) == [("10-x/v1.schema.json", "not locked")]
    (tmp_path / "published.lock").write_text(f"{'0' * 64}  10-x/v1.schema.json\n{'0' * 64}  20-y/v1.schema.json\n")
    assert {where for where, _ in flaws(schemas(tmp_path))} == {"10-x/v1.schema.json", "20-y/v1.schema.json"}
