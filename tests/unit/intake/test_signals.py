"""What a platform claims becomes tokens: the same for the same, and nothing can be read back from them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from watchword.intake.bodies import Claims
from watchword.intake.signals import address_of, platform_of, tokenised
from watchword.runtime import keyring as keyrings
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import token

NUMBER = "+998901234567"


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    """Keys of this test's own."""
    path = tmp_path / "keyring.json"
    keyrings.create(path, datetime.now(UTC))
    return Keyring.load(path, {Purpose.SIGNAL_TOKEN})


@pytest.mark.parametrize(
    ("one", "other", "same_net", "same_owner"),
    [
        ("203.0.113.9", "203.0.113.200", True, False),
        ("203.0.113.9", "203.0.114.9", False, False),
        ("203.0.113.9", "::ffff:203.0.113.9", True, True),
        ("2001:db8::1", "2001:db8::ffff", True, True),
        ("2001:db8::1", "2001:db8:0:1::1", True, False),
        ("2001:db8::1", "2001:db9::1", False, False),
    ],
)
def test_addresses_share_a_network_and_an_owner(
    keyring: Keyring, one: str, other: str, same_net: bool, same_owner: bool
) -> None:
    first, second = (tokenised(Claims(ip=ip), NUMBER, "shop", keyring) for ip in (one, other))
    assert (first.signals.ip_net_token == second.signals.ip_net_token) is same_net
    assert (first.ip_key == second.ip_key) is same_owner


def test_nothing_that_was_claimed_can_be_read_in_the_tokens(keyring: Keyring) -> None:
    claims = Claims(ip="203.0.113.9", device_id="device-77", account_ref="account-88", user_agent="Mozilla (iPhone)")
    told = str(tokenised(claims, NUMBER, "shop", keyring))
    assert not any(word in told for word in ("203.0", "device-77", "account-88", "Mozilla", "4567", "901234"))
    assert tokenised(claims, NUMBER, "shop", keyring).signals.platform == "ios"


def test_two_tenants_have_two_names_for_one_user(keyring: Keyring) -> None:
    claims = Claims(ip="203.0.113.9", device_id="device-77", account_ref="account-88")
    here, there = (tokenised(claims, NUMBER, tenant, keyring).signals for tenant in ("shop", "other"))
    for name in (
        "ip_token",
        "ip_net_token",
        "device_token",
        "account_token",
        "owner_token",
        "block_token",
        "row_token",
    ):
        assert getattr(here, name) != getattr(there, name)


def test_one_word_claimed_as_two_things_has_two_names(keyring: Keyring) -> None:
    signals = tokenised(Claims(device_id="x", account_ref="x"), NUMBER, "shop", keyring).signals
    assert signals.device_token != signals.account_token


def test_what_was_not_claimed_has_no_token(keyring: Keyring) -> None:
    found = tokenised(Claims(), NUMBER, "shop", keyring)
    assert (found.ip_key, found.signals.ip_token, found.signals.device_token) == ("", "", "")


@pytest.mark.parametrize(
    "text", ["1.2.3", "1.2.3.4/8", "01.2.3.4", "fe80::1%eth0", "localhost", "1.2.3.4 ", "\uff11.2.3.4"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        address_of(text)


@pytest.mark.parametrize(
    ("agent", "word"),
    [("AcmeApp/7 (Android 16)", "android"), ("Mozilla/5.0 (Windows NT 10.0)", "windows"), ("curl/8", ""), ("", "")],
)
def test_of_a_user_agent_only_the_platforms_word_is_kept(agent: str, word: str) -> None:
    assert platform_of(agent) == word


@pytest.mark.parametrize(
    ("other", "same_block", "same_row"),
    [("+998901234667", True, False), ("+998901234568", True, True), ("+998901235567", False, False)],
)
def test_numbers_share_a_thousand_and_a_hundred(keyring: Keyring, other: str, same_block: bool, same_row: bool) -> None:
    first, second = (tokenised(Claims(), number, "shop", keyring).signals for number in (NUMBER, other))
    assert (first.block_token == second.block_token, first.row_token == second.row_token) == (same_block, same_row)
    assert first.phone_token != second.phone_token
    assert len(first.block_token) == len(first.row_token) == 8


def test_a_number_has_one_name_that_all_tenants_share_and_it_is_none_of_theirs(keyring: Keyring) -> None:
    here, there = (tokenised(Claims(), NUMBER, tenant, keyring).signals for tenant in ("shop", "other"))
    assert here.phone_token == there.phone_token
    own = keyring.tenant_key(Purpose.SIGNAL_TOKEN, "shop")
    assert here.phone_token != token(own, f"phone:{NUMBER}"), "a tenant's key does not make it"
