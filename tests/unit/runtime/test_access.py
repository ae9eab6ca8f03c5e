"""Who is asking and from where: keys, proxies, plaintext, rate headers."""

from datetime import UTC, datetime, timedelta

import pytest

from watchword.kernel.tenancy import Tenant
from watchword.runtime import api_keys
from watchword.runtime.access import authenticate, client_address, networks, rate_headers, refuse_open_plaintext
from watchword.runtime.api_keys import ApiKey
from watchword.runtime.configuration import Configuration
from watchword.runtime.problems import Problem
from watchword.runtime.settings import SettingsError

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEY = api_keys.new_key(test=False)
PROXIES = networks(["10.0.0.0/8", "fd00::/8"])


def configuration(*, tenant: str = "shop", **fields: object) -> Configuration:
    known = {"id": "ak_1", "tenant": "shop", "name": "web", "scopes": frozenset({"start"}), **fields}
    return Configuration(
        tenants={tenant: Tenant(id=tenant, countries=["IN"])},
        api_keys={api_keys.hash_of(KEY): ApiKey(**known)},  # type: ignore[arg-type]
    )


def test_a_live_key_with_the_scope_opens() -> None:
    found = authenticate(f"Bearer {KEY}", "start", configuration(expires_at=NOW + timedelta(seconds=1)), NOW)
    assert (found.tenant, found.id) == ("shop", "ak_1")
    assert authenticate(f"bearer  {KEY} ", "read", configuration(scopes=frozenset({"admin"})), NOW)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        f"Basic {KEY}",
        KEY,
        "Bearer wwk_live_x",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}0x"[:66],
        "Bearer \x00",
    ],
    ids=["nothing", "no key", "another scheme", "no scheme", "not our form", "longer", "wrong sum", "NUL"],
)
def test_what_is_no_key_is_401_without_a_look_up(authorization: str) -> None:
    with pytest.raises(Problem) as caught:
        authenticate(authorization, "start", configuration(), NOW)
    assert caught.value.code == "unauthenticated"
    assert "WWW-Authenticate" in caught.value.headers()


@pytest.mark.parametrize(
    "known",
    [
        configuration(expires_at=NOW),
        configuration(revoked_at=NOW - timedelta(days=1)),
        configuration(tenant="another"),
        Configuration(),
    ],
)
def test_expired_revoked_orphaned_and_unknown_keys_get_one_and_the_same_answer(known: Configuration) -> None:
    with pytest.raises(Problem) as caught:
        authenticate(f"Bearer {KEY}", "start", known, NOW)
    with pytest.raises(Problem) as unknown:
        authenticate(f"Bearer {api_keys.new_key(test=True)}", "start", configuration(), NOW)
    assert caught.value.body() == unknown.value.body()


def test_a_key_without_the_scope_is_403() -> None:
    with pytest.raises(Problem) as caught:
        authenticate(f"Bearer {KEY}", "cancel", configuration(), NOW)
    assert (caught.value.code, caught.value.status) == ("forbidden_scope", 403)


def test_keys_are_recognised_by_shape_and_checksum() -> None:
    live, test = api_keys.new_key(test=False), api_keys.new_key(test=True)
    assert live.startswith("wwk_live_") and test.startswith("wwk_test_")
    assert api_keys.well_formed(live) and api_keys.well_formed(test)
    swapped = live[:12] + ("a" if live[12] != "a" else "b") + live[13:]
    assert not any(map(api_keys.well_formed, (swapped, live[:-1], live + "0", live.replace("live", "test"), "")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["evil, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::2"], "2001:db8::2"),
    ],
)
def test_the_client_is_the_rightmost_stranger(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.test", ""])
def test_plaintext_for_the_network_at_large_refuses_to_start_and_says_the_fix(host: str) -> None:
    with pytest.raises(SettingsError, match="WATCHWORD_TLS_CERTIFICATE"):
        refuse_open_plaintext(host, tls=False, trusted=())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_plaintext_on_loopback_may_start(host: str) -> None:
    refuse_open_plaintext(host, tls=False, trusted=())
    refuse_open_plaintext("0.0.0.0", tls=True, trusted=())
    refuse_open_plaintext("0.0.0.0", tls=False, trusted=PROXIES)
    assert networks([]) == ()


def test_rate_headers_say_quota_and_what_is_left() -> None:
    assert rate_headers("tenant", quota=50, window_s=1, remaining=-3, reset_s=0.2) == {
        "RateLimit-Policy": '"tenant";q=50;w=1',
        "RateLimit": '"tenant";r=0;t=1',
    }
