"""A line of a recorded stream, and what it says of its request: the features it is judged by."""

from enum import StrEnum
from ipaddress import IPv6Address, ip_address

import msgspec

from watchword.fraud.decide.subject import Subject, subject
from watchword.kernel.feature import Kind
from watchword.kernel.networks import Owners
from watchword.kernel.numbering import Numbering

NETWORKS_KEPT = 200_000
_FILLING = str.maketrans("", "", " -().")
_NET4_HEX = 6
_RANGE_DROPS, _BLOCK_DIGITS, _ROW_DIGITS = 4, 1, 2


class LineKind(StrEnum):
    """What a line tells."""

    REQUEST = "request"
    VERIFIED = "verified"
    WRONG = "wrong"
    RECEIPT = "receipt"
    FEEDBACK = "feedback"


class Line(msgspec.Struct):
    """One line. `at` is in seconds; `ip`, `device`, `account`, `form_ms` and `trusted` are what the platform claims;
    what a kind of line has no use for is ignored."""

    kind: LineKind
    at: float
    id: str | int
    tenant: str | None = None
    to: str | None = None
    ip: str | None = None
    device: str | int | None = None
    account: str | int | None = None
    asn: str | int | None = None
    purpose: str | None = None
    price_micros: float | None = None
    form_ms: int | None = None
    trusted: bool | None = None
    state: str | None = None
    good: bool | None = None


class BadLine(ValueError):
    """A line that says nothing; the message tells why, and never repeats a number."""


class Reading:
    """Understands the requests of a stream; remembers what was understood before.

    Whose network asks is what the line says, else what `owners` knows; without owners networks are told apart by their
    /16, or /32 for IPv6, which is coarser than an owner but no worse a stranger: as intake does.
    """

    def __init__(self, owners: Owners | None = None) -> None:
        self._owners = owners
        self._numbering = Numbering()
        self._networks: dict[str, str] = {}

    def understood(self, line: Line) -> tuple[Subject, str, str]:
        """What a request is judged by, its number with "+", and the number's type. Raises BadLine."""
        number = _written(line.to or "")
        placed = self._numbering.placed(number)
        if placed is None:
            raise BadLine("`to` is no phone number: + and 7 to 15 digits")
        digits, rest = number[:-_RANGE_DROPS], number[-_RANGE_DROPS:]
        tokens = (rest[:_BLOCK_DIGITS], rest[_BLOCK_DIGITS:_ROW_DIGITS])
        network = self._network(line.ip) if line.ip else ""
        sources = {
            Kind.IP_NET: network,
            Kind.DEVICE: "" if line.device is None else str(line.device),
            Kind.ACCOUNT: "" if line.account is None else str(line.account),
            Kind.ASN: self._owner_of(line, network),
            Kind.NUMBER: number,
            Kind.PHONE: number,
        }
        about = subject(line.tenant or "", placed.country or "ZZ", digits, tokens, sources)
        return about, number, placed.number_type

    def _owner_of(self, line: Line, network: str) -> str:
        if line.asn is not None:
            return f"as{line.asn}"
        if self._owners is None:
            return network[:4] if len(network) == _NET4_HEX else network[:8]
        owner = self._owners.owner(line.ip or "")
        return f"as{owner}" if owner else ""

    def _network(self, ip: str) -> str:
        known = self._networks.get(ip)
        if known is None:
            if len(self._networks) >= NETWORKS_KEPT:
                self._networks.clear()
            known = self._networks[ip] = network_of(ip)
        return known


def network_of(ip: str) -> str:
    """The network an address is counted under: its /24, or /48 for IPv6. Raises BadLine for what is no address."""
    try:
        address = ip_address(ip.strip())
    except ValueError:
        raise BadLine("`ip` is no address") from None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return address.packed[:6].hex()
        address = address.ipv4_mapped
    return address.packed[:3].hex()


def _written(to: str) -> str:
    plain = to.translate(_FILLING)
    return f"+{plain[2:]}" if plain.startswith("00") else plain
