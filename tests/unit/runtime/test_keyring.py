"""The keyring file: made once, rotated by adding, and open only to who may hold a purpose."""

import json
import stat
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from watchword.runtime.keyring import NAMING, Keyring, KeyringError, Purpose, create, facts, promote, rotate

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create(tmp_path / "keyring.json", NOW)
    return tmp_path / "keyring.json"


def test_a_new_keyring_has_a_key_for_every_purpose_and_is_the_owners_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {one.purpose for one in facts(path)} == set(Purpose)
    assert all(one.seals for one in facts(path))


def test_an_existing_keyring_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeyringError, match="exists already"):
        create(path, NOW)
    assert path.read_bytes() == before


def test_during_a_rotation_nobody_seals_what_another_cannot_open_whoever_starts_first(path: Path) -> None:
    """A right code was wrong when codes had started anew and checks had not."""
    started = [Keyring.load(path, {Purpose.PEPPER})]
    for step in (partial(rotate, now=NOW, purposes=[Purpose.PEPPER]), promote):
        step(path)
        started.append(Keyring.load(path, {Purpose.PEPPER}))
        before, after = started[-2:]
        assert before.sealing(Purpose.PEPPER) in after.opening(Purpose.PEPPER)
        assert after.sealing(Purpose.PEPPER) in before.opening(Purpose.PEPPER)
    assert started[0].sealing(Purpose.PEPPER) == started[1].sealing(Purpose.PEPPER)
    assert started[1].sealing(Purpose.PEPPER) != started[2].sealing(Purpose.PEPPER)


def test_the_first_key_of_a_purpose_does_not_wait(path: Path) -> None:
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "keys": [one for one in stored["keys"] if one["purpose"] != "pepper"]}))
    rotate(path, NOW, [Purpose.PEPPER])
    assert Keyring.load(path, {Purpose.PEPPER}).sealing(Purpose.PEPPER)


def test_after_a_rotation_the_new_key_seals_and_the_old_one_opens(path: Path) -> None:
    before = Keyring.load(path, {Purpose.PEPPER}).sealing(Purpose.PEPPER)
    rotate(path, NOW, [Purpose.PEPPER])
    promote(path)
    after = Keyring.load(path, {Purpose.PEPPER})
    assert after.sealing(Purpose.PEPPER).id != before.id
    assert after.opening(Purpose.PEPPER)[1] == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_rotation_of_all_leaves_the_naming_keys(path: Path) -> None:
    rotate(path, NOW)
    counts = {purpose: sum(one.purpose is purpose for one in facts(path)) for purpose in Purpose}
    assert {purpose for purpose, count in counts.items() if count == 1} == NAMING


def test_a_worker_holds_only_what_it_asked_for(path: Path) -> None:
    keyring = Keyring.load(path, {Purpose.SENDING})
    assert keyring.holds(Purpose.SENDING) and not keyring.holds(Purpose.PEPPER)
    with pytest.raises(KeyringError, match="may not hold keys for pepper"):
        keyring.opening(Purpose.PEPPER)


def test_each_tenant_has_a_key_of_its_own(path: Path) -> None:
    keyring = Keyring.load(path, {Purpose.NUMBER_TOKEN, Purpose.SIGNAL_TOKEN})
    ones = [keyring.tenant_key(Purpose.NUMBER_TOKEN, tenant) for tenant in ("a", "b", "a")]
    assert ones[0] == ones[2] != ones[1]
    assert ones[0].secret != keyring.sealing(Purpose.NUMBER_TOKEN).secret
    assert keyring.tenant_key(Purpose.SIGNAL_TOKEN, "a").secret != ones[0].secret


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_a_keyring_that_others_may_read_or_write_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(KeyringError, match="chmod 600"):
        Keyring.load(path, {Purpose.PEPPER})


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format":1,"keys":[{"id":"x"}]}', "\x00"])
def test_a_damaged_keyring_is_told_and_not_overwritten(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(KeyringError, match="not a keyring"):
        rotate(path, NOW)
    assert path.read_text() == text


def test_a_keyring_of_another_format_or_with_short_keys_is_refused(path: Path) -> None:
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "format": 2}))
    with pytest.raises(KeyringError, match="format 2"):
        facts(path)
    stored["keys"][0]["secret"] = "c2hvcnQ="
    path.write_text(json.dumps(stored))
    with pytest.raises(KeyringError, match="not a keyring") as caught:
        facts(path)
    assert "c2hvcnQ" not in str(caught.value)


def test_a_missing_file_and_a_missing_purpose_name_the_command_that_helps(path: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="watchword keys init"):
        Keyring.load(tmp_path / "none.json", {Purpose.PEPPER})
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "keys": [one for one in stored["keys"] if one["purpose"] != "pepper"]}))
    with pytest.raises(KeyringError, match=r"keys rotate .* --purpose pepper"):
        Keyring.load(path, {Purpose.PEPPER})


def test_no_key_is_printed(path: Path) -> None:
    keyring = Keyring.load(path, set(Purpose))
    secrets = [one["secret"] for one in json.loads(path.read_text())["keys"]]
    told = repr(keyring) + repr(keyring.sealing(Purpose.PEPPER)) + repr(facts(path))
    assert not any(secret in told for secret in secrets)
    assert repr(keyring.sealing(Purpose.PEPPER).secret) not in told
