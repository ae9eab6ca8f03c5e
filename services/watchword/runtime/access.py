"""Who is asking, from where, and how often they may: API keys, client addresses, rate headers, the plaintext rule."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil

from watchword.runtime import api_keys
from watchword.runtime.api_keys import ApiKey
from watchword.runtime.configuration import Configuration
from watchword.runtime.problems import Problem
from watchword.runtime.settings import SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="watchword"'}
_HOPS_MAX = 20


def authenticate(authorization: str, scope: str, configuration: Configuration, now: datetime) -> ApiKey:
    """The key that the Authorization header carries. Raises Problem: unauthenticated or forbidden_scope.

    Unknown, revoked, expired and mistyped keys get one and the same answer.
    """
    scheme, _, presented = authorization.partition(" ")
    presented = presented.strip()
    if scheme.lower() != "bearer" or not api_keys.well_formed(presented):
        raise Problem("unauthenticated", headers=_CHALLENGE)
    key = configuration.api_key(api_keys.hash_of(presented))
    if key is None or not key.usable(now) or configuration.tenant(key.tenant) is None:
        raise Problem("unauthenticated", headers=_CHALLENGE)
    if not key.allows(scope):
        raise Problem("forbidden_scope", f"This needs the scope {scope}.")
    return key


def networks(words: Iterable[str]) -> tuple[Network, ...]:
    """CIDR words as networks. Raises ValueError."""
    return tuple(ip_network(word) for word in words)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address a request came from: the right-most one that is not a trusted proxy.

    `forwarded_for` are the values of X-Forwarded-For in order. What stands left of the first stranger, or of
    something that is no address, was written by somebody we do not trust.
    """
    told = [word.strip() for value in forwarded_for for word in value.split(",")][-_HOPS_MAX:]
    address = peer
    while told and is_trusted(address, trusted):
        before = _parsed(told.pop())
        if before is None:
            break
        address = str(before)
    return address


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


@lru_cache(maxsize=4_096)  # as below
def is_loopback(host: str) -> bool:
    """Whether a host to bind to, or an address, can only be reached from this machine."""
    parsed = _parsed(host)
    return host == "localhost" or (parsed is not None and parsed.is_loopback)


@lru_cache(maxsize=4_096)  # the same few proxies and platforms call all the time
def _parsed(word: str) -> Address | None:
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        address = ip_address(word)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def refuse_open_plaintext(host: str, *, tls: bool, trusted: Sequence[Network]) -> None:
    """Raises SettingsError if a door would speak plaintext to the network at large (api.md)."""
    if not tls and not is_loopback(host) and not trusted:
        raise SettingsError(
            f"WATCHWORD_HTTP_HOST={host} would serve codes and keys in plaintext. Set WATCHWORD_TLS_CERTIFICATE and "
            "WATCHWORD_TLS_KEY, or bind to 127.0.0.1, or name the proxies that end TLS in WATCHWORD_TRUSTED_PROXIES."
        )


def rate_headers(policy: str, *, quota: int, window_s: int, remaining: int, reset_s: float) -> Mapping[str, str]:
    """RateLimit-Policy and RateLimit of an answer (structured fields, as the IETF draft writes them)."""
    return {
        "RateLimit-Policy": f'"{policy}";q={quota};w={window_s}',
        "RateLimit": f'"{policy}";r={max(0, remaining)};t={max(0, ceil(reset_s))}',
    }
