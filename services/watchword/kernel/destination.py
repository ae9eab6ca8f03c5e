"""Where a call to an address that a stranger chose may go. Pure: what is a URL worth, what is an address worth.

The rule is a list of what is allowed, not of what is bad: https, a host name of plain labels or an address in its one
canonical spelling, and behind a name only addresses of the public internet (the IANA special-purpose registries,
RFC 6890 and later). Whatever other spelling a library might understand is refused before any library sees it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

URL_MAX = 500

_PRINTABLE = re.compile(r"[!-~]+")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::[0-9]{1,5})?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HOST_MAX = 253
_HTTP, _HTTPS = "http", "https"
_LOCAL_NAME = "localhost"

# Names that mean a machine or a network nearby, whatever a resolver makes of them.
_NEARBY = frozenset(
    {
        *("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "svc"),
        *("arpa", "onion"),
    }
)
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # public by its number, but every machine of one cloud finds its host behind it
        ),
    )
)
# Of IPv6 only what is given out as global unicast. That leaves out mapped, compatible, NAT64, site-local, link-local,
# unique-local, multicast and loopback addresses at once.
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")),
)  # Teredo and its like, documentation, 6to4, AS112, documentation again
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


class Refusal(StrEnum):
    """Why a URL is not called; one stable word."""

    FORM = "form"
    SCHEME = "scheme"
    USER = "user"
    HOST = "host"
    PORT = "port"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be called, in parts, so that nobody parses it a second time and differently. `host` is in small
    letters and without brackets; `is_address` says that it is an address and needs no look-up."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    is_address: bool


def destination(url: str, *, local: bool = False) -> Destination | Refusal:
    """Where `url` leads, or why it is not called. `local` lets this machine itself in, by http too: for laptops."""
    if len(url) > URL_MAX or not _PRINTABLE.fullmatch(url) or "\\" in url or "#" in url:
        return Refusal.FORM
    parts = _split(url)
    if parts is None or not parts.netloc:
        return Refusal.FORM
    if "@" in parts.netloc:
        return Refusal.USER
    if not _AUTHORITY.fullmatch(parts.netloc):
        return Refusal.FORM
    host = parts.hostname or ""
    is_address = "[" in parts.netloc or ":" in host or _looks_numeric(host)
    refusal = _refused_address(host, parts.netloc, local) if is_address else _refused_name(host, local)
    port = _port(parts)
    if refusal is not None or port is None:
        return refusal or Refusal.PORT
    if not _scheme_fits(parts.scheme, host, local):
        return Refusal.SCHEME
    return Destination(parts.scheme, host, port, parts.path or "/", parts.query, is_address)


def admits(address: str, *, local: bool = False) -> bool:
    """Whether a connection to `address` may be made: an address in canonical or any other spelling that the standard
    library reads. Everything that is no address, and every one that is not on the public internet, is refused."""
    four, six = _as_4(address), _as_6(address)
    if four is not None:
        return _is_public_4(four) or (local and four.is_loopback)
    if six is not None:
        return _is_public_6(six) or (local and six == IPv6Address(1))
    return False


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address not in _GLOBAL_6 or any(address in network for network in _NOT_PUBLIC_6):
        return False
    carries_a_v4 = (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP
    return address.is_global and not carries_a_v4


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _port(parts: SplitResult) -> int | None:
    """The port, None for one that is out of range or zero."""
    try:
        given = parts.port
    except ValueError:
        return None
    if given is None:
        return 443 if parts.scheme == _HTTPS else 80
    return given or None


def _scheme_fits(scheme: str, host: str, local: bool) -> bool:
    return scheme == _HTTPS or (scheme == _HTTP and local and _is_this_machine(host))


def _is_this_machine(host: str) -> bool:
    return host == _LOCAL_NAME or (admits(host, local=True) and not admits(host))


def _looks_numeric(host: str) -> bool:
    """Whether some library would read the host as an IPv4 address: its last label is a number of any base."""
    return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def _refused_address(host: str, netloc: str, local: bool) -> Refusal | None:
    """Addresses count in their canonical spelling only; a zone ("%eth0") is part of none."""
    four, six = _as_4(host), _as_6(host)
    if (four is None and six is None) or (six is not None) != netloc.startswith("["):
        return Refusal.HOST
    return None if admits(host, local=local) else Refusal.ADDRESS


def _refused_name(host: str, local: bool) -> Refusal | None:
    """Names are plain labels, two at least, and not one that means a place nearby."""
    if local and host == _LOCAL_NAME:
        return None
    labels = host.split(".")
    if len(host) > _HOST_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        return Refusal.HOST
    if len(labels) == 1 or labels[-1] in _NEARBY:
        return Refusal.ADDRESS
    return None


def _as_4(text: str) -> IPv4Address | None:
    """Dotted decimal without leading zeros, nothing else."""
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _as_6(text: str) -> IPv6Address | None:
    if "%" in text:
        return None
    try:
        return IPv6Address(text)
    except ValueError:
        return None
